"""The hybrid law step by step, with losses and gradients handed to it; its ablations on a quadratic."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import laws
from ddsprl.fitting.core.solve import solve
from ddsprl.fitting.core.solver import Answer, Space, Start, hears_fresh_noise
from ddsprl.fitting.solvers.coordinates import to_bounded
from ddsprl.fitting.solvers.hybrid import Hybrid, HybridState
from ddsprl.fitting.solvers.monitor import DIVERGING, WINDOW
from ddsprl.fitting.solvers.schedule import ScheduleConfig

D, KEY = 3, jax.random.key(5)
SPACE = Space(jnp.asarray([1.0, 1.0, 0.0]), jnp.asarray([0.0, 0.0, 0.25]), jnp.zeros(D))
START = Start(jnp.asarray([[0.5, 0.5, 0.25], [0.2, 0.8, 0.25]]), jnp.asarray([1.0, 2.0]))
CALM = ScheduleConfig(adaptive=True, dither=0.0)
LAW = Hybrid(replicas=2, probes=0, exchange_every=0, schedule=CALM)
STILL = [[0.0] * D] * 2
# Constant steps, momentum and dither.
LANGEVIN = ScheduleConfig(
    adaptive=False, first_rate=0.1, last_rate=0.1, momentum=0.0, momentum_span=0.0, dither=0.05
)


def begin(solver: Hybrid) -> HybridState:
    return solver.init(KEY, START, SPACE)


def turn(solver: Hybrid, state: HybridState, loss, slope=STILL, score=(), i: int = 0) -> HybridState:
    """One iteration with given answers."""
    ask, tell = jax.random.split(jax.random.fold_in(KEY, i))
    query, state = solver.ask(ask, state, jnp.float32(0.0))
    told = Answer(*(jnp.asarray(x, jnp.float32) for x in (score, loss, slope)))
    return solver.tell(tell, state, query, told)


def places(state: HybridState) -> np.ndarray:
    return np.asarray(to_bounded(state.course.z))


def test_replicas_begin_at_the_starts_and_go_downhill():
    state = begin(LAW)
    np.testing.assert_allclose(places(state), START.u, atol=1e-5)
    after = turn(LAW, state, [1.0, 2.0], [[1.0, -1.0, 0.0], [0.0, 0.0, 0.0]])
    moved = places(after) - np.asarray(START.u)
    assert moved[0, 0] < -0.01
    assert moved[0, 1] > 0.01
    np.testing.assert_allclose(moved[1], 0.0, atol=1e-5)


@pytest.mark.parametrize("what", ["loss", "slope", "bad loss"])
def test_a_replica_that_is_not_finite_is_put_back_and_counted(what):
    downhill = [[1.0, -1.0, 0.0], [1.0, 1.0, 0.0]]
    state = turn(LAW, begin(LAW), [0.9, 1.9], downhill)
    state = turn(LAW, state, [0.8, 1.8], downhill, i=1)
    best = np.asarray(state.best.u)
    loss, slope = [0.7, 1.7], [row[:] for row in downhill]
    if what == "slope":
        slope[1][0] = np.inf
    else:
        loss[1] = np.nan if what == "loss" else 1e6
    state = turn(LAW, state, loss, slope, i=2)
    assert state.restored == 1
    np.testing.assert_allclose(places(state)[1], best[1], atol=1e-5)
    np.testing.assert_array_equal(state.best.u[1], best[1])
    assert np.abs(places(state)[0] - best[0]).max() > 0.01
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(state))


@pytest.mark.parametrize("watch", [True, False])
def test_a_diverging_replica_backs_off_to_its_best(watch):
    solver = replace(LAW, watch=watch)
    state, uphill = begin(solver), [[-0.1, 0.1, 0.0], [0.0, 0.0, 0.0]]
    best, step = None, state.course.gains.step[0]
    for i in range(WINDOW // 2):
        best = np.asarray(state.best.u[0])
        step = state.course.gains.step[0]
        state = turn(solver, state, [1.0 + 0.5 * i + 0.01 * (-1) ** i, 2.0], uphill, i=i)
    assert state.backed_off == int(watch)
    if watch:
        # Put back before the step that this iteration still makes, of half the size and without momentum.
        first = LAW.schedule.first_rate
        assert np.abs(places(state)[0] - best).max() < 0.25 * first
        assert state.course.gains.step[0] < 0.6 * step
        assert state.course.monitor.count[0] == 0
    else:
        assert np.abs(places(state)[0] - best).max() > 0.1
    assert state.course.monitor.count[1] == WINDOW // 2
    # The trace tells what made the guard act, although the monitor has begun anew.
    trace = solver.trace(state)
    assert (trace["verdict"], trace["backed_off"]) == (DIVERGING, int(watch))
    assert trace["drift"] > 0.4
    assert trace["confidence"] < 0.01


def test_a_loss_that_only_equals_the_best_is_no_progress():
    state = begin(LAW)
    for i in range(8):
        state = turn(LAW, state, [1.0, 2.0 - 0.1 * (i + 1)], i=i)
    assert state.course.gains.plateau.tolist() == [8, 0]
    assert state.course.gains.heat[0] > state.course.gains.heat[1]


def test_no_step_is_longer_than_the_slew_nor_a_gradient_than_its_clip():
    wild = replace(LAW, schedule=replace(CALM, first_rate=50.0))
    after = turn(wild, begin(wild), [1.0, 2.0], [[1e8, -1e8, 0.0], [1e-3, 0.0, 0.0]])
    moved = np.abs(places(after) - np.asarray(START.u))
    np.testing.assert_allclose(moved.max(), wild.slew, atol=1e-4)
    np.testing.assert_allclose(np.linalg.norm(after.course.last_slope[0]), wild.clip_norm, rtol=1e-4)


def test_locked_knobs_never_move():
    solver = Hybrid(schedule=ScheduleConfig(dither=0.3, dither_floor=1.0))
    found = laws.solved(solver, targets=laws.bowls(locked={0: 0.0, 2: 0.625}), budget=600)
    np.testing.assert_array_equal(found.archive.u[0, :, 0], 0.0)
    np.testing.assert_array_equal(found.archive.u[0, :, 2], np.float32(0.625))
    hot = replace(LAW, schedule=ScheduleConfig(dither=0.3, dither_floor=1.0))
    state = begin(hot)
    for i in range(5):
        state = turn(hot, state, [1.0, 2.0], i=i)
    np.testing.assert_allclose(places(state)[:, 2], 0.25, atol=1e-5)
    assert np.abs(places(state)[1, :2] - START.u[1, :2]).max() > 0.05


def test_the_coldest_replica_is_not_thrown_and_the_others_are():
    hot = replace(LAW, schedule=LANGEVIN)
    state = turn(hot, begin(hot), [1.0, 2.0])
    np.testing.assert_allclose(places(state)[0], START.u[0], atol=1e-5)
    assert np.abs(places(state)[1] - START.u[1]).max() > 1e-3


def test_langevin_is_a_setting():
    """Without gradient a lone replica is a random walk with steps of the stated size; with one it drifts."""
    walker = Hybrid(replicas=1, probes=0, exchange_every=0, shape="identity", watch=False, schedule=LANGEVIN)
    one = jax.jit(lambda state, i: turn(walker, state, [1.0], [[0.0] * D], i=i))
    state, steps = begin(walker), []
    for i in range(200):
        before = places(state)[0]
        state = one(state, i)
        inside = (before > 0.2) & (before < 0.8) & (np.asarray(SPACE.free) > 0)
        steps.extend((places(state)[0] - before)[inside])
        np.testing.assert_allclose(walker.trace(state)["sigma"], LANGEVIN.dither)
    assert len(steps) > 100
    np.testing.assert_allclose(np.std(steps), LANGEVIN.dither, rtol=0.2)


def test_at_an_exchange_the_best_of_replicas_and_probes_take_the_slots():
    solver = Hybrid(replicas=2, probes=4, exchange_every=2, schedule=CALM, reserved=0)
    state = begin(solver)
    query, _ = solver.ask(jax.random.split(jax.random.fold_in(KEY, 0))[0], state, jnp.float32(0.0))
    state = turn(solver, state, [1.0, 2.0], score=[5.0, 0.5, 6.0, 7.0])
    np.testing.assert_allclose(places(state), START.u, atol=1e-5)
    state = turn(solver, state, [1.0, 2.0], score=[5.0, 5.0, 6.0, np.nan], i=1)
    np.testing.assert_allclose(places(state)[0], np.clip(query.score[1], 2e-3, 1 - 2e-3), atol=1e-5)
    np.testing.assert_allclose(places(state)[1], START.u[0], atol=1e-5)
    np.testing.assert_allclose(state.best.loss, [0.5, 1.0])
    assert (np.asarray(state.probes.loss) > 1e5).all()


def test_reserved_slots_are_for_probes_and_survivors_go_on():
    """The best replica keeps its place, momentum and age; the other slot is a probe's, though it is worse."""
    solver = Hybrid(replicas=2, probes=4, exchange_every=2, schedule=CALM, reserved=1)
    state, downhill = begin(solver), [[1.0, -1.0, 0.0], [1.0, 1.0, 0.0]]
    query, _ = solver.ask(jax.random.split(jax.random.fold_in(KEY, 0))[0], state, jnp.float32(0.0))
    state = turn(solver, state, [0.9, 1.9], downhill, score=[5.0, 3.0, 6.0, 7.0])
    before = places(state)[0]
    state = turn(solver, state, [0.8, 1.8], downhill, score=[5.0, 5.0, 6.0, np.nan], i=1)
    np.testing.assert_allclose(state.best.loss, [0.8, 3.0])
    assert state.course.age.tolist() == [2, 0]
    assert np.abs(np.asarray(state.course.first[0, :2])).min() > 0.0
    # It stands where its last step led, not at its best.
    assert places(state)[0, 0] < before[0]
    np.testing.assert_array_equal(state.course.first[1], 0.0)
    np.testing.assert_allclose(places(state)[1], np.clip(query.score[1], 2e-3, 1 - 2e-3), atol=1e-5)


