"""The loop on the device: seeds, traces, exploration, learning, time limits."""

import functools
from typing import Any

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ddsprl.agents.ascent import STEEPEST
from ddsprl.env import EnvParams, stage_params
from ddsprl.training.loop import Training
from tests.training.tiny import toy_training

pytestmark = pytest.mark.slow


def match(training: Training) -> Any:
    """Its environment, as the one that it is."""
    return training.env


@functools.cache
def stage(training: Training, number: int = 5) -> EnvParams:
    """Of one seed, with a leading axis."""
    return jax.tree.map(lambda x: x[None], stage_params(match(training), number)[0])


def keys(*seeds: int) -> jax.Array:
    return jnp.stack([jax.random.key(seed) for seed in seeds])


def both(trees):
    return jax.tree.map(lambda *x: jnp.concatenate(x), *trees)


def copied(loop):
    """For whoever advances what others still look at."""
    return jax.tree.map(jnp.copy, loop)


def traces() -> int:
    program: Any = Training.advance
    return program._cache_size()


def data(x):
    return jax.random.key_data(x) if jnp.issubdtype(x.dtype, jax.dtypes.prng_key) else x


def filled_up(loop):
    """With transitions enough to choose by the policy."""
    replay = loop.experience.replay._replace(filled=jnp.asarray(250))
    return loop._replace(experience=loop.experience._replace(replay=replay))


def chosen_in(training, key, loop):
    return training.agent.explore(key, loop.agent, loop.experience, training.views(loop))


@pytest.fixture(scope="module")
def plain():
    return toy_training()


@pytest.fixture(scope="module")
def begun(plain):
    """Two new runs."""
    return [plain.init(keys(seed), stage(plain)) for seed in (0, 7)]


@pytest.fixture(scope="module")
def course(plain, begun):
    """One of them after every call, with the metrics."""
    loop, found = copied(begun[0]), []
    for _ in range(4):
        loop, metrics = plain.advance(loop, stage(plain))
        found.append((copied(loop), metrics))
    return found


def test_everything_moves_on_and_learning_waits_for_its_transitions(plain, course):
    settings = plain.config.loop
    (early, none), (later, metrics) = course[0], course[1]
    assert settings.learn_after == 12 * settings.n_envs and settings.chunk == 10
    assert early.agent.updates[0] == 0 and np.isnan(none["critic_loss"])
    # Transitions are added before learning, so the twelfth iteration is the first with enough.
    assert later.agent.updates[0] == 20 - 11
    assert all(np.all(np.isfinite(x)) for x in metrics.values())
    assert later.steps[0] == 20
    assert later.experience.replay.filled[0] == plain.agent.sac.config.capacity


def test_the_same_key_gives_the_same_loop_bit_for_bit(plain, begun, course):
    again, _ = plain.advance(copied(begun[0]), stage(plain))
    again, _ = plain.advance(again, stage(plain))
    chex.assert_trees_all_equal(jax.tree.map(data, course[1][0]), jax.tree.map(data, again))


def test_agents_side_by_side_are_the_agents_one_by_one(begun, course):
    """Up to rounding, which a batched product orders differently."""
    two = toy_training(seeds=2)
    params, loop = both([stage(two)] * 2), both(begun[::-1])
    for _ in range(2):
        loop, metrics = two.advance(loop, params)
    alone, last = course[1]
    first, second = (jax.tree.map(lambda x, i=i: data(x)[i : i + 1], loop) for i in (0, 1))
    expected = jax.tree.map(data, alone)
    # A rounding may fall on the other side of a level.
    pictures = [tree.experience.replay.rows.away.astype(int) for tree in (second, expected)]
    np.testing.assert_allclose(*pictures, atol=1)
    agents = second.agent, expected.agent
    chex.assert_trees_all_close(*agents, rtol=1e-3, atol=5e-3)
    chex.assert_trees_all_close(second.obs, expected.obs, rtol=1e-3, atol=5e-3)
    chex.assert_trees_all_close(second.tally, expected.tally, rtol=1e-3)
    chex.assert_trees_all_equal(second.key, expected.key)
    np.testing.assert_allclose(metrics["critic_loss"][1:], last["critic_loss"], rtol=1e-2)
    assert not np.allclose(first.obs["current"], second.obs["current"])


