"""Best-so-far tracking: what a search may keep of its past, as a pure record."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp


class BestSoFar(NamedTuple):
    """The best candidate met so far.

    Attributes:
        loss: scalar, infinite before the first finite loss.
        value: pytree, whatever belongs to the candidate (its knobs, say).
        step: scalar int, the step that found it, -1 before.
    """

    loss: jax.Array
    value: Any
    step: jax.Array


def init_best(value: Any, dtype: Any = jnp.float32) -> BestSoFar:
    """Start with a placeholder `value` and an infinite loss of `dtype`."""
    return BestSoFar(jnp.asarray(jnp.inf, dtype), value, jnp.asarray(-1))


def update_best(best: BestSoFar, loss: jax.Array, value: Any, step: jax.Array | int) -> BestSoFar:
    """Keep the better of the record and a new candidate; a NaN or infinite loss never wins.

    Args:
        best: the record.
        loss: scalar of the new candidate.
        value: pytree of the same structure and shapes as `best.value`.
        step: scalar.
    """
    better = jnp.isfinite(loss) & (loss < best.loss)
    kept = jax.tree.map(lambda new, old: jnp.where(better, new, old), value, best.value)
    return BestSoFar(jnp.where(better, loss, best.loss), kept, jnp.where(better, step, best.step))
