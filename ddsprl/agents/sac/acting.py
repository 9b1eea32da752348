"""What an agent does at one observation while it learns, and before it has learned anything.

Early on the likeliest module is taken with a given probability only, so that the choice among modules is
explored however sure the policy is of itself. Batch with `vmap`.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from ddsprl.agents.opening import opened
from ddsprl.agents.sac.agent import Sac
from ddsprl.agents.sac.records import AgentAction, SacState
from ddsprl.agents.types import Allowed, Seen, or_own

_BARRED = -1e9


class Explored(NamedTuple):
    """An action, and how it was come by; the two in the middle are counted in the log.

    Attributes:
        action: to be taken.
        by_policy: float scalar, 1 where the policy had several modules to choose from.
        off_mode: float scalar, 1 where besides it is not the likeliest one.
        key: of the draw of the deltas.
        drawn: float scalar, 1 where they were drawn from the policy.
    """

    action: AgentAction
    by_policy: jax.Array
    off_mode: jax.Array
    key: jax.Array
    drawn: jax.Array


def explore(
    agent: Sac,
    key: jax.Array,
    state: SacState,
    seen: Seen,
    allowed: Allowed,
    off_mode: jax.Array,
    turn: jax.Array,
) -> Explored:
    """An action of the policy.

    Args:
        agent: the agent.
        key: of the draws.
        state: only its actor is used.
        seen: the observation.
        allowed: what the action may be; with one module allowed it is always that one.
        off_mode: scalar, the probability of another module than the likeliest, drawn in proportion to the
            policy. Negative: the module is simply drawn from the policy.
        turn: int scalar, edits already made in the episode; `opening.OVER` leaves the opening out.
    """
    pick, leave, other, spread = jax.random.split(key, 4)
    policy = agent.policy(state.actor, seen, allowed)
    mode = jnp.argmax(policy.log_module)
    several = jnp.sum(allowed.modules > 0) > 1
    rest = jnp.where(jnp.arange(agent.actions.modules) == mode, _BARRED, policy.log_module)
    leaves = several & jax.random.bernoulli(leave, jnp.maximum(off_mode, 0.0))
    forced = jnp.where(leaves, jax.random.categorical(other, rest), mode)
    module = jnp.where(off_mode < 0, jax.random.categorical(pick, policy.log_module), forced)
    delta, own = policy.delta.sample(spread).value, jnp.ones(())
    if rounds := agent.config.guidance.opening:
        first = opened(policy, allowed, turn, rounds, agent.actions)
        module, delta = or_own(first, module, delta)
        own = 1.0 - first.due
    delta = agent.actions.shown(delta, allowed)[module]
    counted = several * own
    return Explored(AgentAction(module, delta), counted, counted * (module != mode), spread, own)


def at_random(agent: Sac, key: jax.Array, allowed: Allowed) -> Explored:
    """A module and its deltas, uniform among what is allowed."""
    pick, spread = jax.random.split(key)
    module = jax.random.categorical(pick, jnp.where(allowed.modules > 0, 0.0, _BARRED))
    delta = jax.random.uniform(spread, (agent.actions.knobs,), minval=-1.0)
    zero = jnp.zeros(())
    return Explored(
        AgentAction(module, agent.actions.shown(delta, allowed)[module]), zero, zero, spread, zero
    )
