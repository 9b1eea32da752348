"""The matching environment as training meets it: buckets with guesses, rehearsal, thresholds, a teacher."""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ddsprl.agents import action_spec
from ddsprl.env import (
    Action,
    EnvConfig,
    EnvParams,
    EnvState,
    MatchEnv,
    RewardWeights,
    Targets,
    committed,
    make_matcher,
    stage_params,
    stages_of,
)
from ddsprl.env.domain import Domain, Draw, Stages
from ddsprl.env.match.make import config_from
from ddsprl.fitting.guess.of_targets import fitting_guess, with_guesses
from ddsprl.io import UserError
from ddsprl.losses import ObjectiveWeights
from ddsprl.plant import make_instrument
from ddsprl.training.demonstrations.planning import edit_towards
from synth_jax import Note

# Settings of an agent that speak of moves.
_OF_DELTAS = ("kickstart", "goal_weight", "opening")


def make(config: EnvConfig) -> MatchEnv:
    """The environment.

    Raises:
        ValueError: a setting that cannot be.
    """
    if config.stage != EnvConfig.stage:
        raise ValueError(f"stage is {config.stage}; give curriculum.first_stage instead")
    return make_matcher(config_from(config))


def params_of(env: MatchEnv, draw: Draw) -> EnvParams:
    """A stage with a bucket of its own, whose targets bring guesses where they are observed."""
    seed = env.config.seed + draw.seed
    found, _ = stage_params(env, draw.stage, split=draw.split, count=draw.count, seed=seed)
    return with_guesses(env, found)


def example(env: MatchEnv) -> EnvParams:
    """Parameters with one target: shapes of episodes do not depend on the bucket."""
    zero, row = jnp.zeros(()), jnp.zeros((1, env.config.probes))
    knobs = jnp.zeros(env.n_params)
    guess = jnp.zeros((1, 2 * env.n_params)) if env.config.guess else None
    return EnvParams(
        free=knobs,
        targets=Targets(Note(row, row, row), knobs[None], guess=guess),
        objective=jax.tree.map(lambda _: zero, ObjectiveWeights()),
        reward=RewardWeights(zero, zero, zero),
        epsilon=zero,
        delta_max=zero,
        warm_start_probability=zero,
        warm_start_noise=zero,
    )


def check(config: Any, env: MatchEnv) -> None:
    """Whether a run's settings suit its environment.

    Args:
        config: `ddsprl.training.RunConfig`.
        env: made of its settings.

    Raises:
        UserError: the environment lacks the references of its stages, observes a guess that is of another
            instrument, or its actions are not those that demonstrations and teachers speak of.
    """
    if env.config.guess:
        fitting_guess(env)
    if config.curriculum.enabled and config.curriculum.threshold is None:
        try:
            thresholds(env)
        except ValueError as error:
            if env.config.epsilon is None:
                raise UserError(f"env.{error}") from None
            raise UserError(
                "curriculum.threshold is not given, and none was committed for this instrument, rate, "
                "duration, probes and objective; give the median loss under which a stage is passed, or "
                "curriculum.enabled False"
            ) from None
    if env.config.action == "delta":
        return
    if config.warm.demonstrations:
        raise UserError(f"warm.demonstrations are deltas, env.action is {env.config.action}; allowed is 0")
    for name in _OF_DELTAS:
        if getattr(config.agent, name, 0):
            raise UserError(f"agent.{name} is of deltas, env.action is {env.config.action}; allowed is 0")


def count_of(config: EnvConfig) -> int:
    """Stages of an instrument."""
    return len(stages_of(make_instrument(config.instrument, config.sample_rate, config.duration_s)))


def thresholds(env: MatchEnv) -> tuple[float, ...]:
    """The committed references'.

    Raises:
        ValueError: none were committed for this setup.
    """
    return tuple(reference.threshold for reference in committed(env))


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


def floors(state: EnvState, params: EnvParams) -> np.ndarray:
    """Noise floors of the targets: what an episode's own epsilon is above is the stage's."""
    return np.asarray(state.episode.epsilon) - float(params.epsilon)


def teacher(env: MatchEnv, state: EnvState, params: EnvParams) -> Action:
    """What one would choose who knows the target's preset; needs no render."""
    goal = env.instrument.snap(state.episode.u)
    edit = edit_towards(goal, state, params, env, action_spec(env.action))
    return env.action.compose(edit.module, edit.delta)


MATCH = Domain(
    settings=EnvConfig(history=False),
    make=make,
    params=params_of,
    example=example,
    check=check,
    stages=Stages(count_of, thresholds, mixed, floors),
    teacher=teacher,
    demonstrated=True,
)