def test_a_reserved_slot_stays_with_its_replica_when_no_probe_was_finite():
    solver = Hybrid(replicas=2, probes=4, exchange_every=1, schedule=CALM, reserved=1)
    state = turn(solver, begin(solver), [1.0, 2.0], score=[np.nan] * 4)
    np.testing.assert_allclose(state.best.loss, [1.0, 2.0])
    np.testing.assert_allclose(places(state), START.u, atol=1e-5)


ABLATIONS = {
    "no dither": Hybrid(schedule=CALM),
    "no exchange": Hybrid(exchange_every=0),
    "as shipped": Hybrid(),
    "adaptive schedule": Hybrid(schedule=ScheduleConfig(adaptive=True)),
    "no probes": Hybrid(probes=0),
    "no monitor": Hybrid(watch=False),
    "no crossing": Hybrid(cross_starts=False),
    "descent": LAW,
    "side by side to the end": Hybrid(alone=0.0),
    "langevin": Hybrid(replicas=2, probes=0, exchange_every=0, alone=0.0, schedule=LANGEVIN),
}


@pytest.mark.parametrize("name", list(ABLATIONS))
def test_every_ablation_runs_and_descends(name):
    found = laws.solved(ABLATIONS[name], budget=1001)
    assert found.charged == 1001
    assert found.loss[0] < 0.1 * found.course.loss[0, 0]
    assert all(np.isfinite(curve).all() for curve in found.course.traces.values())
    if ABLATIONS[name].schedule.dither == 0.0:
        assert (found.course.traces["sigma"] == 0.0).all()


