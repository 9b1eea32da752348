"""Recorded demonstrations are what the environment gives; their files are believed only when whole."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ddsprl.agents import action_spec, seen_of, sight_of
from ddsprl.agents.replay import quantize_distance
from ddsprl.env.match.targets import recording_targets
from ddsprl.fitting.core.solver import iteration_cost
from ddsprl.fitting.solvers.registry import make_solver
from ddsprl.io import UserError
from ddsprl.training.demonstrations.planning import (
    PRESET,
    STARTS,
    Disturbance,
    EpisodeProblem,
    carried_out,
    edit_towards,
    task_of,
)
from ddsprl.training.demonstrations.playing import LINGER, SEGMENT, Way, begin, play
from ddsprl.training.demonstrations.recording import CPU_GROUP, record
from synth_jax import Note
from tests.training.warm import BUDGET, EPISODES, made, recorded, warm

NO_DISTURBANCE, WILD = Disturbance(0.0, 0.0), Disturbance(1.0, 1.0)


@functools.cache
def program(name, **settings):
    """Compiled once for all tests."""
    env = made().env
    spec = action_spec(env.action)

    def whole(key, params, obs, state, goal, disturbance):
        under = begin(env, obs, state)
        steps = env.config.steps
        way, given = Way(goal, disturbance, key), {"sight": sight_of(env.observation)} | settings
        return play(env, params, state.episode, under, way, steps=steps, **given)[1]

    functions = {
        "play": whole,
        "edit": lambda goal, state, params: edit_towards(goal, state, params, env, spec),
        "judge": env.judge,
        "scores": EpisodeProblem(env).scores,
        "gradients": EpisodeProblem(env).gradients,
    }
    return jax.jit(functions[name])


def start(params, place=2):
    return made().reset_at(jax.random.key(5), params, jnp.asarray(place))


@pytest.fixture(scope="module")
def played():
    """One undisturbed and one disturbed episode towards the target's own preset, from the neutral patch."""
    cold = made().cold
    obs, state = start(cold)
    goal, key = state.episode.u, jax.random.key(1)
    return (
        obs,
        state,
        *(
            program("play")(key, cold, obs, state, goal, noise)
            for noise in (NO_DISTURBANCE, Disturbance(0.5, 0.5))
        ),
    )


def test_a_row_is_what_the_environment_gives(played):
    m, sight = made(), sight_of(made().env.observation)
    obs, state, *episodes = played
    for rows, _, kept, *_ in episodes:
        current, now = obs, state
        for i in range(int(kept.sum())):
            action = {"module": rows.module[i], "delta": rows.delta[i]}
            found = m.step(jax.random.key(0), now, action, m.cold)
            np.testing.assert_allclose(rows.rest[i], seen_of(current, sight).rest, rtol=1e-4, atol=1e-4)
            np.testing.assert_allclose(
                rows.next_rest[i], seen_of(found.obs, sight).rest, rtol=1e-4, atol=1e-4
            )
            np.testing.assert_allclose(rows.reward[i], found.reward, rtol=1e-4, atol=1e-4)
            assert bool(rows.terminated[i]) == bool(found.terminated)
            # Rounding may fall the other way where a value lies between two levels.
            level = quantize_distance(current["current"], current["target"])
            assert np.abs(np.asarray(rows.away[i], int) - np.asarray(level, int)).max() <= 1
            current, now = found.obs, found.state


def test_rows_end_where_the_episode_ends(played):
    m = made()
    _, state, plain, disturbed = played
    for episode in played[2:]:
        kept = np.asarray(episode.kept)
        count = kept.sum()
        assert kept[:count].all()
        assert not np.asarray(episode.solved)[: count - 1].any()
    # The demonstrator knew the target's own preset, so it gets there, disturbed or not.
    there = program("judge")(state.episode.u, state.episode, m.cold, state.episode.render_key).loss
    for episode, factor in ((plain, 1.05), (disturbed, 1.3)):
        best = np.asarray(episode.loss)[np.asarray(episode.kept)].min()
        assert best < factor * float(there)


def test_a_demonstrator_that_has_arrived_soon_stops():
    m = made()
    hard = m.cold._replace(epsilon=jnp.float32(-1.0))
    obs, state = start(hard)
    goal = state.episode.u
    state = state._replace(u=goal)
    found = program("play")(jax.random.key(1), hard, obs, state, goal, NO_DISTURBANCE)
    assert int(found.kept.sum()) == LINGER