def test_a_promotion_compiles_nothing_anew_and_keeps_the_replay(plain, course):
    before, loop = traces(), course[1][0]
    promoted = plain.new_episodes(loop, keys(3), stage(plain, 1), jnp.array([True]))
    chex.assert_trees_all_equal(promoted.experience, loop.experience)
    np.testing.assert_array_equal(promoted.envs.env.t, 0)
    kept = plain.new_episodes(loop, keys(3), stage(plain, 1), jnp.array([False]))
    chex.assert_trees_all_equal(kept.obs, loop.obs)
    start = int(promoted.experience.replay.cursor[0])
    rows = plain.advance(promoted, stage(plain, 1))[0].experience.replay.rows
    assert traces() == before
    # The levels alone are unlocked now.
    new = (start + np.arange(160)) % plain.agent.sac.config.capacity
    assert np.all((np.asarray(rows.delta)[0, new] != 0) <= (np.asarray(stage(plain, 1).free) > 0))


def test_early_a_fixed_share_of_modules_is_not_the_likeliest(plain, course):
    tally = jax.tree.map(lambda x: float(x[0]), course[3][0].tally)
    # The first twelve iterations are random, and no choices of the policy.
    share = tally.shares["off_mode"]
    assert share.whole == 16 * (40 - 12)
    assert 0.2 < share.part / share.whole < 0.3
    # Of 80 iterations a half, not counting the random ones.
    early, _ = plain.advance(copied(course[3][0]), stage(plain))
    between, _ = plain.advance(early, stage(plain))
    before = float(between.tally.shares["off_mode"].part[0])
    later, _ = plain.advance(between, stage(plain))
    late = (float(later.tally.shares["off_mode"].part[0]) - before) / (16 * 10)
    # The policy is still close to uniform over four modules, which is what draws from it then show.
    assert late > 0.5


def test_the_tally_counts_episodes(course):
    """Five steps an episode, so that twenty iterations end four in every row, or more of those solved."""
    tally = jax.tree.map(lambda x: float(x[0]), course[1][0].tally)
    assert tally.episodes >= 4 * 16 and 0 <= tally.solved <= tally.episodes
    assert 0 < tally.lengths <= 20 * 16
    assert tally.best_loss > 0 and tally.first_loss > 0 and tally.returns < 0
    # Without a finite horizon only what was solved has ended.
    assert float(np.sum(np.asarray(course[0][0].experience.replay.rows.terminated))) == float(
        course[0][0].tally.solved[0]
    )


def test_with_a_finite_horizon_the_networks_see_the_time(plain):
    """What then counts as an end is tested with `transition_of`."""
    finite: Any = toy_training(loop__finite_horizon=True)
    assert finite.agent.sight.vectors == (*plain.agent.sight.vectors, "time")
    assert finite.agent.sac.seen.rest == plain.agent.sac.seen.rest + 1
    loop = jax.eval_shape(finite.init, keys(0), stage(finite))
    after, _ = jax.eval_shape(
        finite._chunk, *jax.tree.map(lambda x: jax.eval_shape(lambda y: y[0], x), (loop, stage(finite)))
    )
    assert after.experience.replay.rows.rest.shape[-1] == finite.agent.sac.seen.rest


def test_evaluations_are_exact(plain, begun):
    state = jax.tree.map(lambda x: x[0], begun[0].agent)
    params = jax.tree.map(lambda x: x[0], stage(plain))
    first, second = (plain.evaluate(state, jax.random.key(1), params) for _ in range(2))
    chex.assert_trees_all_equal(first.best_loss, second.best_loss)
    assert first.best_loss.shape == (4,)


def test_the_teacher_leads_to_the_targets(plain, begun):
    """From the knobs to the target's, at full speed where that is far; what is heard right is left alone."""
    params = jax.tree.map(lambda x: x[0], stage(plain))
    envs = jax.tree.map(lambda x: x[0], begun[0].envs)
    module, delta = plain.env.action.split(plain.taught(envs, params))
    instrument, table = plain.env.instrument, plain.env.instrument.table
    goals, heard = (np.asarray(instrument.snap(x)) for x in (envs.env.episode.u, envs.env.u))
    discrete = np.array([spec.choices > 0 for spec in table])
    still = discrete & (np.abs(heard - goals) < 1e-4)
    gap = np.where(still, 0.0, goals - np.asarray(envs.env.u))
    np.testing.assert_allclose(delta, np.clip(gap / float(params.delta_max), -1, 1), atol=1e-4)
    far = np.square(gap) @ plain.agent.sac.actions.belongs.T
    np.testing.assert_array_equal(module, far.argmax(axis=1))


