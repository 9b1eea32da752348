"""What is out of reach, by a table that is known."""

import dataclasses

import numpy as np
import pytest

from ddsprl.fitting.findings.reach import (
    EDGE,
    MEASURES,
    OUT,
    UNKNOWN,
    Conditions,
    KnownLosses,
    differences,
    judge_reach,
    known_losses,
)
from ddsprl.fitting.inversion.methods import DEFAULT_BUDGET
from synth_jax import Instrument, serum_lite, sine

CONDITIONS = Conditions("hybrid", 3_072, 16_000, 0.5, "given")


def losses(values) -> KnownLosses:
    return KnownLosses(CONDITIONS, {"loss": np.asarray(values)})


def stored(instrument: Instrument) -> KnownLosses:
    found = known_losses(instrument)
    assert found is not None
    return found


KNOWN = losses(np.arange(1.0, 100.0))  # 99 values
STORED = stored(serum_lite())


@pytest.mark.parametrize(
    ("value", "percentile", "false_alarm", "verdict"),
    [
        (0.5, 0.0, 1.0, "within reach"),
        (50.5, 100 * 50 / 99, 0.5, "within reach"),
        (85.0, 100 * 84 / 99, 0.16, "at the edge of reach"),
        (97.5, 100 * 97 / 99, 0.03, "probably out of reach"),
        (1e9, 100.0, 0.01, "probably out of reach"),
        (np.nan, 100.0, 0.01, "probably out of reach"),
    ],
)
def test_verdicts(value, percentile, false_alarm, verdict):
    found = judge_reach(value, KNOWN)
    assert found.percentile == pytest.approx(percentile)
    assert found.false_alarm == pytest.approx(false_alarm)
    assert found.verdict == verdict
    assert verdict in found.sentence


def test_sentences():
    said = judge_reach(97.5, KNOWN).sentence
    assert said.startswith(
        "matched worse than 98 % of 99 sounds that the instrument made itself: probably out"
    )
    assert said.endswith("about 3 in 100 sounds within reach do as badly")
    assert judge_reach(0.5, KNOWN).sentence.startswith("matched better than 100 % of 99")


def test_false_alarms_are_as_often_as_said():
    rng = np.random.default_rng(0)
    rates = np.array([judge_reach(x[0], losses(x[1:])).false_alarm for x in rng.normal(size=(4000, 60))])
    for level in (OUT, EDGE):
        assert (rates <= level).mean() == pytest.approx(np.floor(level * 60) / 60, abs=0.012)


def test_the_stored_table():
    table = STORED.values
    assert set(table) == set(MEASURES)
    assert all((np.diff(values) >= 0).all() and len(values) >= 64 for values in table.values())
    assert judge_reach(float(np.median(table["loss"])), STORED).verdict == "within reach"
    assert judge_reach(8.0, STORED).verdict == "probably out of reach"
    assert judge_reach(0.1, STORED, measure="ratio").verdict == "within reach"
    with pytest.raises(ValueError, match="measure is 'yardstick'"):
        judge_reach(1.0, STORED, measure="yardstick")


def test_a_larger_budget_is_covered():
    """Its losses are smaller, so that the rate is an upper bound."""
    same = STORED.conditions
    assert differences(same._replace(budget=2 * same.budget), same) == ()
    assert len(differences(same._replace(budget=same.budget - 1), same)) == 1


def test_other_conditions_are_said():
    same = STORED.conditions
    assert (same.budget, same.note) == (DEFAULT_BUDGET, "given")
    assert judge_reach(1.0, STORED, conditions=same) == judge_reach(1.0, STORED)
    other = same._replace(method="rounds", budget=2_048, locked=1)
    assert differences(other, same) == (
        "hybrid, not rounds",
        "3,072 renders, not 2,048",
        "0 locked knobs, not 1",
    )
    found = judge_reach(1.0, STORED, conditions=other)
    assert found.differs == differences(other, same)
    assert found.sentence.endswith("3,072 renders, not 2,048; 0 locked knobs, not 1)")
    assert "a rough guide" in found.sentence
    assert differences(same._replace(start="random"), same) == ("starts of guess, not random",)
    assert found.verdict == judge_reach(1.0, STORED).verdict


def test_another_instrument_is_not_judged_by_this_ones_table():
    assert known_losses(sine()) is None
    other = dataclasses.replace(serum_lite(), table=serum_lite().table[1:])
    assert known_losses(other) is None
    found = judge_reach(1.0, None, conditions=CONDITIONS)
    assert (found.verdict, found.percentile, found.false_alarm, found.differs) == (UNKNOWN, None, None, ())
    assert "no table exists for this instrument" in found.sentence
