"""The host around the driver: groups, progress, interrupts; solvers by name; descent from few starts."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import laws
from ddsprl.fitting.core.archive import BAD_LOSS, DISTINCT
from ddsprl.fitting.core.solve import solve
from ddsprl.fitting.core.solver import Solver, Space, Start
from ddsprl.fitting.solvers.proposals import distinct_members
from ddsprl.fitting.solvers.registry import SOLVERS, make_solver, settings_of

KEY = jax.random.key(4)
SOLVER = make_solver("adam", members=4)


def group(count: int):
    targets = [laws.bowls(np.clip(laws.BEST - 0.1 * i, 0.0, 1.0)) for i in range(count)]
    return jax.tree.map(lambda *x: jnp.concatenate(x), *targets)


def run(count: int = 1, *, budget: int = 300, progress=None, solver: Solver = SOLVER):
    starts = np.repeat(laws.far_starts(), count, axis=0)
    keys = jax.random.split(KEY, count)
    settings = {"budget": budget, "gradient_cost": 4, "progress": progress}
    return solve(laws.BOWL, solver, group(count), starts, keys, **settings)


def test_targets_of_a_group_do_not_meet():
    together = run(3)
    assert together.u.shape == (3, 4)
    assert together.archive.u.shape[0] == together.course.loss.shape[0] == 3
    assert all(curve.shape == (3, together.iterations) for curve in together.course.traces.values())
    alone = run(1)
    np.testing.assert_allclose(together.course.loss[0], alone.course.loss[0], rtol=1e-4)
    np.testing.assert_allclose(together.u[0], alone.u[0], rtol=1e-4)


def test_an_interrupt_keeps_the_best_so_far():
    def stop(done, total, loss):
        assert total == 8 + 18 * 16
        assert np.isfinite(loss)
        if done >= 8 + 3 * 16:
            raise KeyboardInterrupt

    found, whole = run(progress=stop), run()
    assert found.interrupted
    assert not whole.interrupted
    assert 3 <= found.iterations < 18
    assert found.charged == 8 + 16 * found.iterations == found.course.renders[0][-1]
    np.testing.assert_array_equal(found.course.loss[0], whole.course.loss[0, : found.iterations + 1])
    assert found.loss[0] == found.course.loss[0, -1]


def test_progress_counts_up_to_the_end():
    seen = []
    run(progress=lambda *args: seen.append(args))
    assert [done for done, _, _ in seen] == sorted({done for done, _, _ in seen})
    assert seen[-1][:2] == (296, 296)


@pytest.mark.parametrize(("budget", "message"), [(7, "7 renders does not pay for scoring 8 starts")])
def test_a_budget_below_the_starts_is_refused(budget, message):
    with pytest.raises(ValueError, match=message):
        run(budget=budget)


def test_settings_reach_the_solver_and_have_defaults():
    for name in SOLVERS:
        solver = make_solver(name)
        assert isinstance(solver, Solver)
        assert hash(solver) == hash(make_solver(name))
        assert all(hasattr(solver, setting) for setting in settings_of(name))
    assert make_solver("pso", population=5).scores == 5
    assert "strategy" not in settings_of("pso")
    assert set(settings_of("adam")) == {"members", "first_rate", "last_rate", "b1", "b2"}


@pytest.mark.parametrize(
    ("name", "settings", "message"),
    [
        ("cma-es", {}, "no solver 'cma-es'; did you mean 'cma_es'"),
        ("cma_es", {"populaton": 3}, "cma_es has no setting 'populaton'; did you mean 'population'"),
        ("cma_es", {"strategy": "pso"}, "cma_es has no setting 'strategy'"),
        ("adam", {"members": 0}, "members is 0; allowed are 1 and more"),
        ("adam", {"first_rate": 0.0}, "both must be above 0"),
    ],
)
def test_wrong_names_and_values_are_refused(name, settings, message):
    with pytest.raises(ValueError, match=message):
        make_solver(name, **settings)


def test_members_are_the_best_distinct_starts_and_then_steps_from_them():
    u = np.random.default_rng(0).uniform(size=(6, 4)).astype(np.float32)
    u[1] = u[0] + 0.1 * DISTINCT
    start = Start(jnp.asarray(u), jnp.arange(6.0))
    space = Space(jnp.asarray([1.0, 1.0, 1.0, 0.0]), jnp.full(4, 0.5), jnp.zeros(4))
    few = distinct_members(KEY, start, space, 3, step=0.1)
    np.testing.assert_array_equal(few.u, u[[0, 2, 3]])
    many = distinct_members(KEY, start, space, 20, step=0.01)
    assert many.u.shape == (20, 4)
    np.testing.assert_array_equal(many.loss[6:], BAD_LOSS)
    np.testing.assert_array_equal(many.u[6:, 3], 0.5)
    near = np.abs(np.asarray(many.u)[6:, None, :3] - u[None, :, :3]).max(axis=-1).min(axis=1)
    assert near.max() < 0.05
    assert near.min() > 0.0


def test_a_learning_rate_falls_from_the_first_to_the_last():
    found = run()
    rates = found.course.traces["rate"][0]
    np.testing.assert_allclose(rates, 0.12 * (0.01 / 0.12) ** (np.arange(18) / 18), rtol=1e-4)
    assert dataclasses.asdict(SOLVER)["members"] == 4  # pyright: ignore[reportArgumentType]


@dataclasses.dataclass(frozen=True)
class Counted(laws.Quadratic):
    """The quadratic, with every gradient that is computed put down."""

    def gradients(self, u, target, key):
        jax.debug.callback(lambda _: COUNTED.append(u.shape[0]), u[0, 0])
        return super().gradients(u, target, key)


COUNTED: list[int] = []


@dataclasses.dataclass(frozen=True)
class Torn(laws.Quadratic):
    """The quadratic, with losses but no slopes where the first knob is above a half."""

    def gradients(self, u, target, key):
        loss, slope = super().gradients(u, target, key)
        return loss, jnp.where(u[:, :1] > 0.5, jnp.nan, slope)


@pytest.mark.parametrize("name", ["hybrid", "adam"])
def test_a_slope_that_is_not_finite_is_counted_and_leads_nowhere(name):
    starts = np.stack([np.full((4, len(laws.BEST)), 0.4), np.full((4, len(laws.BEST)), 0.6)], axis=1)
    starts = starts.reshape(1, 8, len(laws.BEST)).astype(np.float32)
    given = {"targets": laws.bowls(), "starts": starts, "keys": KEY[None], "budget": 400}
    whole = solve(laws.Quadratic(), make_solver(name), **given)
    torn = solve(Torn(), make_solver(name), **given)
    assert whole.course.counts["failures"].tolist() == [0]
    assert torn.course.counts["failures"][0] > 0
    assert np.isfinite(torn.course.loss).all()
    assert torn.loss[0] < 0.7 * torn.course.loss[0, 0]
    if name == "hybrid":
        assert (whole.course.counts["restored"][0], torn.course.counts["restored"][0] > 0) == (0, True)


@pytest.mark.parametrize("budget", [8, 20, 30, 60, 400])
def test_what_is_computed_is_what_is_charged(budget):
    """Where the first leg is left out too: the second is not to go on with its replicas."""
    COUNTED.clear()
    settings = {"budget": budget, "gradient_cost": 4, "keys": KEY[None]}
    found = solve(Counted(), make_solver("hybrid"), laws.bowls(), laws.far_starts(), **settings)
    jax.effects_barrier()
    assert sum(COUNTED) == found.gradients
    assert found.charged == budget
    assert found.loss[0] <= found.course.loss[0, 0]
