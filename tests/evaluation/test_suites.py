"""Suites, hearing, searches and played episodes on the toy environment."""

from typing import Any

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ddsprl.env import evaluate, make_matcher, stage_params
from ddsprl.evaluation.hearing import RANDOM_PRESETS, hear, hear_own, judge, references
from ddsprl.evaluation.methods import do_nothing, random_actions
from ddsprl.evaluation.playing import RandomActions, play
from ddsprl.evaluation.search import Setting, cma_es
from ddsprl.evaluation.suites import JUDGE_KEYS, SUITE_SEED, Stream, make_suite
from tests.env.toy import toy, toy_config


def test_a_suite_is_no_bucket_of_training(suite):
    for split in ("train", "held_out", "reference"):
        others = np.asarray(stage_params(suite.env, 5, split=split, count=8)[0].targets.u)
        assert np.abs(others[:, None] - suite.truth).max(-1).min() > 1e-3
    same = np.asarray(stage_params(suite.env, 5, split="train", count=8, seed=SUITE_SEED)[0].targets.u)
    assert np.abs(same[:, None] - suite.truth).max(-1).min() > 1e-3


def test_an_agent_meets_the_suites_episodes(suite):
    def nothing(key, obs, state):
        return {"module": jnp.array(0), "delta": jnp.zeros(suite.env.n_params)}

    run = jax.jit(lambda k, p: evaluate(suite.env, nothing, k, p, count=suite.count))
    played = run(suite.key(Stream.EPISODE), suite.params)
    chex.assert_trees_all_equal(
        jax.random.key_data(played.state.episode.target_key), jax.random.key_data(suite.episodes.target_key)
    )
    np.testing.assert_allclose(hear_own(suite, suite.start[:, None])[:, 0], played.first_loss, rtol=1e-4)


def test_hearing_is_the_environments(suite):
    keys = jax.random.split(jax.random.key(3), (suite.count, 3))
    u = np.repeat(suite.truth[:, None], 3, axis=1)
    found = hear(suite, u, keys)
    episode = jax.tree.map(lambda x: x[2], suite.episodes)
    wanted = jax.jit(suite.env.judge)(jnp.asarray(u[2, 1]), episode, suite.params, keys[2, 1])
    assert found.loss[2, 1] == pytest.approx(float(wanted.loss), rel=1e-4)
    np.testing.assert_allclose(sum(found.terms.values()), found.loss, rtol=1e-4)


def test_judges_keys_are_nobody_elses(suite):
    judged = jax.vmap(lambda key: jax.random.split(key, JUDGE_KEYS))(suite.keys(Stream.JUDGE)).reshape(-1)
    used = jnp.concatenate([judged, suite.episodes.render_key, suite.episodes.target_key])
    assert len(np.unique(np.asarray(jax.random.key_data(used)), axis=0)) == suite.count * (JUDGE_KEYS + 2)


def test_references(suite):
    found = references(suite)
    np.testing.assert_allclose(found.floor.loss, judge(suite, suite.truth).loss)
    assert (found.random.loss > found.floor.loss).all()
    assert RANDOM_PRESETS == 64 and found.u.shape == suite.truth.shape
    # Judged under keys of their own, the floor is close to what the search hears, and not the same.
    assert (found.own != found.floor.loss).any()


@pytest.mark.parametrize("setting", [Setting(0, 4, 0.2), Setting(3, 4, 0.2)])
def test_cma_es_spends_its_budget_on_the_unlocked_knobs(setting):
    # Below the last stage something is locked.
    small = make_suite(make_matcher(toy_config(stage=2), instrument=toy()), 2, count=3)
    found = cma_es(small, setting, budget=14)
    assert found.renders == 14
    heard_once = setting.starts + (14 - setting.starts) // 4 * 4
    assert found.curve.shape == (3, heard_once)
    assert (np.diff(found.curve, axis=1) <= 0).all()
    locked = np.flatnonzero(small.free == 0)
    assert locked.size
    np.testing.assert_array_equal(found.u[:, locked], small.start[:, locked])
    np.testing.assert_allclose(found.u, np.asarray(small.env.instrument.snap(jnp.asarray(found.u))))
    if not setting.start:
        np.testing.assert_allclose(found.curve[:, 0], hear_own(small, small.start[:, None])[:, 0])


def test_cma_es_gets_better_and_is_repeatable(suite):
    first, again = (cma_es(suite, Setting(8, 8, 0.2), budget=200) for _ in range(2))
    np.testing.assert_array_equal(first.u, again.u)
    chance = references(suite).random.loss
    assert np.median(judge(suite, first.u).loss / chance) < 0.95


def test_too_small_a_budget_is_refused(suite):
    with pytest.raises(ValueError, match="budget of 8"):
        cma_es(suite, Setting(8, 4, 0.2), budget=8)


def test_doing_nothing_is_the_start_of_every_episode(suite):
    found = do_nothing(suite)
    played = play(suite, RandomActions(suite.env), None)
    np.testing.assert_allclose(found.curve[:, 0], played.losses[:, 0], rtol=1e-4)
    assert found.renders == 1


def test_an_episodes_start_is_its_first_render(suite):
    played = play(suite, RandomActions(suite.env), None)
    u, curve = played.best(suite, 5)
    assert curve.shape == (suite.count, 5)
    best = played.losses[:, :5].argmin(axis=1)
    np.testing.assert_allclose(curve[:, -1], hear_own(suite, u[:, None])[:, 0], rtol=1e-4)
    np.testing.assert_allclose(
        u, suite.env.instrument.snap(jnp.asarray(played.knobs[np.arange(suite.count), best]))
    )
    assert random_actions(suite, renders=5).renders == 5


def test_what_comes_after_an_episodes_end_does_not_count(suite):
    played = play(suite, RandomActions(suite.env), None)
    after = np.arange(played.losses.shape[1]) > played.lengths[:, None]
    assert np.isinf(played.losses[after]).all() and np.isfinite(played.losses[~after]).all()
    assert (played.modules[after[:, 1:]] == -1).all()


def test_random_actions_stay_in_what_is_unlocked(suite):
    # They look at nothing, the episode included.
    episode: Any = None
    act = jax.jit(lambda k, p: RandomActions(suite.env)(None, p, k, {}, episode))
    only = suite.params._replace(free=suite.params.free.at[:].set(0.0).at[3].set(1.0))
    modules = {int(act(jax.random.key(i), only)["module"]) for i in range(20)}
    assert modules == {1}
