"""One round of `--method rounds`: take in candidates, keep the best distinct ones, polish them by descent.

    members [k]  ─┐
                  ├─ score ── keep the k best that differ ── Adam in unbounded coordinates ──▶ members [k]
    candidates [m]┘                                           (best point visited is kept)

The method is this round repeated: the first with candidates from the library, the preset bank and cues, the
next with jumps from the members themselves. Losers drop out as better candidates come in. Every round has the
same shapes, so one program is compiled for all of them.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from ddsprl.fitting.problem import BAD_LOSS, Problem, Target
from ddsprl.fitting.reparam import to_bounded, to_unbounded

# Adam forgets fast: a polish lasts some tens of steps only.
ADAM_B1, ADAM_B2 = 0.8, 0.95
# Members closer than this (RMS of knob differences) count as one.
DISTINCT = 0.02


class Members(NamedTuple):
    """The candidates that a match works on; a pytree.

    Attributes:
        u: knob positions, `[k, d]`.
        loss: at those, `[k]`; `BAD_LOSS` for places not yet taken.
    """

    u: jax.Array
    loss: jax.Array


class RoundSettings(NamedTuple):
    """What may change from round to round without compiling again; scalars.

    Attributes:
        first_rate: learning rate at the start of the round's polish, in unbounded coordinates.
        last_rate: at its end; geometric between.
        snapped: 1 if discrete knobs are snapped and held, 0 if they are relaxed and free.
    """

    first_rate: jax.Array | float
    last_rate: jax.Array | float
    snapped: jax.Array | float


def empty_members(count: int, d: int) -> Members:
    """Places for `count` members, none taken."""
    # A dtype of its own: a weak one would differ from what a round returns, and be compiled for apart.
    return Members(jnp.full((count, d), 0.5, jnp.float32), jnp.full((count,), BAD_LOSS, jnp.float32))


def search_round(
    problem: Problem,
    members: Members,
    candidates: jax.Array,
    target: Target,
    key: jax.Array,
    settings: RoundSettings,
    *,
    steps: int,
) -> tuple[Members, jax.Array]:
    """One round; see the module.

    Args:
        problem: static.
        members: from the round before.
        candidates: `[m, d]`.
        target: what to match.
        key: noise key of all candidates; the same in every round, so that losses compare.
        settings: of this round.
        steps: gradient steps, static.

    Returns:
        The new members and the best loss after selection and after each step, `[1 + steps]`.
    """
    snapped = jnp.asarray(settings.snapped) > 0
    u = _admit(problem, jnp.concatenate([members.u, candidates]), target, snapped)
    # Members are heard again beside the candidates: snapping has changed their sound.
    loss = problem.scores(u, target, key)
    loss = jnp.where(jnp.pad(members.loss >= BAD_LOSS, (0, candidates.shape[0])), BAD_LOSS, loss)
    kept = keep_distinct(Members(u, loss), members.loss.shape[0])
    polished, trace = polish(problem, kept, target, key, settings, steps=steps)
    return polished, jnp.concatenate([jnp.min(kept.loss)[None], trace])


def _admit(problem: Problem, u: jax.Array, target: Target, snapped: jax.Array) -> jax.Array:
    """Locked knobs put in place, discrete ones snapped if the round asks for it; no gradient."""
    u = problem.constrain(u, target)
    return jnp.where(snapped, problem.instrument.snap(u), u)


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


def polish(
    problem: Problem,
    members: Members,
    target: Target,
    key: jax.Array,
    settings: RoundSettings,
    *,
    steps: int,
) -> tuple[Members, jax.Array]:
    """Adam on every member at once; the best point that each has visited is kept.

    Returns:
        Members and the best loss of all after each step, `[steps]`.
    """
    discrete = jnp.asarray(np.array([spec.integer for spec in problem.instrument.table]))
    movable = (target.free > 0) & ~(discrete & (settings.snapped > 0))
    adam = optax.scale_by_adam(ADAM_B1, ADAM_B2)
    fall = settings.last_rate / settings.first_rate
    rates = settings.first_rate * fall ** (jnp.arange(steps) / max(steps - 1, 1))

    def step(carry, rate):
        z, state, best = carry
        u = jnp.where(movable, to_bounded(z), members.u)
        loss, slope = problem.gradients(u, target, key)
        slope = jnp.where(movable & jnp.isfinite(slope), slope * u * (1.0 - u), 0.0)
        better = loss < best.loss
        best = Members(jnp.where(better[:, None], u, best.u), jnp.where(better, loss, best.loss))
        update, state = adam.update(slope, state)
        return (z - rate * update, state, best), jnp.min(best.loss)

    z = to_unbounded(members.u)
    (_, _, best), trace = jax.lax.scan(step, (z, adam.init(z), members), rates)
    return best, trace
