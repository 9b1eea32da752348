"""Guesses as a baseline, and as what an agent is told: of the unlocked knobs, for one instrument."""

import numpy as np
import pytest

from ddsprl.env import EnvConfig, make_matcher
from ddsprl.evaluation.hearing import hear_own, snapped
from ddsprl.evaluation.methods import GUESSES, guesses, methods
from ddsprl.evaluation.suites import make_suite
from tests.env.toy import OBJECTIVE, toy, toy_config

CONFIG = EnvConfig(epsilon=0.1, objective=OBJECTIVE, guess=True, steps=4)
RENDERS = 20


@pytest.fixture(scope="module")
def suite():
    return make_suite(make_matcher(CONFIG), 2, count=3)


def test_the_best_guess_by_its_own_hearing_counts_and_locked_knobs_stay(suite):
    found = guesses(suite, renders=RENDERS)
    assert found.curve.shape == (3, RENDERS) and found.renders == RENDERS
    assert np.all(np.diff(found.curve, axis=1) <= 0.0)
    np.testing.assert_allclose(hear_own(suite, found.u[:, None])[:, 0], found.curve[:, -1], rtol=1e-4)
    np.testing.assert_array_equal(found.u[:, suite.free == 0], suite.truth[:, suite.free == 0])
    again = guesses(suite, renders=RENDERS)
    np.testing.assert_array_equal(again.u, found.u)


def test_its_first_preset_is_what_an_agent_is_told(suite):
    told = np.asarray(suite.params.targets.guess)[:, : suite.env.n_params]
    preset = snapped(suite, suite.filled(told[:, None, suite.knobs]))
    first = hear_own(suite, preset)[:, 0]
    np.testing.assert_allclose(guesses(suite, renders=RENDERS).curve[:, 0], first, rtol=1e-3)


def test_they_are_there_for_the_instrument_that_they_were_trained_for_alone(suite):
    assert GUESSES in methods((8,), None, suite.env)
    assert GUESSES not in methods((8,), None, make_matcher(toy_config(), instrument=toy()))
