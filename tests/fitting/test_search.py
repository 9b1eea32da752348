"""One round of the search: selection against a plain re-implementation, polish against a known minimum."""

from dataclasses import dataclass
from typing import cast

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ddsprl.fitting.problem import BAD_LOSS, Problem, Target
from ddsprl.fitting.search import (
    DISTINCT,
    Members,
    RoundSettings,
    empty_members,
    keep_distinct,
    polish,
    search_round,
)
from ddsprl.losses.objective import ObjectiveWeights, TargetFeatures
from ddsprl.plant import make_instrument
from synth_jax import Note
from synth_jax.instruments.serum_lite import TABLE

KEY = jax.random.key(5)
D = len(TABLE)
INTEGER = np.array([spec.integer for spec in TABLE])
BEST = np.linspace(0.15, 0.85, D).astype(np.float32)


@dataclass(frozen=True)
class Quadratic(Problem):
    """Loss |u - BEST|^2, infinite where the first knob is over 0.98; nothing is rendered."""

    def loss(self, u, target, key):
        del target, key
        total = jnp.sum(jnp.square(u - BEST))
        total = jnp.where(u[0] > 0.98, jnp.nan, total)
        return jnp.where(jnp.isfinite(total), total, BAD_LOSS)


PROBLEM = Quadratic(make_instrument("serum_lite", 8_000, 0.25), None)  # pyright: ignore[reportArgumentType]
TRACES = []


def make_target(free=None, locked=None) -> Target:
    free = jnp.ones(D) if free is None else jnp.asarray(free, jnp.float32)
    locked = jnp.zeros(D) if locked is None else jnp.asarray(locked, jnp.float32)
    nothing, features = jnp.zeros(1), cast(TargetFeatures, ())
    return Target(nothing, features, Note(), free, locked, ObjectiveWeights(), nothing)


@jax.jit
def round_of(members, candidates, target, settings):
    TRACES.append(members.u.shape)
    return search_round(PROBLEM, members, candidates, target, KEY, settings, steps=30)


@jax.jit
def polish_of(members, target, settings):
    return polish(PROBLEM, members, target, KEY, settings, steps=120)


def settings(first: float = 0.1, last: float = 0.01, *, snapped: bool = False) -> RoundSettings:
    return RoundSettings(jnp.float32(first), jnp.float32(last), jnp.float32(snapped))


def random_units(count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).uniform(0.05, 0.95, (count, D)).astype(np.float32)


def losses(u) -> np.ndarray:
    return np.square(np.asarray(u) - BEST).sum(axis=-1)


def members_of(u) -> Members:
    return Members(jnp.asarray(u), jnp.asarray(losses(u)))


def plain_distinct(u: np.ndarray, loss: np.ndarray, count: int) -> list[int]:
    chosen: list[int] = []
    for i in np.argsort(loss, kind="stable"):
        if all(np.sqrt(np.mean(np.square(u[i] - u[j]))) >= DISTINCT for j in chosen):
            chosen.append(int(i))
    return chosen[:count]


@pytest.mark.parametrize("seed", range(3))
def test_the_best_distinct_ones_are_kept(seed):
    rng = np.random.default_rng(seed)
    centres = rng.uniform(size=(12, D))
    u = (centres[rng.integers(0, 12, 60)] + 0.002 * rng.standard_normal((60, D))).astype(np.float32)
    loss = rng.uniform(1.0, 5.0, 60).astype(np.float32)
    kept = keep_distinct(Members(jnp.asarray(u), jnp.asarray(loss)), 8)
    expected = plain_distinct(u, loss, 8)
    assert len(expected) == 8
    np.testing.assert_array_equal(kept.loss, loss[expected])
    np.testing.assert_array_equal(kept.u, u[expected])


def test_copies_fill_up_before_empty_places_do():
    nobody = empty_members(3, D)
    u = np.repeat(random_units(2), 2, axis=0)
    pool = Members(
        jnp.concatenate([nobody.u, u]), jnp.concatenate([nobody.loss, jnp.asarray([2.0, 2.0, 1.0, 1.0])])
    )
    kept = np.asarray(keep_distinct(pool, 5).loss)
    np.testing.assert_array_equal(kept[:2], [1.0, 2.0])
    np.testing.assert_array_equal(np.sort(kept[2:4]), [1.0, 2.0])
    assert kept[4] == np.float32(BAD_LOSS)


