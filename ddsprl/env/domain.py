"""A kind of environment, as training meets it: its settings, its tasks, and what it can do beside.

A plain environment needs the first five fields of `Domain`. What else training may make use of is named by
the others, and left out where they are None: stages of rising difficulty, a teacher, demonstrations.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from ddsprl.env.contract import EnvironmentConfig


class Draw(NamedTuple):
    """Tasks to be drawn.

    Attributes:
        stage: from 1; 1 where there are no stages.
        split: `train` or `held_out`: tasks that have nothing in common.
        count: how many; None as the environment is configured.
        seed: other tasks for another one.
    """

    stage: int
    split: str = "train"
    count: int | None = None
    seed: int = 0


@dataclass(frozen=True)
class Stages:
    """Stages of rising difficulty; parameters of all of them have equal shapes.

    Attributes:
        count: of checked settings, how many there are, numbered from 1.
        thresholds: median evaluation loss of an environment under which each stage is passed; raises
            ValueError where nobody knows.
        mixed: a stage's parameters with the last of its tasks replaced by those of other parameters.
        floors: of episodes' last states under held-out parameters, losses that nobody can be below, `[n]`.
    """

    count: Callable[[Any], int]
    thresholds: Callable[[Any], tuple[float, ...]]
    mixed: Callable[[Any, Sequence[Any]], Any]
    floors: Callable[[Any, Any], np.ndarray]


def no_check(config: Any, env: Any) -> None:
    """Nothing to find fault with."""


@dataclass(frozen=True)
class Domain:
    """A kind of environment.

    Attributes:
        settings: those of a run by default, with the name under which it stands in the table.
        make: the environment of checked settings. Raises ValueError, naming a setting.
        params: parameters of an environment with tasks as a `Draw` says.
        example: parameters of the same structure that cost nothing, with few tasks of any kind.
        check: whether a run's settings suit its environment, before anything is written; raises a one-line
            error.
        stages: None for one stage that is never passed.
        teacher: from environment, state and parameters what one would do who knows the task: an action with
            numbers of all groups. None where nobody knows.
        demonstrated: whether `ddsprl.training.demonstrations` knows how to record episodes of it.
    """

    settings: EnvironmentConfig
    make: Callable[[Any], Any]
    params: Callable[[Any, Draw], Any]
    example: Callable[[Any], Any]
    check: Callable[[Any, Any], None] = no_check
    stages: Stages | None = None
    teacher: Callable[[Any, Any, Any], Any] | None = None
    demonstrated: bool = False
