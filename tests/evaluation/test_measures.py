"""The measures, by hand on a few targets."""

import numpy as np
import pytest

from ddsprl.evaluation.measures import Measured, Yardsticks, duel, excess, meter, renders_to, summary

YARDSTICKS = Yardsticks(np.array([1.0, 0.5, 2.0]), np.array([3.0, 1.5, 2.0]), np.array([1.1, 0.6, 2.1]))
LOSS = np.array([2.0, 0.4, 5.0])
CURVE = np.array([[4.0, 2.0, 1.0], [0.5, 0.5, 0.5], [5.0, 5.0, 2.1]])


def test_excess_is_zero_at_the_floor_and_one_at_the_reference():
    found = excess(LOSS, YARDSTICKS)
    assert found[:2] == pytest.approx([0.5, -0.1])
    assert np.isnan(found[2])  # the reference is not above the floor
    assert excess(YARDSTICKS.floor, YARDSTICKS)[:2] == pytest.approx([0.0, 0.0])
    assert excess(YARDSTICKS.reference, YARDSTICKS)[:2] == pytest.approx([1.0, 1.0])


def test_the_match_meter_stays_between_its_ends():
    assert meter(LOSS, YARDSTICKS)[:2] == pytest.approx([50.0, 100.0])
    assert meter(np.array([9.0, 1.5, 0.0]), YARDSTICKS)[:2] == pytest.approx([0.0, 0.0])


def test_renders_to_a_level_count_from_one_and_may_never_come():
    assert renders_to(CURVE, YARDSTICKS.epsilon).tolist() == [3.0, 1.0, np.inf]  # 2.1 is not below 2.1


def test_a_summary():
    found = summary(Measured(LOSS, CURVE, 6.0, 4), YARDSTICKS)
    assert found["excess"][0] == pytest.approx(0.2)
    assert found["loss"][0] == 2.0
    assert found["meter"][0] == pytest.approx(75.0)
    assert found["success"][0] == pytest.approx(1 / 3)
    assert found["solved"][0] == pytest.approx(2 / 3)
    assert found["renders_to_epsilon"] == 3.0
    assert (found["renders"], found["targets"], found["left_out"], found["seconds"]) == (4, 3, 1, 2.0)


def test_a_median_of_renders_that_is_never_is_none():
    never = np.full_like(CURVE, 9.0)
    assert summary(Measured(LOSS, never, 0.0, 3), YARDSTICKS)["renders_to_epsilon"] is None


def test_nothing_is_measured_where_no_reference_is_above_the_floor():
    blind = YARDSTICKS._replace(reference=YARDSTICKS.floor)
    assert summary(Measured(LOSS, CURVE, 0.0, 3), blind)["excess"] is None


def test_a_duel_counts_wins_and_divides_medians():
    found = duel(LOSS, np.array([3.0, 0.9, 5.0]), YARDSTICKS)
    assert found["wins"][0] == pytest.approx(2.5 / 3)
    assert found["ratio"][0] == pytest.approx(0.2 / 0.7)
