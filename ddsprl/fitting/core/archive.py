"""Presets with their losses, best first: what a search keeps of what it has heard."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

BAD_LOSS = 1e6  # stands in for a loss that is not finite, so that such a candidate sorts last
# Members closer than this (RMS of knob differences) count as one.
DISTINCT = 0.02


class Members(NamedTuple):
    """Candidates with their losses; a pytree.

    Attributes:
        u: knob positions, `[k, d]`.
        loss: at those, `[k]`; `BAD_LOSS` for places not yet taken.
    """

    u: jax.Array
    loss: jax.Array


def empty_members(count: int, d: int) -> Members:
    """Places for `count` members, none taken."""
    # A dtype of its own: a weak one would differ from what a search returns, and be compiled for apart.
    return Members(jnp.full((count, d), 0.5, jnp.float32), jnp.full((count,), BAD_LOSS, jnp.float32))


def keep_distinct(pool: Members, count: int) -> Members:
    """The `count` best of a pool, none closer than `DISTINCT` to a better one.

    Args:
        pool: `[m]` candidates.
        count: static.
    """
    spread = jnp.sqrt(jnp.mean(jnp.square(pool.u[:, None] - pool.u[None]), axis=-1))

    def pick(loss, _):
        best = jnp.argmin(loss)
        # Too close is worse than anything distinct, but still better than an empty place.
        crowded = jnp.where(spread[best] < DISTINCT, jnp.maximum(loss, 0.5 * BAD_LOSS), loss)
        return crowded.at[best].set(2.0 * BAD_LOSS), best

    _, chosen = jax.lax.scan(pick, pool.loss, None, length=count)
    return Members(pool.u[chosen], pool.loss[chosen])
