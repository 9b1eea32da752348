"""Checks that every member of a registry must pass; plain functions, called by tests/test_laws_*.py."""

import functools

import chex
import jax
import jax.numpy as jnp
import numpy as np

from synth_jax import Instrument, Note
from synth_jax.params import default_unit, index_of, to_physical

KEY = jax.random.key(7)


def note_of(batch: int, dtype=jnp.float32, *, gate_s: float = 0.030013) -> Note:
    """Notes of different pitch, gate and velocity, `[batch]`; pitches and gates avoid whole samples."""
    spread = jnp.linspace(0.0, 1.0, batch, dtype=dtype)
    return Note(midi=40.3 + 40.0 * spread, gate_s=gate_s * (1.0 + spread), velocity=0.5 + 0.5 * spread)


def random_units(synth: Instrument, count: int, seed: int = 0) -> np.ndarray:
    """Random knob positions, float32 `[count, d]`."""
    return np.random.default_rng(seed).uniform(size=(count, synth.n_params)).astype(np.float32)


def corner_units(synth: Instrument) -> np.ndarray:
    """All knobs at 0, 1/2 and 1, the default, and random positions with every level (and each one) at 0."""
    rows = [np.full(synth.n_params, x) for x in (0.0, 0.5, 1.0)] + [default_unit(synth.table)]
    levels = [i for i, spec in enumerate(synth.table) if "level" in spec.name or "volume" in spec.name]
    quiet = random_units(synth, len(levels) + 1, seed=1)
    quiet[0, levels] = 0.0
    for row, i in enumerate(levels):
        quiet[row + 1, i] = 0.0
    return np.concatenate([np.stack(rows), quiet]).astype(np.float32)


def projection(synth: Instrument, u: jax.Array, note: Note, key: jax.Array) -> jax.Array:
    """Random projection of the audio: a scalar that every sample reaches."""
    direction = np.random.default_rng(3).standard_normal(synth.n_samples) / np.sqrt(synth.n_samples)
    return jnp.vdot(jnp.asarray(direction, u.dtype), synth.render(u, note, key))


@functools.cache
def batched(synth: Instrument):
    """Compiled `render` and gradient of the projection (knobs and note), over a batch with one key each."""
    gradient = jax.grad(functools.partial(projection, synth), argnums=(0, 1))
    return jax.jit(jax.vmap(synth.render)), jax.jit(jax.vmap(gradient))


def check_table(synth: Instrument) -> None:
    """Names are unique and findable, defaults lie in range, and knob positions map both ways."""
    for i, spec in enumerate(synth.table):
        assert index_of(synth.table, spec.name) == i
        assert spec.help or spec.unit, f"{spec.name} says nothing about itself"
    assert synth.default.shape == (synth.n_params,)
    physical = np.asarray(to_physical(synth.default, synth.table))
    np.testing.assert_allclose(physical, [spec.default for spec in synth.table], rtol=1e-5, atol=1e-5)


def check_finite(synth: Instrument, *, count: int) -> None:
    """Audio within full scale and finite gradients of knobs and note, at corners and random positions."""
    u = np.concatenate([corner_units(synth), random_units(synth, count)])
    render, gradient = batched(synth)
    keys, note = jax.random.split(KEY, len(u)), note_of(len(u))
    audio = np.asarray(render(u, note, keys))
    assert audio.dtype == np.float32
    assert audio.shape == (len(u), synth.n_samples)
    assert np.all(np.isfinite(audio))
    assert np.abs(audio).max() <= 1.0
    by_knob, by_note = gradient(u, note, keys)
    bad = ~np.isfinite(np.asarray(by_knob))
    assert not bad.any(), f"knobs {sorted({synth.table[i].name for i in np.nonzero(bad)[1]})}"
    for name, value in by_note._asdict().items():
        assert np.all(np.isfinite(value)), name


