"""Edits back towards the best patch of an episode, between those of the policy, once these stop helping.

An episode counts by its best sound, and a policy that draws its edits wanders about a point of its own, which
is near the target's preset and not there. So a player remembers its best patch. After an edit that was no
better, the next one takes the module that is farthest from that patch back to it, give or take noise of the
policy's own width; then the policy has its turn again, and so on in turns until something better is found.

First to return and then to go on from there is Ecoffet et al. 2021, "First return, then explore"
(arXiv:2004.12919). It belongs to the playing: nothing is learnt from it, and nothing has to be trained for
it.
"""

import jax
import jax.numpy as jnp

from ddsprl.agents.distributions import TanhNormal
from ddsprl.agents.types import ActionSpec, Allowed, Override
from ddsprl.env import WayBack


def returned(
    key: jax.Array,
    own: jax.Array,
    deltas: TanhNormal,
    memory: WayBack,
    vain: jax.Array,
    allowed: Allowed,
    actions: ActionSpec,
) -> Override:
    """The edit that leads back to the best patch, due after every other edit in vain.

    Args:
        key: of the noise.
        own: int scalar, the module that the policy has chosen.
        deltas: of the policy, leaves `[d]`; only their width is used.
        memory: of the episode.
        vain: int scalar, edits without an improvement.
        allowed: what the action may be.
        actions: modules and knobs.
    """
    far = actions.per_module(jnp.square(memory.away), allowed)
    # With nothing to go back from, noise around the best patch is put where the policy would edit.
    module = jnp.where(jnp.max(far) > 0.0, jnp.argmax(far), own)
    noise = deltas._replace(mean=jnp.zeros_like(deltas.mean)).sample(key).value
    return Override(module, jnp.clip(memory.back + noise, -1.0, 1.0), vain % 2 == 1)