def test_every_other_episode_begins_with_an_opening():
    training = toy_training(agent__opening=1, agent__goal_weight=0.5)
    loop = filled_up(jax.tree.map(lambda x: x[0], training.init(keys(0), stage(training))))
    choose = jax.jit(lambda key, loop: chosen_in(training, key, loop))
    first, modules = choose(keys(1)[0], loop), 4
    opens = np.arange(16) % 2 == 0
    np.testing.assert_array_equal(first.notes.own, ~opens)
    # The toy's first module has its turn first, and nothing of it counts as the policy's choice.
    module, counted = first.action["module"], first.shares["off_mode"].whole
    assert not np.any(np.asarray(module)[opens]) and not np.any(counted[opens])
    state = loop.envs.env
    late = loop._replace(envs=loop.envs._replace(env=state._replace(t=jnp.full(16, modules))))
    np.testing.assert_array_equal(choose(keys(1)[0], late).notes.own, 1.0)


def test_an_actor_learns_from_the_slope_of_the_reward_that_it_was_paid():
    """Slopes against differences of the environment's own steps; then an update by them alone."""
    training: Any = toy_training(agent__reward_gradient=1.0)
    params = jax.tree.map(lambda x: x[0], stage(training))
    loop = jax.tree.map(lambda x: x[0], training.init(keys(3), stage(training)))
    filled = filled_up(loop)
    key = jax.random.key(5)

    @jax.jit
    def play(loop):
        views, choice = training.views(loop), chosen_in(training, key, loop)
        step = training.played(key, loop.envs, views, choice, params)
        return step, training.agent.played(step)

    paid, played = play(filled)
    _, at_random = play(loop)
    assert played is not None and at_random is not None
    np.testing.assert_array_equal(at_random.slope, 0.0)
    # The deltas are those of the key that is handed on.
    policy = jax.vmap(lambda k, s, a: training.agent.sac.policy(loop.agent.actor, s, a).delta.sample(k).value)
    again = policy(played.key, played.seen, played.allowed)
    module, delta = (np.asarray(x) for x in training.env.action.split(paid.choice.action))
    chosen = delta != 0
    np.testing.assert_allclose(np.where(chosen, again, 0.0), delta, atol=1e-6)
    env, h = training.env, 1e-2
    step = jax.jit(jax.vmap(lambda s, m, d: env.step(key, s, {"module": m, "delta": d}, params).reward))
    # Of the deltas' own slopes, which the policy hears scaled by the room that is left towards them.
    slope = np.asarray(played.slope)
    slope = slope / np.maximum(np.where(slope > 0, 1 - delta, 1 + delta), 1e-6)
    # A clamp passes slopes on where differences are 0: knobs that stay between their stops only.
    knobs = np.asarray(loop.envs.env.u) + float(params.delta_max) * delta
    within = chosen & (np.abs(delta) < 0.95) & (knobs > 0.02) & (knobs < 0.98)
    norm = np.linalg.norm(slope, axis=1)
    direction = np.where(within, slope, 0.0)
    expected = np.linalg.norm(direction, axis=1)
    direction = direction / np.maximum(expected, 1e-9)[:, None]
    ends = [step(loop.envs.env, module, delta + s * h * direction) for s in (1, -1)]
    difference = (np.asarray(ends[0]) - np.asarray(ends[1])) / (2 * h)
    # Scaled down where it is steep, and no slope at all at kinks (snapped knobs, a new best).
    gentle = (norm < 0.99 * STEEPEST) & (expected > 0.05)
    close = np.abs(difference - expected)[gentle] < 0.03 * expected[gentle]
    assert gentle.sum() >= 5 and close.mean() > 0.7
    mask = training.env.mask(params)
    learn = jax.jit(lambda x: training.agent.learn(key, x.agent, x.experience, paid, mask))
    after, metrics = learn(filled)
    assert all(np.isfinite(x).all() for x in jax.tree.leaves(after.actor))
    assert metrics["reward_slope"] > 0.05