def test_edits_close_the_gap_of_the_farthest_module():
    m = made()
    _, state = start(m.cold, 0)
    goal = state.u.at[m.index("tilt")].add(0.15).at[m.index("amp_decay")].add(-0.05)
    edit = program("edit")(goal, state, m.cold)
    assert int(edit.module) == 1
    np.testing.assert_allclose(edit.delta[m.index("tilt")], 0.75, atol=1e-5)
    np.testing.assert_allclose(edit.delta[m.index("amp_decay")], -0.25, atol=1e-5)
    np.testing.assert_allclose(edit.farthest, 0.15, atol=1e-5)


def test_a_discrete_knob_is_led_to_the_middle_of_its_choice_until_it_is_heard():
    m = made()
    unison = m.index("osc1_unison")
    _, state = start(m.cold, 0)
    goal = m.env.instrument.snap(state.u.at[unison].set(0.5))
    before = state._replace(u=state.u.at[unison].set(0.41))
    heard = state._replace(u=state.u.at[unison].set(0.43))
    assert float(program("edit")(goal, before, m.cold).delta[unison]) == pytest.approx(0.45, abs=1e-4)
    assert float(program("edit")(goal, heard, m.cold).delta[unison]) == 0.0


def test_locked_knobs_and_barred_modules_stay_out():
    m = made()
    spec, tilt = action_spec(m.env.action), m.index("tilt")
    only = m.cold._replace(free=jnp.zeros(m.d).at[tilt].set(1.0))
    _, state = start(only, 0)
    edit = program("edit")(1.0 - state.u, state, only)
    assert int(edit.module) == 1
    assert np.flatnonzero(np.asarray(edit.delta)).tolist() == [tilt]
    act = jax.vmap(lambda key: carried_out(key, edit, only.free, spec, Disturbance(1.0, 1.0)))
    module, delta = act(jax.random.split(jax.random.key(0), 64))
    assert set(np.asarray(module).tolist()) == {1}
    assert set(np.flatnonzero(np.abs(np.asarray(delta)).max(axis=0)).tolist()) == {tilt}
    # At the goal every allowed gap is 0, and a barred module still does not win.
    assert int(program("edit")(state.u, state, only).module) == 1


def test_a_solver_hears_what_the_environment_hears():
    m = made()
    _, state = start(m.params, 1)
    task = task_of(state, m.params)
    u = jax.random.uniform(jax.random.key(2), (3, m.d))
    found = program("scores")(u, task, jax.random.key(9))
    for i in range(3):
        judged = program("judge")(u[i], state.episode, m.params, jax.random.key(9))
        np.testing.assert_allclose(found[i], judged.loss + sum(judged.penalties.values()), rtol=1e-4)
    loss, slope = program("gradients")(u, task, jax.random.key(9))
    np.testing.assert_allclose(loss, found, rtol=1e-4)
    assert slope.shape == (3, m.d)


def test_a_recording_says_what_it_is():
    demos, m = recorded(), made()
    about = demos.about
    solver = make_solver("cma_es", population=16)
    cost = iteration_cost(solver, 3)
    assert about.charged == BUDGET
    assert (BUDGET - STARTS) // cost > 5
    assert (about.solver, about.budget, about.episodes, about.stage) == ("cma_es", BUDGET, EPISODES, 5)
    assert demos.count <= about.played <= EPISODES * (m.env.config.steps + SEGMENT)
    assert about.best_loss < 0.7 * about.start_loss
    assert about.best_loss <= about.end_loss
    ended = demos.rows.terminated
    # No episode goes on after its end.
    assert (np.diff(demos.episode)[np.flatnonzero(ended[:-1])] == 1).all()
    assert about.terminated == pytest.approx(ended.sum() / EPISODES)


@functools.cache
def informed():
    """Of known presets, undisturbed; no sound is close enough, so that every goal is reached."""
    m, key = made(), jax.random.key(8)
    hard = m.params._replace(epsilon=jnp.float32(-1.0))
    demos = record(m.env, hard, warm(demonstrations=20, solver=PRESET), key, disturbance=NO_DISTURBANCE)
    order_key, run_key = jax.random.split(key)
    return hard, demos, jax.random.permutation(order_key, EPISODES)[:20], run_key


def test_a_known_preset_is_the_goal_and_costs_no_search():
    m = made()
    hard, demos, chosen, _ = informed()
    about = demos.about
    assert (about.solver, about.budget, about.charged, about.episodes) == (PRESET, 0, 0, 20)
    # A group of episodes is left once it has ended.
    assert demos.count <= about.played < 20 * m.env.config.steps
    last = np.flatnonzero(np.diff(demos.episode, append=-1))
    knobs, wanted = demos.rows.next_rest[last, 3 : 3 + m.d], np.asarray(hard.targets.u)[np.asarray(chosen)]
    last_heard, goal = (m.env.instrument.snap(jnp.asarray(x)) for x in (knobs, wanted))
    np.testing.assert_allclose(last_heard, goal, atol=1e-4)
    # On the way a sound may by chance come out better than the goal itself, whose noise is not the target's.
    assert about.goal_loss <= 1.02 * about.best_loss < 0.5 * about.start_loss


