"""A ring of transitions on the device, sampled uniformly.

Of every transition three log-mels are stored as whole numbers of 8 bits and everything else as it is: with
64 x 44 pictures, 33 other observed numbers and 25 knobs 8.8 kB, hence 0.82 GiB for 100,000 (0.84 with a
teacher's choice and a mask for each). The three are the target, and how far the sounds before and after the
action are from it. Near the goal that distance is what an agent goes by: a level moved by 1 % is 0.09 dB. So
the target has even levels, 0.6 dB apart, and the distances have levels that are close together near 0 (0.014
dB) and a twentieth of the distance apart far from it. What is not stored is the next target, which is the
target. Storing a target once an episode would save a third, and would need a second ring of unknown length,
since episodes may end at any step.

A run with demonstrations has a second ring of such rows, each with a mask: so many times `env.steps` as there
are demonstrations, for every stage, but never more than the first ring has (`Training.demos_of_stage`). The
default run, with 60,000 rows of experience and as many of demonstrations, so holds 1.0 GiB for each seed.

Everything is pure; a caller that donates the ring to its compiled step has it written in place.
"""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp

from ddsprl.agents.types import ActionSpec, Labels, Seen, SeenSpec, Transition

# The range that the environment states of an observed log-mel.
PICTURE_LOW, PICTURE_HIGH = -1.0, 2.0
LEVELS = 255
# Levels of a distance are even in arcsinh(distance / NEAR), as many on either side of 0.
NEAR, FARTHEST, SIDE = 0.005, PICTURE_HIGH - PICTURE_LOW, 127
_SCALE = SIDE / math.asinh(FARTHEST / NEAR)


class Rows(NamedTuple):
    """What is stored; leaves `[capacity, ...]`.

    Attributes:
        target: of both observations, uint8 `[bands, frames]`, or None.
        away: from the target to the sound before the action, int8 likewise.
        next_away: likewise after it.
        rest: float32 `[r]`.
        next_rest: likewise.
        module: int32.
        delta: float32 `[d]`.
        reward: float32.
        terminated: bool.
        labels: int32 and float32 `[d]`, or None.
        free: bool `[d]`, or None.
    """

    target: jax.Array | None
    away: jax.Array | None
    next_away: jax.Array | None
    rest: jax.Array
    next_rest: jax.Array
    module: jax.Array
    delta: jax.Array
    reward: jax.Array
    terminated: jax.Array
    labels: Labels | None = None
    free: jax.Array | None = None


class Replay(NamedTuple):
    """The ring; a pytree, so that a checkpoint holds it whole.

    Attributes:
        rows: the transitions.
        cursor: int scalar, the row that is written next.
        filled: int scalar, rows that hold something; they are the first ones.
    """

    rows: Rows
    cursor: jax.Array
    filled: jax.Array

    @property
    def capacity(self) -> int:
        """Transitions that fit."""
        return self.rows.reward.shape[-1]


def quantize(picture: jax.Array | None) -> jax.Array | None:
    """A log-mel as uint8; beyond its range it is clipped."""
    if picture is None:
        return None
    level = (picture - PICTURE_LOW) * (LEVELS / (PICTURE_HIGH - PICTURE_LOW))
    return jnp.round(jnp.clip(level, 0.0, LEVELS)).astype(jnp.uint8)


def dequantize(level: jax.Array | None) -> jax.Array | None:
    """The log-mel of a level, float32."""
    if level is None:
        return None
    return level.astype(jnp.float32) * ((PICTURE_HIGH - PICTURE_LOW) / LEVELS) + PICTURE_LOW


def quantize_distance(current: jax.Array | None, target: jax.Array | None) -> jax.Array | None:
    """How far a log-mel is from the target's as int8, finest near 0; beyond `FARTHEST` it is clipped."""
    if current is None or target is None:
        return None
    away = jnp.clip(current - target, -FARTHEST, FARTHEST)
    return jnp.round(_SCALE * jnp.arcsinh(away / NEAR)).astype(jnp.int8)