def test_polish_finds_a_known_minimum_and_keeps_the_best_visited():
    start = members_of(random_units(4))
    polished, trace = polish_of(start, make_target(), settings(0.3, 0.003))
    assert np.asarray(polished.loss).max() < 1e-2 * np.asarray(start.loss).min()
    np.testing.assert_allclose(losses(polished.u), polished.loss, atol=1e-5)
    assert trace.shape == (120,)
    assert (np.diff(trace) <= 0).all()
    assert trace[-1] == polished.loss.min()


def test_polish_never_returns_worse_than_it_was_given():
    start = members_of(np.concatenate([BEST[None], random_units(3)]))
    polished, _ = polish_of(start, make_target(), settings(30.0, 30.0))
    assert (np.asarray(polished.loss) <= np.asarray(start.loss)).all()
    np.testing.assert_array_equal(polished.u[0], BEST)


def test_members_do_not_influence_each_other():
    alone = random_units(1)
    calm, _ = polish_of(members_of(np.concatenate([alone, random_units(3, 1)])), make_target(), settings())
    wild = random_units(3, 2)
    wild[:, 0] = 1.0  # where the loss is not finite
    start = Members(
        jnp.asarray(np.concatenate([alone, wild])), jnp.asarray([losses(alone)[0], *[BAD_LOSS] * 3])
    )
    beside, _ = polish_of(start, make_target(), settings())
    np.testing.assert_allclose(beside.u[0], calm.u[0], atol=1e-6)
    assert np.isfinite(beside.u).all()


def test_candidates_that_are_not_finite_come_last():
    bad, good = random_units(6), random_units(4, 1)
    bad[:, 0] = 1.0
    found, trace = round_of(empty_members(4, D), np.concatenate([bad, good]), make_target(), settings())
    assert np.isfinite(found.u).all()
    assert np.asarray(found.loss).max() < losses(good).max()
    assert trace.shape == (31,)
    np.testing.assert_allclose(trace[0], losses(good).min(), rtol=1e-5)


def test_locked_knobs_stay_and_the_others_are_fitted():
    free, locked = np.ones(D), np.zeros(D)
    free[[2, 11]], locked[[2, 11]] = 0, (0.9, 0.123)
    target = make_target(free, locked)
    found = empty_members(4, D)
    for i in range(6):
        found, _ = round_of(found, random_units(10, i), target, settings(0.3, 0.02))
    np.testing.assert_array_equal(found.u[:, [2, 11]], np.array([[0.9, 0.123]] * 4, np.float32))
    movable = np.asarray(free, bool)
    best = np.asarray(found.u[np.argmin(found.loss)])
    np.testing.assert_allclose(best[movable], BEST[movable], atol=0.05)


def test_snapped_rounds_hold_discrete_knobs_at_choices():
    found, _ = round_of(empty_members(4, D), random_units(10), make_target(), settings(0.3, 0.1))
    assert (np.abs(found.u - PROBLEM.instrument.snap(found.u)) > 1e-3).any()
    candidates = random_units(10, 1)
    snapped, trace = round_of(found, candidates, make_target(), settings(0.3, 0.1, snapped=True))
    np.testing.assert_array_equal(snapped.u, PROBLEM.instrument.snap(snapped.u))
    # Scored anew: a loss from before snapping would be one that no snapped preset has.
    np.testing.assert_allclose(losses(snapped.u), snapped.loss, rtol=1e-4, atol=1e-6)
    entering = np.asarray(PROBLEM.instrument.snap(jnp.concatenate([found.u, candidates])))
    np.testing.assert_allclose(trace[0], losses(entering).min(), rtol=1e-4)
    assert snapped.loss.min() < trace[0]


def test_a_round_is_never_worse_than_the_one_before():
    found, best = empty_members(4, D), np.inf
    for i in range(4):
        found, trace = round_of(found, random_units(10, i), make_target(), settings())
        assert trace[-1] <= best
        best = float(trace[-1])


def test_rounds_of_one_shape_are_traced_once():
    TRACES.clear()
    round_of.clear_cache()  # pyright: ignore[reportAttributeAccessIssue]
    found = empty_members(4, D)
    for i, snapped in enumerate((False, False, True, True)):
        change = settings(0.1 / (i + 1), 0.01, snapped=snapped)
        found, _ = round_of(found, random_units(10, i), make_target(), change)
    assert len(TRACES) == 1