def test_the_best_goes_on_alone_and_the_step_falls_as_if_nothing_had_happened():
    # Without the monitor, which halves the step of what diverges.
    law = Hybrid(watch=False)
    found = laws.solved(law, budget=1001)
    cost = np.diff(found.course.renders[0])
    side_by_side = int((cost == cost[0]).sum())
    assert cost[0] == 8 + 4 * laws.GRADIENT_COST and set(cost[side_by_side:]) == {laws.GRADIENT_COST}
    # It begins at the best of all so far, and the step depends on the share of the budget alone.
    begun = found.course.traces["loss"][0, side_by_side]
    near = 1e-3 * found.course.loss[0, 0]
    np.testing.assert_allclose(begun, found.course.loss[0, side_by_side], atol=near)
    config, spent = ScheduleConfig(), (found.course.renders[0][:-1] - 8) / (1001 - 8)
    expected = config.first_rate * (config.last_rate / config.first_rate) ** spent
    np.testing.assert_allclose(found.course.traces["alpha"][0], expected, rtol=0.06)


def test_a_share_that_is_none_is_refused():
    for alone in (-0.1, 1.0):
        with pytest.raises(ValueError, match=f"alone is {alone}; allowed"):
            Hybrid(alone=alone)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"replicas": 0}, "replicas is 0; allowed are 1 and more"),
        ({"probes": -1}, "probes is -1; allowed are 0 and more"),
        ({"shape": "sensitivty*bounds"}, "no dither shape 'sensitivty'.*sensitivity"),
    ],
)
def test_settings_that_search_nothing_are_refused(settings, said):
    with pytest.raises(ValueError, match=said):
        Hybrid(**settings)


