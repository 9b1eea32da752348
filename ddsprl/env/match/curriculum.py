"""Curriculum: five stages, each with more knobs unlocked than the last, and when to go on.

A stage adds the knobs whose names fit its patterns; masks and buckets follow from the instrument's table, and
the last stage takes all the rest, so that any instrument has these stages (some may add nothing).

    state = CurriculumState(stage=1, passes=0)
    state = advance(state, median_loss, thresholds, patience=2)       # after every evaluation
    params, _ = stage_params(env, state.stage)                       # same shapes: nothing compiles anew
"""

import fnmatch
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from synth_jax.params import Table


@dataclass(frozen=True)
class Stage:
    """One stage.

    Attributes:
        number: from 1.
        name: for people.
        patterns: of the names of the knobs that it adds, as file names are matched.
    """

    number: int
    name: str
    patterns: tuple[str, ...]


STAGES = (
    Stage(1, "levels and mix", ("level", "*_level", "master_volume")),
    Stage(2, "filter", ("filter_cutoff", "filter_resonance")),
    Stage(3, "amp envelope", ("amp_*",)),
    Stage(4, "unison", ("*_unison", "*_detune_cents")),
    Stage(5, "everything", ("*",)),
)


def check_stage(number: int) -> int:
    """Return `number` after checking that there is such a stage.

    Raises:
        ValueError: there is none.
    """
    if not (isinstance(number, int) and 1 <= number <= len(STAGES)):
        raise ValueError(f"stage: {number!r}; allowed are 1 to {len(STAGES)}")
    return number


def free_mask(table: Table, stage: int) -> np.ndarray:
    """1 for the knobs that a stage and those before it unlock, float32 `[d]`."""
    patterns = [p for s in STAGES[: check_stage(stage)] for p in s.patterns]
    free = [any(fnmatch.fnmatchcase(spec.name, p) for p in patterns) for spec in table]
    return np.array(free, np.float32)


class CurriculumState(NamedTuple):
    """Where training stands.

    Attributes:
        stage: from 1.
        passes: evaluations in a row that were good enough for the next.
    """

    stage: int = 1
    passes: int = 0


def advance(
    state: CurriculumState, median_loss: float, thresholds: Sequence[float], *, patience: int = 2
) -> CurriculumState:
    """Count an evaluation; the next stage when enough in a row stayed under the stage's threshold.

    Args:
        state: before the evaluation.
        median_loss: over held-out presets of the stage, of the best sound of each episode. One that is not
            finite never passes.
        thresholds: one a stage.
        patience: evaluations in a row that must pass.

    Returns:
        The state after it; on the last stage the passes go on counting.
    """
    passes = state.passes + 1 if median_loss < thresholds[state.stage - 1] else 0
    if passes >= patience and state.stage < len(STAGES):
        return CurriculumState(state.stage + 1, 0)
    return CurriculumState(state.stage, passes)
