"""A run's arrays as the items of a checkpoint, and their shapes, by which they are read back."""

from typing import Any

import jax
import jax.numpy as jnp

from ddsprl.agents import empty_replay
from ddsprl.env import EnvParams, MatchEnv, RewardWeights, Targets
from ddsprl.losses import ObjectiveWeights
from ddsprl.training.config import RunConfig
from ddsprl.training.loop import Training
from ddsprl.training.records import Loop
from synth_jax import Note


def items_of(loop: Loop) -> dict[str, Any]:
    """What a checkpoint holds: the agent apart, so that it can be read alone."""
    return {"agent": loop.agent, "rest": loop._replace(agent=None)}  # pyright: ignore[reportArgumentType]


def loop_of(items: dict[str, Any]) -> Loop:
    """The loop of a checkpoint's items."""
    return items["rest"]._replace(agent=items["agent"])


def demos_capacity(config: RunConfig) -> int:
    """Transitions of the demonstrations of all stages at most, no more than of experience; 0 without."""
    return demos_of_stage(config) * _stages(config)


def demos_of_stage(config: RunConfig) -> int:
    """Transitions of one stage's demonstrations that are kept at most: all stages have equal room."""
    return min(config.warm.demonstrations * config.env.steps, config.agent.capacity // _stages(config))


def _stages(config: RunConfig) -> int:
    return config.curriculum.last - config.curriculum.begin + 1


def with_room_for_demos(training: Training, loop: Loop) -> Loop:
    """The loop with empty rings for demonstrations, if the run has any; leaves `[S, ...]`."""
    config, capacity = training.config, demos_capacity(training.config)
    if capacity == 0:
        return loop
    agent = training.agent
    room = empty_replay(capacity, agent.seen, agent.actions, labelled=agent.taught, masked=True)
    return loop._replace(demos=jax.tree.map(lambda x: jnp.stack([x] * config.seeds), room))


def loop_like(training: Training) -> Loop:
    """Shapes of a run's loop; nothing is computed."""

    def make():
        seeds = training.config.seeds
        params = jax.tree.map(lambda x: jnp.stack([x] * seeds), _any_params(training.env))
        loop = training.init(jax.random.split(jax.random.key(0), seeds), params)
        return with_room_for_demos(training, loop)

    return jax.eval_shape(make)


def _any_params(env: MatchEnv) -> EnvParams:
    """Parameters with one target: a loop's shapes do not depend on the bucket."""
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
