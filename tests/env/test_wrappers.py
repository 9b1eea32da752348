"""Automatic reset: fresh targets, final observations, statistics, agreement with the raw step, gradients."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ddsprl.env import AutoReset

KEY = jax.random.key(8)
N = 5


@pytest.fixture(scope="module")
def many(made):
    return AutoReset(made.env, N)


@pytest.fixture(scope="module")
def programs(many):
    return jax.jit(many.reset), jax.jit(many.step)


def still(made, n=N):
    return {"module": jnp.zeros(n, jnp.int32), "delta": jnp.zeros((n, made.d))}


def with_clock(state, t):
    """The same episodes at other times."""
    return state._replace(env=state.env._replace(t=jnp.asarray(t, jnp.int32)))


def test_only_ended_rows_begin_anew(made, programs):
    reset, step = programs
    never = made.cold._replace(epsilon=jnp.float32(0.0))
    _, state = reset(KEY, never)
    last = made.env.config.steps - 1
    state = with_clock(state, [last, 0, 3, last, 5])
    found = step(KEY, state, still(made), never)
    ended = np.array([True, False, False, True, False])
    np.testing.assert_array_equal(found.truncated, ended)
    np.testing.assert_array_equal(found.state.env.t, [0, 1, 4, 0, 6])
    np.testing.assert_array_equal(found.obs["time"][:, 0] == 0.0, ended)
    np.testing.assert_array_equal(found.info["final_obs"]["time"][:, 0] == 1.0, ended)
    keys = jax.random.key_data
    old, new = keys(state.env.episode.render_key), keys(found.state.env.episode.render_key)
    np.testing.assert_array_equal(np.any(old != new, axis=-1), ended)
    # The first observation belongs to the new target, the last one to the old.
    target = found.state.env.episode.heard.log_mel
    np.testing.assert_array_equal(found.obs["target"], target)
    old_target = state.env.episode.heard.log_mel
    np.testing.assert_array_equal(found.info["final_obs"]["target"], old_target)
    np.testing.assert_array_equal(found.info["final"].u, state.env.u)
    np.testing.assert_array_equal(np.all(found.state.env.history.module == -1, axis=1), ended)


def test_targets_are_fresh_every_time(made, programs):
    """Over many resets most of the bucket is seen, not one cached episode."""
    reset, step = programs
    always = made.cold._replace(epsilon=jnp.float32(1e3))
    _, state = reset(KEY, always)
    seen = set()
    for i in range(8):
        found = step(jax.random.fold_in(KEY, i), state, still(made), always)
        assert np.all(found.terminated)
        state = found.state
        seen |= set(np.asarray(state.env.episode.index).tolist())
    assert len(seen) >= 8


def test_rows_agree_with_the_raw_step(made, programs):
    reset, step = programs
    _, state = reset(KEY, made.cold)
    delta = jax.random.uniform(KEY, (N, made.d), minval=-1.0)
    action = {"module": jnp.arange(N) % 4, "delta": delta}
    found = step(KEY, state, action, made.cold)
    for i in range(N):
        one = jax.tree.map(lambda x, i=i: x[i], (state.env, action))
        raw = made.step(KEY, *one, made.cold)
        np.testing.assert_allclose(found.reward[i], raw.reward, atol=1e-3)
        seen = jax.tree.map(lambda x, i=i: x[i], found.info["final_obs"])
        chex.assert_trees_all_close(seen, raw.obs, atol=2e-3)


def test_chunks_change_nothing(made, programs):
    reset, step = programs
    chunked = AutoReset(made.env, N, chunk=2)
    _, state = reset(KEY, made.params)
    whole = step(KEY, state, still(made), made.params)
    parts = jax.jit(chunked.step)(KEY, state, still(made), made.params)
    chex.assert_trees_all_close(whole.obs, parts.obs, atol=2e-3)
    np.testing.assert_allclose(whole.reward, parts.reward, atol=1e-3)


def test_scan_traces_once_and_counts_episodes(made, many):
    steps = 3 * made.env.config.steps
    never = made.cold._replace(epsilon=jnp.float32(0.0))

    def play(key):
        reset_key, step_key = jax.random.split(key)
        _, state = many.reset(reset_key, never)

        def advance(state, key):
            found = many.step(key, state, still(made), never)
            return found.state, (found.reward, found.truncated, found.info["episode_return"])

        return jax.lax.scan(advance, state, jax.random.split(step_key, steps))[1]

    reward, ended, totals = jax.tree.map(np.asarray, jax.jit(chex.assert_max_traces(play, n=1))(KEY))
    assert ended.sum() == 3 * N
    per_episode = reward.reshape(3, -1, N).sum(axis=1)
    np.testing.assert_allclose(totals[ended.any(axis=1)], per_episode, rtol=1e-4)


def test_gradients_flow_within_episodes_and_stop_between_them(made, many):
    never = made.cold._replace(epsilon=jnp.float32(0.0))
    _, state = jax.jit(many.reset)(KEY, never)
    last = made.env.config.steps - 1
    state = with_clock(state, [last, 0, 0, 0, 0])

    def second_reward(delta):
        action = {"module": jnp.zeros(N, jnp.int32), "delta": delta}
        first = many.step(KEY, state, action, never)
        return jnp.sum(many.step(KEY, first.state, still(made), never).reward)

    slope = np.asarray(jax.jit(jax.grad(second_reward))(jnp.full((N, made.d), 0.2)))
    assert np.all(np.isfinite(slope))
    np.testing.assert_array_equal(slope[0], 0.0)  # its first step ended the episode
    assert np.all(np.any(slope[1:] != 0.0, axis=1))


def test_episodes_may_be_cut_short_as_if_by_the_time_limit(made):
    """With a probability of a half about half of those that go on, and never one that is solved."""
    half = AutoReset(made.env, N, cut=0.5)
    never = made.cold._replace(epsilon=jnp.float32(0.0))
    begin, step = jax.jit(half.reset), jax.jit(half.step)
    _, state = begin(KEY, never)
    found, ended = None, 0
    for i in range(40):
        found = step(jax.random.key(i), state, still(made), never)
        assert not np.any(found.terminated)
        ended += int(np.sum(found.truncated))
        np.testing.assert_array_equal(found.state.env.t == 0, found.truncated)
        np.testing.assert_array_equal(found.info["episode_length"], state.lengths + 1)
        state = found.state
    assert abs(ended - 20 * N) < 4 * np.sqrt(10 * N)
    ends = made.cold._replace(epsilon=jnp.float32(100.0))
    found = step(KEY, begin(KEY, ends)[1], still(made), ends)
    assert np.all(found.terminated) and not np.any(found.truncated)