def test_episodes_come_in_the_order_of_their_numbers_with_the_rows_that_the_environment_gives():
    m = made()
    hard, demos, chosen, run_key = informed()
    for i in (0, 7, 19):
        start_key = jax.random.split(jax.random.fold_in(run_key, i), 3)[0]
        obs, state = m.reset_at(start_key, hard, chosen[i])
        rows = np.flatnonzero(demos.episode == i)
        assert len(rows) > LINGER
        for row in rows:
            rest = seen_of(obs, sight_of(m.env.observation)).rest
            np.testing.assert_allclose(demos.rows.rest[row], rest, rtol=1e-4, atol=1e-4)
            gap = np.asarray(state.episode.u - state.u)
            np.testing.assert_allclose(
                demos.labels.delta[row][[3, 4, 5]], np.clip(gap[[3, 4, 5]] / 0.2, -1.0, 1.0), atol=1e-3
            )
            action = {"module": demos.rows.module[row], "delta": demos.rows.delta[row]}
            obs, state, reward, terminated, *_ = m.step(jax.random.key(0), state, action, hard)
            np.testing.assert_allclose(demos.rows.reward[row], reward, rtol=1e-4, atol=1e-4)
            assert bool(demos.rows.terminated[row]) == bool(terminated)


def test_presets_of_recordings_are_not_known():
    m = made()
    notes = Note(*(jnp.ones((2, 1)) for _ in range(3)))
    targets = recording_targets(m.env.instrument, np.zeros((2, 1, m.env.instrument.n_samples)), notes)
    with pytest.raises(UserError, match="recordings") as caught:
        record(m.env, m.params._replace(targets=targets), warm(solver=PRESET), jax.random.key(0))
    assert "\n" not in str(caught.value)


def test_disturbed_actions_differ_from_labels_and_undisturbed_ones_do_not():
    demos, m = recorded(), made()
    spec = action_spec(m.env.action)
    clean = spec.belongs[demos.labels.module] * demos.labels.delta
    same = (demos.rows.module == demos.labels.module) & (np.abs(clean - demos.rows.delta).max(axis=1) < 1e-6)
    assert 0.1 < 1.0 - same.mean() < 0.4
    assert set(np.unique(demos.rows.module)) == {0, 1, 2, 3}
    # Deltas of other modules are zero in what was carried out.
    assert not np.any(demos.rows.delta * (1.0 - spec.belongs[demos.rows.module]))
    starts = demos.rows.rest[np.flatnonzero(np.diff(demos.episode, prepend=-1)), 3 : 3 + m.d]
    cold = np.all(np.isclose(starts, m.env.instrument.default, atol=1e-6), axis=1)
    assert 0 < cold.sum() < EPISODES


def test_recording_again_gives_the_same():
    # As many as are recorded side by side, so that nothing is compiled anew.
    m, few = made(), warm(demonstrations=CPU_GROUP)
    a, b = (record(m.env, m.params, few, jax.random.key(1)) for _ in range(2))
    for x, y in zip(jax.tree.leaves((a.rows, a.labels)), jax.tree.leaves((b.rows, b.labels)), strict=True):
        np.testing.assert_array_equal(x, y)
    assert a.about == b.about


def test_time_among_the_observed_makes_the_time_limit_an_end():
    m = made()
    never = m.cold._replace(epsilon=jnp.float32(-1.0))
    obs, state = start(never)
    run = program("play", sight=sight_of(made().env.observation, finite_horizon=True))
    found = run(jax.random.key(1), never, obs, state, state.episode.u, WILD)
    np.testing.assert_array_equal(np.flatnonzero(found.rows.terminated), [m.env.config.steps - 1])
    assert not np.asarray(found.solved).any()
    np.testing.assert_allclose(found.rows.next_rest[-1, -1], 1.0)


def test_what_cannot_be_recorded_is_one_line():
    m = made()
    few = warm(demonstrations=CPU_GROUP)
    for config, words in (
        (dataclasses.replace(few, budget=3), "budget of 3"),
        (dataclasses.replace(few, solver="cma"), "cma_es"),
        (dataclasses.replace(few, demonstrations=0), "is 0"),
    ):
        with pytest.raises(UserError, match=words) as caught:
            record(m.env, m.params, config, jax.random.key(0))
        assert "\n" not in str(caught.value)
