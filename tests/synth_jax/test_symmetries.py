"""Symmetries: the sound stays as it is, and uniform presets stay uniform."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from synth_jax import INSTRUMENTS, Note

COUNT, RATE, DURATION_S = 64, 16_000, 0.25
KNOWN = {name: make().knowledge.symmetries for name, make in INSTRUMENTS.items()}
SYMMETRIES = {name: found for name, found in KNOWN.items() if found is not None}
every_instrument = pytest.mark.parametrize("name", SYMMETRIES)


@functools.cache
def sounds(name):
    """Instrument, presets, notes and keys, and the batched render."""
    synth = INSTRUMENTS[name](RATE, DURATION_S)
    keys = jax.random.split(jax.random.key(3), 4)
    u = synth.snap(jax.random.uniform(keys[0], (COUNT, synth.n_params)))
    midi = jax.random.uniform(keys[1], (COUNT,), minval=45.0, maxval=70.0)
    gate_s = jax.random.uniform(keys[2], (COUNT,), minval=0.05, maxval=0.4)
    render = jax.jit(jax.vmap(synth.render))
    noise = jax.random.split(keys[3], COUNT)
    return u, Note(midi, gate_s, jnp.ones(COUNT)), lambda u, note: np.asarray(render(u, note, noise))


def check_same(a, b, moved, *, far):
    """Equal sounds of presets of which most were moved."""
    error = np.sqrt(np.mean((a - b) ** 2, axis=1)) / (np.sqrt(np.mean(a**2, axis=1)) + 1e-9)
    assert np.mean(np.abs(np.asarray(moved)).max(axis=1) > 0.01) > far
    assert error.max() < 2e-3


def keys():
    return jax.random.split(jax.random.key(5), COUNT)


@every_instrument
def test_exchanged_presets_sound_the_same_at_their_note(name):
    u, note, render = sounds(name)
    other, elsewhere = jax.vmap(SYMMETRIES[name].exchanged)(u, note)
    check_same(render(u, note), render(other, elsewhere), other - u, far=0.9)
    # Exchanged twice is nothing done.
    back, home = jax.vmap(SYMMETRIES[name].exchanged)(other, elsewhere)
    np.testing.assert_allclose(back, u, atol=1e-6)
    np.testing.assert_allclose(home.midi, note.midi, atol=1e-4)


@every_instrument
def test_rebalanced_presets_sound_the_same(name):
    u, note, render = sounds(name)
    other = jax.vmap(SYMMETRIES[name].rebalanced)(keys(), u)
    check_same(render(u, note), render(other, note), other - u, far=0.9)


@every_instrument
def test_redrawn_presets_sound_the_same_while_they_are_heard(name):
    u, note, render = sounds(name)
    heard = jnp.full(COUNT, DURATION_S)
    other = jax.vmap(SYMMETRIES[name].redrawn)(keys(), u, note.gate_s, heard)
    check_same(render(u, note), render(other, note), other - u, far=0.5)


@every_instrument
def test_turned_up_presets_sound_the_same_but_louder(name):
    u, note, render = sounds(name)
    sound = render(u, note)
    other, gain = jax.vmap(SYMMETRIES[name].turned_up)(keys(), u, jnp.abs(sound).max(axis=1))
    check_same(np.asarray(gain)[:, None] * sound, render(other, note), other - u, far=0.5)
    # A preset that meets the soft clip stays.
    loud = np.abs(sound).max(axis=1) > 0.75
    assert loud.any()
    np.testing.assert_array_equal(other[loud], u[loud])


@every_instrument
def test_uniform_presets_stay_uniform(name):
    synth, count = INSTRUMENTS[name](RATE, DURATION_S), 20_000
    draws = jax.random.split(jax.random.key(7), 5)
    u = synth.snap(jax.random.uniform(draws[0], (count, synth.n_params)))
    each = jax.random.split(draws[1], count)
    # Of a sound that is as loud as its volume, and may reach the clip.
    peak = 2.0 * u[:, -1] * jax.random.uniform(draws[2], (count,))
    gate_s = jax.random.uniform(draws[3], (count,), maxval=0.5)
    kinds = SYMMETRIES[name]
    mapped = {
        "exchanged": jax.vmap(kinds.exchanged)(u, Note(jnp.full(count, 60.0), gate_s, jnp.ones(count)))[0],
        "rebalanced": jax.vmap(kinds.rebalanced)(each, u),
        "turned_up": jax.vmap(kinds.turned_up)(each, u, peak)[0],
        "redrawn": jax.vmap(kinds.redrawn)(each, u, gate_s, jnp.full(count, DURATION_S)),
    }
    continuous = [i for i, spec in enumerate(synth.table) if not spec.choices]
    for kind, v in mapped.items():
        for i in continuous:
            p = stats.kstest(np.asarray(v[:, i]), "uniform").pvalue
            assert p > 1e-4, (kind, synth.table[i].name, p)
