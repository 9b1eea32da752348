"""Checks that every member of a registry must pass; plain functions, called by tests/test_laws_*.py."""

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ddsprl.fitting.core import driver
from ddsprl.fitting.core.budget import whole
from ddsprl.fitting.core.solve import Solution, solve
from ddsprl.fitting.core.solver import Leg, Solver, Space, legs_of
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


# Solvers ---------------------------------------------------------------------------------------------------


class Bowl(NamedTuple):
    """Target of a `Quadratic`: where its minimum is, `[d]`, which knobs may move, and how much is missing.

    `bad` is the share of positions, scattered all over, where loss and gradient are NaN.
    """

    best: jax.Array
    free: jax.Array
    locked: jax.Array
    bad: jax.Array


@dataclass(frozen=True)
class Quadratic:
    """Loss mean((u - best)^2) over the free knobs; the last knob has five values. Nothing is rendered.

    Attributes:
        d: knobs.
    """

    d: int = 4

    def space(self, target: Bowl) -> Space:
        TRACES.append(self)
        return Space(target.free, target.locked, jnp.zeros(self.d).at[-1].set(5.0))

    def snap(self, u: jax.Array) -> jax.Array:
        return u.at[..., -1].add(jax.lax.stop_gradient(jnp.round(4.0 * u[..., -1]) / 4.0 - u[..., -1]))

    def loss(self, u: jax.Array, target: Bowl) -> jax.Array:
        hit = jnp.mod(997.0 * jnp.sum(u), 1.0) < target.bad
        return jnp.where(hit, jnp.nan, jnp.mean(target.free * jnp.square(u - target.best)))

    def scores(self, u: jax.Array, target: Bowl, key: jax.Array) -> jax.Array:
        del key
        return jax.vmap(self.loss, (0, None))(u, target)

    def gradients(self, u: jax.Array, target: Bowl, key: jax.Array) -> tuple[jax.Array, jax.Array]:
        del key
        loss, slope = jax.vmap(jax.value_and_grad(self.loss), (0, None))(u, target)
        return loss, jnp.where(jnp.isnan(loss)[:, None], jnp.nan, slope)


TRACES: list[Quadratic] = []
BOWL = Quadratic()
BEST = np.array([0.7, 0.02, 0.4, 0.75], np.float32)
# Leaves something over for hearing finalists again; and a gradient's price.
BUDGET, GRADIENT_COST = 3001, 2


def bowls(best=BEST, *, locked: dict[int, float] | None = None, bad: float = 0.0) -> Bowl:
    """A group of one target."""
    free, held = np.ones((1, len(BEST)), np.float32), np.zeros((1, len(BEST)), np.float32)
    for i, value in (locked or {}).items():
        free[0, i], held[0, i] = 0.0, value
    return Bowl(*map(jnp.asarray, (np.asarray(best)[None], free, held, np.array([bad], np.float32))))


def far_starts(count: int = 8) -> np.ndarray:
    """Starts in a corner far from the minimum, `[1, count, d]`."""
    return np.random.default_rng(2).uniform(0.05, 0.3, (1, count, len(BEST))).astype(np.float32)


def solved(solver: Solver, *, seed: int = 0, **changes) -> Solution:
    """What a solver finds with `BUDGET` (or another budget) for one target."""
    settings = {"targets": bowls(), "starts": far_starts(), "budget": BUDGET, "gradient_cost": GRADIENT_COST}
    settings |= changes
    return solve(BOWL, solver, keys=jax.random.split(jax.random.key(seed), 1), **settings)


def check_solves(solver: Solver, *, within: float) -> None:
    """The minimum of a quadratic is found, better than any start, and the curves tell of it."""
    found = solved(solver)
    assert found.loss[0] < within
    np.testing.assert_allclose(found.u[0], BEST, atol=np.sqrt(len(BEST) * within))
    assert found.course.loss[0, 0] > 0.05
    assert (np.diff(found.course.loss[0]) <= 0.0).all()
    assert found.course.loss.shape == (1, found.iterations + 1)
    assert all(curve.shape == (1, found.iterations) for curve in found.course.traces.values())
    assert all(np.isfinite(curve).all() for curve in found.course.traces.values())
    assert not found.interrupted