class Noisy(laws.Quadratic):
    """A bowl whose losses are off by what the noise key says, the slopes not."""

    def gradients(self, u, target, key):
        loss, slope = super().gradients(u, target, key)
        return loss + 0.01 * jax.random.normal(key), slope


def test_the_best_alone_hears_fresh_noise_and_begins_an_archive_of_its_own():
    keys = jax.random.split(jax.random.key(0), 1)
    given = {"targets": laws.bowls(), "starts": laws.far_starts(), "budget": 1001, "keys": keys}

    def found(**settings):
        return solve(Noisy(), Hybrid(watch=False, **settings), gradient_cost=laws.GRADIENT_COST, **given)

    plain, heard = found(fresh=False), found()
    cost = np.diff(plain.course.renders[0])
    together = int((cost == cost[0]).sum())
    np.testing.assert_array_equal(heard.course.loss[:, : together + 1], plain.course.loss[:, : together + 1])
    # At the end it stands still: what a loss still does is the noise's doing.
    assert plain.course.traces["loss"][0, -50:].std() < 1e-3
    assert 5e-3 < heard.course.traces["loss"][0, -50:].std() < 2e-2
    # The first that counts of the new archive is the best of the old one, heard again.
    assert heard.course.loss[0, together + 1] == heard.course.traces["loss"][0, together]


def test_losses_of_the_starts_are_nothing_to_who_hears_fresh_noise():
    law = Hybrid(replicas=1, probes=0, exchange_every=0, alone=0.0, schedule=ScheduleConfig(last_rate=0.1))
    assert hears_fresh_noise(law)
    state, uphill = law.init(KEY, Start(START.u, jnp.asarray([-5.0, 2.0])), SPACE), [[-1.0, 1.0, 0.0]]
    np.testing.assert_allclose(places(state), START.u[:1], atol=1e-5)
    # It falls, then rises: the guard puts it back to the best that it heard, not to where it began.
    losses = [2.0, 1.0] + [1.5 + 0.5 * i + 0.01 * (-1) ** i for i in range(WINDOW)]
    lowest = None
    for i, loss in enumerate(losses):
        asked = np.asarray(places(state)[0])
        state = turn(law, state, [loss], uphill, i=i)
        lowest = asked if loss == 1.0 else lowest
        # The first loss has none before it: nothing drops from the loss of a start.
        assert state.course.monitor.count[0] == i or state.backed_off
        if state.backed_off:
            break
    assert state.backed_off == 1
    np.testing.assert_array_equal(state.best.u[0], lowest)
    assert np.abs(places(state)[0] - lowest).max() < 0.05
    assert np.abs(np.asarray(START.u[0]) - lowest).max() > 0.02


def test_who_hears_fresh_noise():
    together, alone = (leg.solver for leg in Hybrid().legs)
    assert not hears_fresh_noise(together) and hears_fresh_noise(alone)
    assert not any(hears_fresh_noise(leg.solver) for leg in Hybrid(fresh=False).legs)
    # A search that is alone from the beginning hears it throughout; one that is never alone does not.
    assert hears_fresh_noise(Hybrid(replicas=1, probes=0, exchange_every=0).legs[0].solver)
    assert not hears_fresh_noise(Hybrid(alone=0.0).legs[0].solver)
