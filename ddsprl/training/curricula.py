"""The stages of every seed: parameters of the environment, held-out buckets, promotion.

A stage's buckets are shared by the seeds that stand on it. Training buckets are drawn anew every so many
iterations (`curriculum.refresh_every`): which draw is the present one is a function of the iteration, so that
a resumed run has the same. All stages have equal shapes, so a promotion compiles nothing anew.
"""

from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp

from ddsprl.env import (
    CurriculumState,
    EnvParams,
    MatchEnv,
    Targets,
    advance,
    committed,
    stage_params,
    stages_of,
)
from ddsprl.fitting.guess.of_targets import with_guesses
from ddsprl.training.config import RunConfig

# Held-out presets for training's own evaluations; those of `ddsprl.evaluate` have seeds of their own.
HELD_OUT_SEED = 1_000
# Between the seeds of successive draws of a training bucket.
_DRAW_STRIDE = 1_000_003


class StageParams(NamedTuple):
    """The environment's parameters on one stage.

    Attributes:
        own: with a bucket of this stage alone.
        train: with the training bucket, of which a part may be of the stages before.
        held_out: with as many other presets as an evaluation has episodes.
    """

    own: EnvParams
    train: EnvParams
    held_out: EnvParams


class Curricula:
    """Where every seed stands, and what belongs to the stages."""

    def __init__(self, config: RunConfig, env: MatchEnv, states: Sequence[CurriculumState] | None = None):
        """Buckets are made when they are first asked for.

        Args:
            config: of the run.
            env: the environment.
            states: of every seed; at the beginning if None.
        """
        begin = CurriculumState(config.curriculum.begin)
        self.states = [begin] * config.seeds if states is None else list(states)
        self._config, self._env = config, env
        self._made: dict[int, StageParams] = {}
        self._buckets: dict[tuple[int, int], EnvParams] = {}
        self._held_out: dict[int, EnvParams] = {}
        self._draw = 0

    def at(self, iteration: int) -> None:
        """Let the training buckets be those of an iteration."""
        every = self._config.curriculum.refresh_every
        draw = iteration // every if every else 0
        if draw != self._draw:
            self._draw = draw
            self._made.clear()
            self._buckets.clear()

    def of_stage(self, stage: int) -> StageParams:
        """Parameters of a stage."""
        if stage not in self._made:
            size, share = self._config.env.bucket, self._config.curriculum.rehearsal
            before = range(self._config.curriculum.first_stage, stage)
            each = round(share * size / len(before)) if before else 0
            own = self._bucket(stage, size)
            train = mixed(own, [self._bucket(number, each) for number in before] if each else [])
            self._made[stage] = StageParams(own, train, self.held_out(stage))
        return self._made[stage]

    def held_out(self, stage: int) -> EnvParams:
        """Parameters of a stage with the presets of its evaluations."""
        if stage not in self._held_out:
            count = self._config.curriculum.evaluate_episodes
            seed = self._config.env.seed + HELD_OUT_SEED
            found, _ = stage_params(self._env, stage, split="held_out", count=count, seed=seed)
            self._held_out[stage] = with_guesses(self._env, found)
        return self._held_out[stage]

    def _bucket(self, stage: int, count: int) -> EnvParams:
        if (stage, count) not in self._buckets:
            seed = self._config.env.seed + _DRAW_STRIDE * self._draw
            found, _ = stage_params(self._env, stage, count=count, seed=seed)
            self._buckets[stage, count] = with_guesses(self._env, found)
        return self._buckets[stage, count]

    def stacked(self) -> EnvParams:
        """Training parameters of all seeds, leaves `[S, ...]`."""
        each = [self.of_stage(state.stage).train for state in self.states]
        return jax.tree.map(lambda *leaves: jnp.stack(leaves), *each)

    def thresholds(self) -> tuple[float, ...]:
        """Median evaluation loss under which each stage is passed."""
        given = self._config.curriculum.threshold
        if given is not None:
            return (given,) * len(stages_of(self._env.instrument))
        return tuple(reference.threshold for reference in committed(self._env))

    def count(self, seed: int, median_loss: float) -> bool:
        """Count an evaluation of a seed; returns whether it was promoted."""
        settings, before = self._config.curriculum, self.states[seed]
        if not settings.enabled:
            return False
        after = advance(before, median_loss, self.thresholds(), patience=settings.patience_evaluations)
        if after.stage > settings.last:
            after = CurriculumState(before.stage, before.passes + 1)
        self.states[seed] = after
        return after.stage > before.stage


def mixed(own: EnvParams, before: Sequence[EnvParams]) -> EnvParams:
    """A stage's parameters with the last of its targets replaced by those of other stages.

    Every target keeps the mask and the margin of its stage; nothing else differs between stages.

    Args:
        own: of the stage, with a bucket.
        before: of the others; all of their targets are taken.
    """
    theirs = [jnp.shape(params.targets.notes.midi)[0] for params in before]
    counts = [jnp.shape(own.targets.notes.midi)[0] - sum(theirs), *theirs]
    parts = [_some(params, count) for params, count in zip([own, *before], counts, strict=True)]
    return own._replace(targets=jax.tree.map(lambda *x: jnp.concatenate(x), *parts))


def _some(params: EnvParams, count: int) -> Targets:
    """The first targets, with mask and margin."""
    targets = jax.tree.map(lambda x: x[:count], params.targets)
    free = jnp.broadcast_to(jnp.asarray(params.free), (count, jnp.shape(params.free)[0]))
    return targets._replace(free=free, margin=jnp.full(count, params.epsilon, jnp.float32))