def check_bounds_and_locks(solver: Solver) -> None:
    """Knobs stay in [0, 1], discrete ones at choices, locked ones in place, though the minimum is not."""
    found = solved(solver, targets=bowls(BEST - np.float32(0.5), locked={2: 0.625}))
    u = found.archive.u[0][found.archive.loss[0] < 1.0]
    assert len(u)
    assert ((u >= 0.0) & (u <= 1.0)).all()
    np.testing.assert_array_equal(u[:, 2], np.float32(0.625))
    np.testing.assert_allclose(4.0 * u[:, -1], np.round(4.0 * u[:, -1]), atol=1e-6)
    np.testing.assert_allclose(found.u[0], [0.2, 0.0, 0.625, 0.25], atol=0.1)


def check_budget(solver: Solver) -> None:
    """A budget is spent to the last render, whatever it is, and what was spent is what was evaluated."""
    legs = legs_of(solver)
    costs = [leg.solver.scores + GRADIENT_COST * leg.solver.gradients for leg in legs]
    for budget in (8, 8 + costs[0], 8 + 3 * costs[0] - 1, BUDGET):
        found = solved(solver, budget=budget)
        assert found.charged == budget == found.renders + GRADIENT_COST * found.gradients
        assert budget - costs[-1] < found.course.renders[0][-1] <= budget
        if len(legs) == 1:
            assert found.iterations == (budget - 8) // costs[0]
            assert found.gradients == found.iterations * solver.gradients
    check_shares(legs, costs, np.diff(solved(solver).course.renders[0]))


def check_shares(legs: tuple[Leg, ...], costs: Sequence[float], spent: np.ndarray) -> None:
    """Every leg spends its share of the renders, to one iteration of it and one of each before."""
    assert sum(leg.share for leg in legs) == pytest.approx(1.0)
    for leg, cost in zip(legs, costs, strict=True):
        if costs.count(cost) == 1:
            assert abs(spent[spent == cost].sum() - leg.share * (BUDGET - 8)) <= sum(costs)


def check_survives_failures(solver: Solver, *, within: float) -> None:
    """Where three in ten evaluations are NaN all that comes out is finite, and the search still works."""
    found = solved(solver, targets=bowls(bad=0.3))
    assert found.course.counts["failures"][0] > 0.1 * (found.renders + found.gradients)
    assert np.isfinite(found.u).all()
    assert found.loss[0] < within
    assert all(np.isfinite(curve).all() for curve in found.course.traces.values())


def check_same_key_same_result(solver: Solver) -> None:
    """A key decides everything, and another one something."""
    once, again, other = (solved(solver, seed=seed, budget=600) for seed in (1, 1, 2))
    for x, y in zip(jax.tree.leaves(once.archive), jax.tree.leaves(again.archive), strict=True):
        np.testing.assert_array_equal(x, y)
    np.testing.assert_array_equal(once.course.loss, again.course.loss)
    if solver.scores:  # plain descent from given starts draws nothing
        assert (once.archive.u != other.archive.u).any()


def check_solver_jit(solver: Solver) -> None:
    """One iteration compiled equals the same one step by step."""
    target = jax.tree.map(lambda x: x[0], bowls())
    keys = driver.keys_of(KEY)

    def one(run):
        return driver.iterate(BOWL, solver, run, target, keys, whole(10))

    run = driver.begin(BOWL, solver, target, jnp.asarray(far_starts()[0]), keys)
    chex.assert_trees_all_close(jax.jit(one)(run), one(run), rtol=1e-4, atol=1e-5)


def check_solver_traces(solver: Solver) -> None:
    """Other targets, starts, keys and budgets of the same shapes trace nothing again."""
    solved(solver)
    before = len(TRACES)
    solved(solver, seed=5, targets=bowls(BEST * np.float32(0.5)), starts=0.5 + far_starts(), budget=1001)
    assert len(TRACES) == before
