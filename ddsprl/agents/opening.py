"""The first edits of an episode: the actor follows what it believes about the target's preset.

A slope tells an actor the next step downhill, and between one pitch of an oscillator and another there is no
way downhill: led by slopes it would never go where it believes the preset to be. So in its first rounds it
does not ask what pays at once. Every allowed module has its turn, and its knobs go where the actor's belief
about a teacher's choice (`Policy.goal`) sends them; after that the policy itself refines what it hears. These
edits are no draws of the policy: the critics learn from them as from any other experience, the actor learns
nothing from them.
"""

import jax
import jax.numpy as jnp

from ddsprl.agents.networks import Policy
from ddsprl.agents.types import ActionSpec, Allowed, Override

# A turn at which every opening is over.
OVER = 2**30


def opened(
    policy: Policy, allowed: Allowed, turn: jax.Array, rounds: int | jax.Array, actions: ActionSpec
) -> Override:
    """The edit that belongs to a turn, due while the opening lasts.

    Args:
        policy: at the observation.
        allowed: what the action may be.
        turn: int scalar, edits already made in the episode.
        rounds: edits of every allowed module.
        actions: modules and knobs.
    """
    usable = allowed.modules > 0
    # The allowed modules are numbered in their order; the turn's is the one whose number it is.
    number = jnp.cumsum(usable) - 1
    module = jnp.argmax(usable & (number == turn % rounds_of(allowed, 1)))
    delta = jnp.where(allowed.knobs > 0, policy.goal.centre(), 0.0)
    return Override(module, delta, turn < rounds_of(allowed, rounds))


def rounds_of(allowed: Allowed, rounds: int | jax.Array) -> jax.Array:
    """Edits that so many rounds over the allowed modules take, int scalar."""
    return rounds * jnp.maximum(jnp.sum(allowed.modules > 0), 1)
