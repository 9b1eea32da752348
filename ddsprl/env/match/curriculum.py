"""Curriculum: stages, each with more knobs unlocked than the last, and when to go on.

The stages are an instrument's own (`Knowledge.stages`), and after them one with all the rest: an instrument
of which none are known has that one only.

    state = CurriculumState(stage=1, passes=0)
    state = advance(state, median_loss, thresholds, patience=2)       # after every evaluation
    params, _ = stage_params(env, state.stage)                       # same shapes: nothing compiles anew
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from synth_jax import Instrument
from synth_jax.knowledge import Stage

EVERYTHING = "everything"


def stages_of(instrument: Instrument) -> tuple[Stage, ...]:
    """The stages of an instrument, numbered from 1; the last one adds all knobs that no other did."""
    own = instrument.knowledge.stages
    named = {name for stage in own for name in stage.knobs}
    rest = tuple(spec.name for spec in instrument.table if spec.name not in named)
    return (*own, Stage(EVERYTHING, rest))


def check_stage(number: int, instrument: Instrument) -> int:
    """Return `number` after checking that there is such a stage.

    Raises:
        ValueError: there is none.
    """
    count = len(stages_of(instrument))
    if not (isinstance(number, int) and 1 <= number <= count):
        allowed = f"allowed are 1 to {count}" if count > 1 else "the only one is 1"
        raise ValueError(f"stage: {number!r}; of {instrument.name} {allowed}")
    return number


def free_mask(instrument: Instrument, stage: int) -> np.ndarray:
    """1 for the knobs that a stage and those before it unlock, float32 `[d]`."""
    stages = stages_of(instrument)[: check_stage(stage, instrument)]
    free = {name for unlocked in stages for name in unlocked.knobs}
    return np.array([spec.name in free for spec in instrument.table], np.float32)


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
        thresholds: one a stage; promotion ends at the last.
        patience: evaluations in a row that must pass.

    Returns:
        The state after it; on the last stage the passes go on counting.
    """
    passes = state.passes + 1 if median_loss < thresholds[state.stage - 1] else 0
    if passes >= patience and state.stage < len(thresholds):
        return CurriculumState(state.stage + 1, 0)
    return CurriculumState(state.stage, passes)
