"""The stages of every seed: parameters of the environment, held-out tasks, promotion.

A stage's tasks are shared by the seeds that stand on it. Training tasks are drawn anew every so many
iterations (`curriculum.refresh_every`): which draw is the present one is a function of the iteration, so that
a resumed run has the same. All stages have equal shapes, so a promotion compiles nothing anew. An environment
without stages has one, which is never passed.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from ddsprl.env import CurriculumState, Environment, advance
from ddsprl.env.domain import Draw
from ddsprl.training.config import RunConfig

# Held-out tasks for training's own evaluations; those of `ddsprl.evaluate` have seeds of their own.
HELD_OUT_SEED = 1_000
# Between the seeds of successive draws of training tasks.
_DRAW_STRIDE = 1_000_003


class StageParams(NamedTuple):
    """The environment's parameters on one stage.

    Attributes:
        own: with tasks of this stage alone.
        train: with the training tasks, of which a part may be of the stages before.
        held_out: with as many other tasks as an evaluation has episodes.
    """

    own: Any
    train: Any
    held_out: Any


class Curricula:
    """Where every seed stands, and what belongs to the stages."""

    def __init__(self, config: RunConfig, env: Environment, states: Sequence[CurriculumState] | None = None):
        """Tasks are drawn when they are first asked for.

        Args:
            config: of the run.
            env: the environment.
            states: of every seed; at the beginning if None.
        """
        begin = CurriculumState(config.stages[0])
        self.states = [begin] * config.seeds if states is None else list(states)
        self._config, self._env, self._domain = config, env, config.domain
        self._made: dict[int, StageParams] = {}
        self._drawn: dict[tuple[int, int | None], Any] = {}
        self._held_out: dict[int, Any] = {}
        self._draw = 0

    def at(self, iteration: int) -> None:
        """Let the training tasks be those of an iteration."""
        every = self._config.curriculum.refresh_every
        draw = iteration // every if every else 0
        if draw != self._draw:
            self._draw = draw
            self._made.clear()
            self._drawn.clear()

    def of_stage(self, stage: int) -> StageParams:
        """Parameters of a stage."""
        if stage not in self._made:
            own = self._tasks(stage, None)
            train = self._rehearsed(stage, own)
            self._made[stage] = StageParams(own, train, self.held_out(stage))
        return self._made[stage]

    def _rehearsed(self, stage: int, own: Any) -> Any:
        """Training tasks, a part of them of the stages before."""
        if self._domain.stages is None:
            return own
        before = range(self._config.curriculum.first_stage, stage)
        share = self._config.curriculum.rehearsal
        each = round(share * self._env.count(own) / len(before)) if before else 0
        others = [self._tasks(number, each) for number in before] if each else []
        return self._domain.stages.mixed(own, others)

    def held_out(self, stage: int) -> Any:
        """Parameters of a stage with the tasks of its evaluations."""
        if stage not in self._held_out:
            count = self._config.curriculum.evaluate_episodes
            draw = Draw(stage, "held_out", count, HELD_OUT_SEED)
            self._held_out[stage] = self._domain.params(self._env, draw)
        return self._held_out[stage]

    def _tasks(self, stage: int, count: int | None) -> Any:
        if (stage, count) not in self._drawn:
            draw = Draw(stage, count=count, seed=_DRAW_STRIDE * self._draw)
            self._drawn[stage, count] = self._domain.params(self._env, draw)
        return self._drawn[stage, count]

    def stacked(self) -> Any:
        """Training parameters of all seeds, leaves `[S, ...]`."""
        each = [self.of_stage(state.stage).train for state in self.states]
        return jax.tree.map(lambda *leaves: jnp.stack(leaves), *each)

    def thresholds(self) -> tuple[float, ...]:
        """Median evaluation loss under which each stage is passed; none where nothing is to be passed."""
        stages, given = self._domain.stages, self._config.curriculum.threshold
        if stages is None:
            return ()
        return stages.thresholds(self._env) if given is None else (given,) * stages.count(self._config.env)

    def count(self, seed: int, median_loss: float) -> bool:
        """Count an evaluation of a seed; returns whether it was promoted."""
        settings, before = self._config.curriculum, self.states[seed]
        if not settings.enabled or self._domain.stages is None:
            return False
        after = advance(before, median_loss, self.thresholds(), patience=settings.patience_evaluations)
        if after.stage > self._config.last_stage:
            after = CurriculumState(before.stage, before.passes + 1)
        self.states[seed] = after
        return after.stage > before.stage
