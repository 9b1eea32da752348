"""Where the members of a solver begin: the best starts that differ, and steps away from these."""

import jax
import jax.numpy as jnp

from ddsprl.fitting.core.archive import BAD_LOSS, Members, keep_distinct
from ddsprl.fitting.core.solver import Space, Start


def distinct_members(key: jax.Array, start: Start, space: Space, count: int, *, step: float) -> Members:
    """`count` members from the best distinct starts.

    When there are fewer starts than members, the others are starts moved by a normal step, and nothing is
    known of them yet: their loss is `BAD_LOSS`. A solver so begins where it was told to and nowhere else.

    Args:
        key: of the steps.
        start: positions `[k, d]` and losses.
        space: of the knobs.
        count: static.
        step: standard deviation, in knob units.
    """
    best = keep_distinct(Members(start.u, start.loss), min(count, start.u.shape[0]))
    short = count - best.u.shape[0]
    if short == 0:
        return best
    parents = best.u[jnp.arange(short) % best.u.shape[0]]
    moved = space.admit(parents + step * jax.random.normal(key, parents.shape, parents.dtype))
    unknown = jnp.full((short,), BAD_LOSS, best.loss.dtype)
    return Members(jnp.concatenate([best.u, moved]), jnp.concatenate([best.loss, unknown]))