def check_jit_and_vmap(synth: Instrument) -> None:
    """Compiled equals eager, a batch equals a loop, and the same key gives the same sound."""
    u, note = random_units(synth, 3), note_of(3)
    keys = jax.random.split(KEY, 3)
    together = np.asarray(batched(synth)[0](u, note, keys))
    np.testing.assert_array_equal(together, np.asarray(batched(synth)[0](u, note, keys)))
    one = jax.jit(synth.render)
    for i in range(3):
        alone = np.asarray(one(jnp.asarray(u[i]), jax.tree.map(lambda x, i=i: x[i], note), keys[i]))
        np.testing.assert_allclose(together[i], alone, atol=1e-3)
    eager = synth.render(jnp.asarray(u[0]), jax.tree.map(lambda x: x[0], note), keys[0])
    np.testing.assert_allclose(together[0], np.asarray(eager), atol=1e-3)


def check_one_trace(synth: Instrument) -> None:
    """Other values of the same shapes do not trace again; Python and array notes are alike."""
    render = jax.jit(chex.assert_max_traces(synth.render, n=1))
    chex.clear_trace_counter()
    for i, u in enumerate(random_units(synth, 3)):
        render(
            jnp.asarray(u),
            Note(midi=jnp.float32(50.0 + i), gate_s=jnp.float32(0.01), velocity=jnp.ones(())),
            KEY,
        )


def check_gradient(synth: Instrument, *, points: int, low: float = 0.02, high: float = 0.98) -> None:
    """Reverse-mode gradients of knobs and note against float64 central differences, and float32 beside them.

    Within 1 % in float64 and 5 % in float32, each relative to that derivative, with a floor of a thousandth
    of the typical size of that derivative over the points (which lie away from kinks, being random).
    """
    d = synth.n_params
    with jax.enable_x64(True):
        u = jnp.asarray(
            np.float32(low) + np.float32(high - low) * random_units(synth, points, seed=5), jnp.float64
        )
        note, keys = note_of(points, jnp.float64), jax.random.split(KEY, points)
        v = jnp.concatenate([u, jnp.stack(note, axis=-1)], axis=1).astype(jnp.float32).astype(jnp.float64)

        def value(row, key):
            return projection(synth, row[:d], Note(row[d], row[d + 1], row[d + 2]), key)

        gradient = jax.jit(jax.vmap(jax.grad(value)))
        values = jax.jit(jax.vmap(jax.vmap(value, (0, None))))
        exact = np.asarray(gradient(v, keys))
        errors = []
        for step in (1e-6, 1e-7):
            shift = step * jnp.eye(v.shape[1])
            difference = values(v[:, None] + shift, keys) - values(v[:, None] - shift, keys)
            errors.append(np.abs(np.asarray(difference) / (2.0 * step) - exact))
        single = np.asarray(gradient(v.astype(jnp.float32), keys))
    names = [spec.name for spec in synth.table] + list(Note._fields)
    floor = 1e-3 * np.sqrt(np.mean(exact**2, axis=0)) + 1e-7
    # The better of two steps: the larger may cross a kink, the smaller meets rounding.
    bad = np.minimum(*errors) > 0.01 * np.abs(exact) + floor
    assert not bad.any(), f"float64: {sorted({names[i] for i in np.nonzero(bad)[1]})}"
    bad = np.abs(single - exact) > 0.05 * np.abs(exact) + 5.0 * floor
    assert not bad.any(), f"float32: {sorted({names[i] for i in np.nonzero(bad)[1]})}"


def check_snap(synth: Instrument) -> None:
    """Snapping moves discrete knobs only, to whole values, once, and lets gradients through."""
    u = jnp.asarray(random_units(synth, 16))
    snapped = synth.snap(u)
    np.testing.assert_array_equal(snapped, synth.snap(snapped))
    physical, discrete = np.asarray(to_physical(snapped, synth.table)), [spec.integer for spec in synth.table]
    np.testing.assert_allclose(physical[:, discrete], np.round(physical[:, discrete]), atol=1e-5)
    np.testing.assert_array_equal(
        np.asarray(snapped)[:, ~np.array(discrete)], np.asarray(u)[:, ~np.array(discrete)]
    )
    weights = jnp.arange(1.0, synth.n_params + 1.0)
    slope = jax.grad(lambda u: jnp.sum(weights * synth.snap(u)))(u[0])
    np.testing.assert_allclose(slope, weights)
