"""What a match is measured against: the best of some random presets, for every target of a group."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from ddsprl.fitting.core.archive import Members
from ddsprl.fitting.core.driver import FINALISTS
from ddsprl.fitting.inversion.grouped import Prepared
from ddsprl.fitting.inversion.inverter import Inverter


class RandomReference(NamedTuple):
    """The best of some random presets.

    Attributes:
        count: how many were tried.
        loss: of the best.
        terms: its weighted loss terms.
        u: its knob positions, `[d]`.
    """

    count: int
    loss: float
    terms: dict[str, float]
    u: np.ndarray


def references(inverter: Inverter, group: Prepared, keys: jax.Array, *, count: int) -> list[RandomReference]:
    """The best of `count` random presets for every target, all targets of the group side by side.

    Args:
        inverter: of the group's length.
        group: made ready.
        keys: one a target, without the filling, `[m]`.
        count: of random presets.
    """
    wanted, size = len(group.note.midi), len(group.starts)
    keys = keys[np.minimum(np.arange(size), wanted - 1)]
    draw, noise, judge = jax.vmap(lambda key: jax.random.split(key, 3), out_axes=1)(keys)
    where = _best_of(inverter, group, draw, noise, count)
    # Judged like a match: what was chosen by one evaluation is heard again with fresh noise keys.
    same = np.broadcast_to(where[:, None], (size, FINALISTS, where.shape[1]))
    nobody = jnp.zeros(same.shape[:2], jnp.float32)
    judged = inverter.judge(Members(jnp.asarray(same), nobody), group.targets, judge)
    judged = jax.tree.map(np.asarray, judged)
    return [
        RandomReference(
            count,
            float(judged.members.loss[g, 0]),
            {name: float(values[g]) for name, values in judged.terms.items()},
            where[g],
        )
        for g in range(wanted)
    ]


def _best_of(
    inverter: Inverter, group: Prepared, draw: jax.Array, noise: jax.Array, count: int
) -> np.ndarray:
    """The best of `count` random presets, each heard once, `[G, d]`."""
    size, chunk, d = len(group.starts), inverter.config.candidates, len(group.free)
    best, where = np.full(size, np.inf), np.zeros((size, d), np.float32)
    for i in range(-(-count // chunk)):
        u = _uniform(draw, i, chunk, d)
        u = np.where(group.free > 0, np.asarray(inverter.problem.snap(u)), group.locked).astype(np.float32)
        loss = np.asarray(inverter.scores(u, group.targets, noise))[:, : count - i * chunk]
        better = loss.min(axis=1) < best
        where[better] = u[better, loss.argmin(axis=1)[better]]
        best = np.minimum(best, loss.min(axis=1))
    return where


def _uniform(keys: jax.Array, i: int, count: int, d: int) -> jax.Array:
    """Uniform positions `[G, count, d]`, the i-th draw of every key."""
    return jax.vmap(lambda key: jax.random.uniform(jax.random.fold_in(key, i), (count, d)))(keys)