def restored(rest: jax.Array, target: jax.Array | None, away: jax.Array | None) -> Seen:
    """The observation of stored levels; leading axes are kept."""
    picture = dequantize(target)
    if picture is None or away is None:
        return Seen(rest, None, None)
    return Seen(rest, picture + NEAR * jnp.sinh(away.astype(jnp.float32) / _SCALE), picture)


def pack(transition: Transition) -> Rows:
    """As stored; leading axes are kept."""
    seen, after, labels = transition.seen, transition.next_seen, transition.labels
    if labels is not None:
        labels = Labels(jnp.asarray(labels.module, jnp.int32), labels.delta.astype(jnp.float32))
    return Rows(
        target=quantize(seen.target),
        away=quantize_distance(seen.current, seen.target),
        next_away=quantize_distance(after.current, seen.target),
        rest=seen.rest.astype(jnp.float32),
        next_rest=after.rest.astype(jnp.float32),
        module=jnp.asarray(transition.module, jnp.int32),
        delta=transition.delta.astype(jnp.float32),
        reward=jnp.asarray(transition.reward, jnp.float32),
        terminated=jnp.asarray(transition.terminated, bool),
        labels=labels,
        free=None if transition.free is None else transition.free > 0,
    )


def unpack(rows: Rows) -> Transition:
    """The transition of stored rows; leading axes are kept."""
    return Transition(
        seen=restored(rows.rest, rows.target, rows.away),
        module=rows.module,
        delta=rows.delta,
        reward=rows.reward,
        terminated=rows.terminated,
        next_seen=restored(rows.next_rest, rows.target, rows.next_away),
        labels=rows.labels,
        free=None if rows.free is None else rows.free.astype(jnp.float32),
    )


def empty_replay(
    capacity: int, seen: SeenSpec, actions: ActionSpec, *, labelled: bool = False, masked: bool = False
) -> Replay:
    """A ring without transitions.

    Args:
        capacity: transitions that fit.
        seen: shapes of an observation.
        actions: of an action.
        labelled: whether a teacher's choices are kept with them.
        masked: whether every transition's own mask is.
    """
    zero, delta = jnp.zeros(()), jnp.zeros(actions.knobs)
    labels, free = Labels(zero, delta) if labelled else None, delta if masked else None
    example = Transition(seen.zeros(), zero, delta, zero, zero, seen.zeros(), labels, free)
    rows = jax.eval_shape(pack, example)
    make = jax.tree.map(lambda x: jnp.zeros((capacity, *x.shape), x.dtype), rows)
    return Replay(make, jnp.zeros((), jnp.int32), jnp.zeros((), jnp.int32))


def add(replay: Replay, transitions: Transition) -> Replay:
    """Write transitions (leaves `[n, ...]`, n at most the capacity) over the oldest ones."""
    return add_rows(replay, pack(transitions))


def add_rows(replay: Replay, rows: Rows) -> Replay:
    """`add`, of transitions that are packed; their labels are left out where the ring keeps none."""
    n, capacity = rows.reward.shape[0], replay.capacity
    if n > capacity:
        raise ValueError(f"transitions: {n} do not fit in a ring of {capacity}")
    if replay.rows.labels is None:
        rows = rows._replace(labels=None)
    where = (replay.cursor + jnp.arange(n)) % capacity
    written = jax.tree.map(lambda old, new: old.at[where].set(new, unique_indices=True), replay.rows, rows)
    return Replay(written, (replay.cursor + n) % capacity, jnp.minimum(replay.filled + n, capacity))


def sample(key: jax.Array, replay: Replay, count: int) -> Transition:
    """As many transitions, uniform with replacement, leaves `[count, ...]`; the ring must not be empty."""
    where = jax.random.randint(key, (count,), 0, replay.filled)
    return unpack(jax.tree.map(lambda x: x[where], replay.rows))
