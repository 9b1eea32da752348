"""The evosax adapter: the map between knobs and coordinates, the quarantine, every reason to begin anew."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ddsprl.fitting.core.archive import BAD_LOSS
from ddsprl.fitting.core.solver import Answer, Space, Start
from ddsprl.fitting.solvers.coordinates import MARGIN, from_folded, home, to_folded
from ddsprl.fitting.solvers.evolution import COLLAPSED, POPULATIONS, Evosax

D, KEY = 3, jax.random.key(3)
SPACE = Space(jnp.ones(D), jnp.zeros(D), jnp.zeros(D))
START = Start(jnp.asarray([[0.5, 0.5, 0.5], [0.1, 0.9, 0.3]]), jnp.asarray([1.0, 2.0]))
STRATEGIES = ["cma_es", "simple_es", "differential_evolution", "pso"]


def strategy(name: str, *, population: int = 8, **settings) -> Evosax:
    return Evosax(name, population=population, **settings)


def answer(losses) -> Answer:
    return Answer(jnp.asarray(losses, jnp.float32), jnp.zeros(0), jnp.zeros((0, D)))


def turn(solver: Evosax, state, losses, key=KEY):
    query, state = solver.ask(key, state, jnp.float32(0.0))
    return query, solver.tell(key, state, query, answer(losses(query.score)))


def test_the_fold_is_the_knob_away_from_stops_and_reaches_them():
    u = np.linspace(0.0, 1.0, 201, dtype=np.float32)
    z = to_folded(jnp.asarray(u))
    np.testing.assert_allclose(from_folded(z), u, atol=1e-5)
    middle = (u > MARGIN) & (u < 1 - MARGIN)
    np.testing.assert_array_equal(z[middle], u[middle])
    assert from_folded(jnp.float32(-MARGIN)) == 0.0
    assert from_folded(jnp.float32(1.0 + MARGIN)) == 1.0


def test_the_fold_is_smooth_bounded_and_periodic():
    z = np.linspace(-3.0, 4.0, 14_001, dtype=np.float64)
    u = np.asarray(from_folded(jnp.asarray(z, jnp.float32)), np.float64)
    assert u.min() >= 0.0
    assert u.max() <= 1.0
    slope = np.diff(u) / np.diff(z)
    assert np.abs(slope).max() < 1.01
    # Continuous slope: over a step of 0.02 it changes by no more than the parabola's curvature allows.
    assert np.abs(slope[40:] - slope[:-40]).max() < 1.2 * 0.02 / (2.0 * MARGIN)
    np.testing.assert_allclose(from_folded(jnp.asarray(z + 2.0 + 4.0 * MARGIN, jnp.float32)), u, atol=1e-5)
    folded = home(jnp.asarray(z, jnp.float32))
    assert folded.min() >= -MARGIN - 1e-6
    assert folded.max() <= 1.0 + MARGIN + 1e-6
    np.testing.assert_allclose(from_folded(folded), u, atol=1e-5)


@pytest.mark.parametrize("name", STRATEGIES)
def test_the_first_generation_lies_around_the_best_start(name):
    solver = strategy(name, population=64, sigma=0.05)
    query, _ = solver.ask(KEY, solver.init(KEY, Start(START.u[:1], START.loss[:1]), SPACE), jnp.float32(0.0))
    np.testing.assert_allclose(np.mean(query.score, axis=0), START.u[0], atol=0.05)
    if name == "cma_es":
        np.testing.assert_allclose(np.std(query.score, axis=0), 0.05, rtol=0.3)


@pytest.mark.parametrize("name", STRATEGIES)
def test_a_state_that_is_not_finite_begins_anew_at_the_next_start(name):
    solver = strategy(name, population=32, sigma=0.02)
    state = solver.init(KEY, START, SPACE)
    assert solver.trace(state)["restarts"] == 0
    field = "population" if name in POPULATIONS else "mean"
    broken = state._replace(inner=state.inner.replace(**{field: getattr(state.inner, field) + jnp.nan}))
    query, mended = solver.ask(KEY, broken, jnp.float32(0.0))
    assert np.isfinite(query.score).all()
    assert solver.trace(mended)["restarts"] == 1
    np.testing.assert_allclose(np.median(query.score, axis=0), START.u[1], atol=0.1)
    # The other start is used up: the third search begins anywhere.
    broken = mended._replace(inner=state.inner.replace(**{field: getattr(state.inner, field) + jnp.nan}))
    query, mended = solver.ask(KEY, broken, jnp.float32(0.0))
    assert np.isfinite(query.score).all()
    assert solver.trace(mended)["restarts"] == 2


@pytest.mark.parametrize("name", STRATEGIES)
def test_a_collapsed_search_begins_anew(name):
    solver = strategy(name)
    state = solver.init(KEY, START, SPACE)
    same = jnp.full((8, D), 0.5)
    inner = state.inner
    if name in POPULATIONS:
        changes = {"population": same, "population_best": same, "velocity": 0.0 * same}
        inner = inner.replace(**{k: v for k, v in changes.items() if hasattr(inner, k)})
    else:
        inner = inner.replace(std=inner.std * 1e-6)
    query, renewed = solver.ask(KEY, state._replace(inner=inner), jnp.float32(0.0))
    assert renewed.restarts == 1
    assert np.std(query.score, axis=0).max() > 100 * COLLAPSED


def test_a_stale_search_begins_anew_and_wider():
    solver = strategy("cma_es", patience=3, growth=2.0, sigma=0.01, population=64)
    state, seen = solver.init(KEY, START, SPACE), []
    for i in range(5):
        query, state = turn(solver, state, lambda u: jnp.full(len(u), 7.0), jax.random.fold_in(KEY, i))
        seen.append((int(state.restarts), float(np.std(query.score))))
    # The first generation is a gain over nothing; then it is patient for three.
    assert [restarts for restarts, _ in seen] == [0, 0, 0, 0, 1]
    np.testing.assert_allclose(state.inner.std, 0.02, rtol=0.3)


def test_progress_is_not_stale():
    solver = strategy("sep_cma_es", patience=2)
    state = solver.init(KEY, START, SPACE)
    for i in range(6):
        _, state = turn(solver, state, lambda u, i=i: jnp.arange(8.0) + 10.0 - i)
    assert state.restarts == 0
    np.testing.assert_allclose(state.best, 5.0)


@pytest.mark.parametrize("name", STRATEGIES)
@pytest.mark.parametrize("failure", [np.nan, np.inf, BAD_LOSS])
def test_failures_are_as_bad_as_the_worst(name, failure):
    solver = strategy(name)
    state = solver.init(KEY, START, SPACE)
    query, asked = solver.ask(KEY, state, jnp.float32(0.0))
    losses = np.arange(8.0)
    losses[5] = failure
    after = solver.tell(KEY, asked, query, answer(losses))
    assert after.best == 0.0
    for leaf in jax.tree.leaves(after.inner):
        assert not np.isnan(leaf).any()
    kept = getattr(after.inner, "fitness", None)
    if kept is not None:  # nothing in a population stands there with a loss that was never measured
        assert set(np.asarray(kept).tolist()) <= {*range(8), BAD_LOSS, 1.0, 2.0}
        assert np.sum(np.asarray(kept) == 7.0) <= 1


@pytest.mark.parametrize("name", STRATEGIES)
def test_a_generation_of_failures_teaches_nothing(name):
    solver = strategy(name)
    state = solver.init(KEY, START, SPACE)
    query, asked = solver.ask(KEY, state, jnp.float32(0.0))
    after = solver.tell(KEY, asked, query, answer([np.nan] * 8))
    for x, y in zip(jax.tree.leaves(asked.inner), jax.tree.leaves(after.inner), strict=True):
        np.testing.assert_array_equal(x, y)
    assert after.stale == 1


def test_locked_knobs_are_asked_for_at_their_values():
    space = Space(jnp.asarray([1.0, 0.0, 1.0]), jnp.full(D, 0.25), jnp.zeros(D))
    solver = strategy("cma_es")
    state = solver.init(KEY, START, space)
    for i in range(3):
        query, state = turn(solver, state, lambda u: jnp.sum(u, axis=1), jax.random.fold_in(KEY, i))
        np.testing.assert_array_equal(query.score[:, 1], 0.25)


def test_options_reach_the_strategy():
    held = strategy("pso", options=(("social_coeff", 0.0), ("cognitive_coeff", 0.0)))
    plain = strategy("pso")
    moved, still = (s.ask(KEY, s.init(KEY, START, SPACE), jnp.float32(0.0))[0].score for s in (plain, held))
    assert np.abs(moved - still).max() > 1e-3


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"strategy": "cma-es"}, "did you mean 'cma_es'"),
        ({"strategy": "pso", "population": 3}, "population is 3; allowed are 4 and more"),
        ({"strategy": "pso", "sigma": 0.0}, "sigma is 0.0"),
        ({"strategy": "pso", "patience": 0}, "patience is 0"),
        ({"strategy": "pso", "growth": float("nan")}, "growth is nan"),
        ({"strategy": "pso", "options": (("inertia", 1.0),)}, "did you mean 'inertia_coeff'"),
    ],
)
def test_bad_settings_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        Evosax(**settings)
