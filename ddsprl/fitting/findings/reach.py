"""Out of reach: can this instrument make this sound at all?

The loss of a match is compared with the losses of matches of sounds that the instrument made itself (random
presets, which are within reach by construction). Worse than nearly all of these means that the sound is
probably not one of the instrument's, with a false-alarm rate that is known: of sounds within reach, that
share does at least as badly.

    conditions = Conditions(method="hybrid", budget=3072, sample_rate=16_000, duration_s=0.5, note="given")
    verdict = judge_reach(result.loss, known_losses(instrument), conditions=conditions)
    print(verdict.sentence)

The tables are in `data/reach.json`, made by `python benchmarks/reach.py` from the rows of the match
benchmark: losses of matches of 64 random presets, by instrument and table of knobs, with the conditions under
which they were made. Under others the losses are on another scale (a small budget and an estimated note make
them larger, other rates and lengths either way), so that the false-alarm rate is a guess; the verdict then
says which conditions differ. A larger budget is none of these: it makes losses smaller, so that sounds within
reach do as badly less often than is said. An instrument without a table is not judged by another's: the
verdict says so. Both measures are kept there: `loss` as it is, and `ratio`, the loss over that of the best of
512 random presets. The loss is the default: the ratio forgives, because sounds that are out of reach are as
far from random presets as from the match.
"""

import json
from functools import lru_cache
from importlib.resources import files
from typing import NamedTuple

import numpy as np

from synth_jax import Instrument
from synth_jax.params import table_digest

# Up to these false-alarm rates a match is called out of reach, or at the edge.
OUT, EDGE = 0.05, 0.20
UNKNOWN = "reach unknown"
MEASURES = ("loss", "ratio")


class Conditions(NamedTuple):
    """What the losses of matches depend on, besides the sound.

    Attributes:
        method: of the search.
        budget: renders.
        sample_rate: of the comparison, Hz.
        duration_s: of the clips.
        note: `given` or `estimated`.
        locked: knobs that could not move.
        start: of the search.
    """

    method: str
    budget: int
    sample_rate: int
    duration_s: float
    note: str
    locked: int = 0
    start: str = "guess"


# How a condition that differs is put to people: that of the table, and the one here.
WORDS = {
    "method": "{}, not {}",
    "budget": "{:,} renders, not {:,}",
    "sample_rate": "{:,} Hz, not {:,}",
    "duration_s": "{:g} s, not {:g}",
    "note": "notes {}, not {}",
    "locked": "{} locked knobs, not {}",
    "start": "starts of {}, not {}",
}


class KnownLosses(NamedTuple):
    """Losses of matches of sounds that an instrument made itself.

    Attributes:
        conditions: under which they were made.
        values: by measure, rising, `[n]` each.
    """

    conditions: Conditions
    values: dict[str, np.ndarray]


class Reach(NamedTuple):
    """What a match's loss says about the instrument's reach.

    Attributes:
        percentile: share of the sounds within reach that were matched better, percent; None without a table.
        verdict: `within reach`, `at the edge of reach`, `probably out of reach`; without a table `UNKNOWN`.
        sentence: the same for people, with its false-alarm rate.
        false_alarm: how often a sound within reach does at least as badly, in (0, 1]; None without a table.
        differs: in words, each condition that the table does not cover; with any, `false_alarm` is a guess,
            without it is a rate, or with a larger budget at most that.
    """

    percentile: float | None
    verdict: str
    sentence: str
    false_alarm: float | None
    differs: tuple[str, ...] = ()


def judge_reach(
    value: float,
    known: KnownLosses | None,
    *,
    measure: str = "loss",
    conditions: Conditions | None = None,
) -> Reach:
    """Where a match stands among matches of sounds within reach.

    The false-alarm rate is (1 + n_worse) / (1 + n), n_worse counting those at least as bad: the p-value of a
    rank test, which holds for any distribution of losses and is never 0, because n is finite.

    Args:
        value: of the match, in the measure's unit; what is not finite is out of reach.
        known: of the instrument, see `known_losses`; None where there is no table of it.
        measure: `loss`, or `ratio` to the best of 512 random presets.
        conditions: under which the match was made; those of the table if None.

    Raises:
        ValueError: no such measure.
    """
    if measure not in MEASURES:
        raise ValueError(f"measure is {measure!r}; allowed are {', '.join(MEASURES)}")
    if known is None:
        sentence = "whether this sound is within reach is not known: no table exists for this instrument"
        return Reach(None, UNKNOWN, sentence, None)
    table = known.values[measure]
    n = len(table)
    worse = int(np.sum(table >= value)) if np.isfinite(value) else 0
    false_alarm = (1 + worse) / (1 + n)
    percentile = 100.0 * (n - worse) / n
    verdict = "within reach"
    if false_alarm <= EDGE:
        verdict = "probably out of reach" if false_alarm <= OUT else "at the edge of reach"
    sentence = (
        f"matched better than {100.0 - percentile:.0f} % of {n} sounds that the instrument made itself: "
    )
    if percentile >= 50.0:
        sentence = f"matched worse than {percentile:.0f} % of {n} sounds that the instrument made itself: "
    sentence += verdict
    if verdict != "within reach":
        sentence += f"; about {max(1, round(100.0 * false_alarm))} in 100 sounds within reach do as badly"
    differs = () if conditions is None else differences(conditions, known.conditions)
    if differs:
        sentence += f" (a rough guide: those were matched with {'; '.join(differs)})"
    return Reach(percentile, verdict, sentence, false_alarm, differs)


def differences(conditions: Conditions, table: Conditions) -> tuple[str, ...]:
    """The conditions that a table does not cover, in words."""
    # With more renders sounds within reach are matched better, so the table's rate holds as a bound.
    covered = conditions._replace(budget=min(conditions.budget, table.budget))
    return tuple(
        words.format(getattr(table, name), getattr(covered, name))
        for name, words in WORDS.items()
        if getattr(table, name) != getattr(covered, name)
    )


def known_losses(instrument: Instrument) -> KnownLosses | None:
    """The stored table of an instrument with these knobs; None if there is none."""
    return _stored().get((instrument.name, table_digest(instrument.table)))


@lru_cache(maxsize=1)
def _stored() -> dict[tuple[str, str], KnownLosses]:
    text = files("ddsprl.fitting.findings").joinpath("data", "reach.json").read_text(encoding="utf-8")
    found = {}
    for entry in json.loads(text)["tables"]:
        values = {name: np.sort(np.asarray(x, float)) for name, x in entry["values"].items()}
        known = KnownLosses(Conditions(**entry["conditions"]), values)
        found[entry["instrument"], entry["table"]] = known
    return found
