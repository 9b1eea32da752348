"""Promotion: when, how far, and what the stages share."""

import dataclasses

import jax
import numpy as np
import pytest

from ddsprl.env import CurriculumState
from ddsprl.training.config import CurriculumConfig
from ddsprl.training.curricula import Curricula
from ddsprl.training.match import mixed
from synth_jax import INSTRUMENTS
from tests.env.toy import toy
from tests.training.tiny import toy_training


@pytest.fixture(autouse=True)
def _has_a_name(monkeypatch):
    """Settings count the stages of an instrument by its name."""
    monkeypatch.setitem(INSTRUMENTS, "toy", lambda *_: toy())


def curricula(**settings) -> Curricula:
    training = toy_training(seeds=2)
    given = {"threshold": 1.0, "evaluate_episodes": 3} | settings
    config = dataclasses.replace(training.config, curriculum=CurriculumConfig(**given))
    return Curricula(config, training.env)


def test_a_seed_is_promoted_by_its_own_evaluations():
    found = curricula(patience_evaluations=2, last_stage=2)
    assert [found.count(0, loss) for loss in (0.9, 1.1, 0.9, 0.9)] == [False, False, False, True]
    assert found.states == [CurriculumState(2, 0), CurriculumState(1, 0)]
    # The last stage is never left.
    assert not any(found.count(0, 0.1) for _ in range(3))
    assert found.states[0] == CurriculumState(2, 3)


def test_without_a_curriculum_the_last_stage_is_the_first():
    found = curricula(enabled=False, last_stage=3, patience_evaluations=1)
    assert found.states == [CurriculumState(3, 0)] * 2
    assert not found.count(1, 0.0)
    assert found.states == [CurriculumState(3, 0)] * 2


def test_every_seed_has_the_parameters_of_its_stage():
    found = curricula(patience_evaluations=1, first_stage=2)
    before = found.stacked()
    found.count(1, 0.5)
    after = found.stacked()
    assert jax.tree.map(np.shape, before) == jax.tree.map(np.shape, after)
    np.testing.assert_array_equal(after.free[0], before.free[0])
    assert np.sum(after.free[1]) > np.sum(after.free[0])
    held_out = found.of_stage(1).held_out
    assert held_out.targets.u is not None and held_out.targets.u.shape[0] == 3
    assert held_out.warm_start_probability == 0.0


def test_all_targets_bring_guesses_where_they_are_observed(monkeypatch):
    def guessed(env, params):
        assert env is found._env
        u = params.targets.u
        return params._replace(targets=params.targets._replace(guess=np.concatenate([u, u], axis=1)))

    monkeypatch.setattr("ddsprl.training.match.with_guesses", guessed)
    found = curricula(first_stage=2, rehearsal=0.5)
    made = found.of_stage(2)
    for params in made:
        assert params.targets.guess is not None and params.targets.u is not None
        d = params.targets.u.shape[1]
        np.testing.assert_array_equal(params.targets.guess[:, :d], params.targets.u)
    assert found.stacked().targets.guess is not None


def test_a_loss_that_is_not_finite_never_passes():
    assert not curricula(patience_evaluations=1).count(0, float("nan"))


def test_thresholds_are_the_committed_ones_unless_given():
    with pytest.raises(ValueError, match="epsilon"):
        curricula(threshold=None).thresholds()
    assert curricula().thresholds() == (1.0,) * 5


def test_earlier_stages_are_rehearsed_with_their_own_masks():
    found = curricula(rehearsal=0.5)
    third, own = found.of_stage(3), [found.of_stage(number).own for number in (1, 2, 3)]
    size = third.own.targets.notes.midi.shape[0]
    each = round(0.5 * size / 2)
    parts = [(own[2], size - 2 * each), (own[0], each), (own[1], each)]
    known = [np.asarray(params.targets.u)[:count] for params, count in parts]
    masks = [np.tile(params.free, (count, 1)) for params, count in parts]
    np.testing.assert_array_equal(third.train.targets.u, np.concatenate(known))
    np.testing.assert_array_equal(third.train.targets.free, np.concatenate(masks))
    assert np.sum(masks[0][0]) > np.sum(masks[1][0])
    # The first stage has nothing before it, and the same shapes, so that a promotion compiles nothing anew.
    first = found.of_stage(1).train
    np.testing.assert_array_equal(first.targets.u, own[0].targets.u)
    assert jax.tree.map(np.shape, first) == jax.tree.map(np.shape, third.train)
    assert jax.tree.structure(first) == jax.tree.structure(third.train)
    assert third.own.targets.free is None and third.held_out.targets.free is None


def test_a_share_of_less_than_a_target_rehearses_nothing():
    found = curricula(rehearsal=0.01).of_stage(3)
    np.testing.assert_array_equal(found.train.targets.u, found.own.targets.u)


def test_margins_of_rehearsed_targets_are_those_of_their_stage():
    own = [curricula().of_stage(n).own._replace(epsilon=np.float32(n)) for n in (1, 2)]
    two = own[0]._replace(targets=jax.tree.map(lambda x: x[:2], own[0].targets))
    margin = np.asarray(mixed(own[1], [two]).targets.margin)
    assert margin.tolist() == [2.0] * (margin.size - 2) + [1.0] * 2


def test_training_targets_are_other_ones_with_time_and_the_same_at_the_same_time():
    found = curricula(refresh_every=10)
    first = found.of_stage(2)
    found.at(9)
    assert found.of_stage(2) is first
    found.at(10)
    second = found.of_stage(2)
    assert not np.any(np.all(np.asarray(second.train.targets.u) == first.train.targets.u, axis=-1))
    np.testing.assert_array_equal(second.held_out.targets.u, first.held_out.targets.u)
    assert jax.tree.map(np.shape, second) == jax.tree.map(np.shape, first)
    resumed = curricula(refresh_every=10)
    resumed.at(19)
    np.testing.assert_array_equal(resumed.of_stage(2).train.targets.u, second.train.targets.u)
    constant = curricula()
    constant.at(10**6)
    np.testing.assert_array_equal(constant.of_stage(2).train.targets.u, first.train.targets.u)
