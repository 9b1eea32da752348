"""What an agent does at one observation: early in training, before it has learned anything, and in tests.

Early on the likeliest module is taken with a given probability only, so that the choice among modules is
explored however sure the policy is of itself. Batch with `vmap`.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from ddsprl.agents import AgentAction, Allowed, Sac, SacState, Seen, seen_of, turn_of
from ddsprl.agents.opening import opened, or_own
from ddsprl.env.match.types import Action, EnvParams, EnvState, Observation

_BARRED = -1e9


class Choice(NamedTuple):
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
) -> Choice:
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
    if agent.config.opening:
        first = opened(policy, allowed, turn, agent.config.opening, agent.actions)
        module, delta = or_own(first, module, delta)
        own = 1.0 - first.still
    delta = agent.actions.shown(delta, allowed)[module]
    counted = several * own
    return Choice(AgentAction(module, delta), counted, counted * (module != mode), spread, own)


def at_random(agent: Sac, key: jax.Array, allowed: Allowed) -> Choice:
    """A module and its deltas, uniform among what is allowed."""
    pick, spread = jax.random.split(key)
    module = jax.random.categorical(pick, jnp.where(allowed.modules > 0, 0.0, _BARRED))
    delta = jax.random.uniform(spread, (agent.actions.knobs,), minval=-1.0)
    zero = jnp.zeros(())
    return Choice(AgentAction(module, agent.actions.shown(delta, allowed)[module]), zero, zero, spread, zero)


def playing(
    agent: Sac, state: SacState, params: EnvParams, *, rest: tuple[str, ...], steps: int
) -> Callable[[jax.Array, Observation, EnvState], Action]:
    """The policy as it was learnt, its draws included and nothing else, as `ddsprl.env.evaluate` takes it.

    An agent that always does the likeliest comes back for ever to what it is wrong about; of fifty sounds,
    whose best one counts, draws make more (see docs/evaluation.md).

    Args:
        agent: the agent.
        state: only its actor is used.
        params: of the environment, for the unlocked knobs.
        rest: parts of the observation that the networks read beside the pictures.
        steps: of a whole episode.
    """
    allowed = agent.actions.allowed(params.free)

    def policy(key: jax.Array, obs: Observation, env_state: EnvState) -> Action:
        del env_state
        chosen = agent.act(key, state, seen_of(obs, rest), allowed, turn=turn_of(obs, steps))
        return {"module": chosen.module, "delta": chosen.delta}

    return policy
