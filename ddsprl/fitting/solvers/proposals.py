"""Candidates from other candidates: where the members of a solver begin, jumps, and crossings.

Gradients polish a knob but do not carry it over a hill: an oscillator that is a fifth off, an LFO at twice
the rate, two envelopes in each other's place. Jumps do. They are cheap (a score costs a fraction of a
gradient) and selection keeps what helps.
"""

import jax
import jax.numpy as jnp
import numpy as np

from ddsprl.fitting.core.archive import BAD_LOSS, Members, keep_distinct
from ddsprl.fitting.core.solver import Space, Start

# Shares of the kinds of jump. Sizes of the small steps are log-uniform between these, in knob units.
FRESH, STEP, CROSS = 0.45, 0.35, 0.20
SMALLEST_STEP, LARGEST_STEP = 0.01, 0.3
# Chance that a fresh value is one of the two stops: many knobs of real presets are off or fully open.
STOP_CHANCE = 0.15
# Chance that it is what some other candidate has there.
BORROW_CHANCE = 0.5


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


def jumps(
    key: jax.Array,
    parents: jax.Array,
    others: jax.Array,
    free: jax.Array,
    often: jax.Array | None = None,
    *,
    borrow: float = BORROW_CHANCE,
) -> jax.Array:
    """One changed copy of every parent.

    A copy gets some knobs, at least one and on average one, two or four, redrawn (uniform, a stop, or another
    candidate's value), or some knobs moved by a normal step, or the knobs of one block taken over from
    another candidate.

    Args:
        key: PRNG key.
        parents: `[m, d]`.
        others: candidates to cross with, `[k, d]`.
        free: 1 for knobs that may move, `[d]`.
        often: how often each knob is chosen beside the others, `[d]`; all alike by default.
        borrow: chance that a redrawn knob takes the value that another candidate has there.

    Returns:
        `[m, d]`, relaxed (not snapped).
    """
    m, d = parents.shape
    keys = jax.random.split(key, 11)
    uniform = jax.random.uniform(keys[0], (m, d))
    stop = jnp.round(jax.random.uniform(keys[1], (m, d)))
    kind_of_fresh = jax.random.uniform(keys[2], (m, d))
    fresh = jnp.where(kind_of_fresh < STOP_CHANCE, stop, uniform)
    borrowed = others[jax.random.randint(keys[10], (m, d), 0, others.shape[0]), jnp.arange(d)]
    fresh = jnp.where(kind_of_fresh > 1.0 - borrow, borrowed, fresh)
    log_size = jax.random.uniform(keys[3], (m, 1), minval=np.log(SMALLEST_STEP), maxval=np.log(LARGEST_STEP))
    step = parents + jnp.exp(log_size) * jax.random.normal(keys[4], (m, d))
    mate = others[jax.random.randint(keys[5], (m,), 0, others.shape[0])]
    # Knobs of one panel section stand side by side, so a cross takes over a run of neighbours.
    start, length = jax.random.randint(keys[6], (2, m, 1), 1, max(d // 3, 2))
    place = (jnp.arange(d) - start * 3) % d
    kind = jax.random.uniform(keys[7], (m, 1))
    # One to four knobs on average, and at least one, among the free ones.
    wanted = jnp.asarray([1.0, 2.0, 4.0])[jax.random.randint(keys[8], (m, 1), 0, 3)]
    often = free if often is None else often * free
    rate = wanted / jnp.maximum(often.sum(), 1.0)
    chance = jnp.where(free > 0, jax.random.uniform(keys[9], (m, d)) / jnp.maximum(often, 1e-3), jnp.inf)
    chosen = (chance < rate) | (chance == chance.min(axis=1, keepdims=True))
    child = jnp.where(chosen, jnp.where(kind < FRESH, fresh, step), parents)
    child = jnp.where((kind > FRESH + STEP) & (place < length), mate, child)
    child = jnp.where((kind > FRESH + STEP) & (place >= length), parents, child)
    return jnp.clip(jnp.where(free > 0, child, parents), 0.0, 1.0)
