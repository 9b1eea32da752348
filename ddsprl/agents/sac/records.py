"""The records of soft actor-critic: what it has learnt, and what it does."""

from typing import Any, NamedTuple

import jax

from ddsprl.agents.ascent import Ascent
from ddsprl.agents.networks import Policy
from ddsprl.agents.replay import Replay
from ddsprl.agents.sac.losses import Temperatures
from ddsprl.agents.types import Params, Transition


class SacState(NamedTuple):
    """Everything that learning changes.

    Attributes:
        actor: parameters.
        critic: parameters of both critics.
        target_critic: the slow copy of them.
        temperatures: logarithms.
        actor_optimizer: optax state; so are the next two.
        critic_optimizer: of the critic.
        temperature_optimizer: of the temperatures.
        updates: int scalar, gradient steps so far.
    """

    actor: Params
    critic: Params
    target_critic: Params
    temperatures: Temperatures
    actor_optimizer: Any
    critic_optimizer: Any
    temperature_optimizer: Any
    updates: jax.Array


class Experience(NamedTuple):
    """What it keeps.

    Attributes:
        replay: a ring of transitions.
        demos: a ring of demonstrations, mixed into batches and never overwritten; None without.
        choices: int32 scalar, steps so far in which the policy had several modules to choose from.
    """

    replay: Replay
    demos: Replay | None
    choices: jax.Array


class AgentAction(NamedTuple):
    """What to do.

    Attributes:
        module: int scalar.
        delta: `[d]` in [-1, 1]; zero for locked knobs and other modules'.
    """

    module: jax.Array
    delta: jax.Array


class Draw(NamedTuple):
    """A policy with one draw of every module's deltas.

    Attributes:
        policy: at the observation.
        delta: `[d]`.
        log_delta: log density of each module's unlocked part, `[m]`.
    """

    policy: Policy
    delta: jax.Array
    log_delta: jax.Array


class Beside(NamedTuple):
    """What the actor learns from beside the batch; see `Sac.update`."""

    lessons: Transition
    played: Ascent | None
    lead: jax.Array | float
