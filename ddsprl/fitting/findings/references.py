"""What a match is measured against: the best of some random presets, for every target of a group."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from ddsprl.fitting.core.archive import Members
from ddsprl.fitting.core.driver import FINALISTS
from ddsprl.fitting.core.streams import named
from ddsprl.fitting.inversion.inverter import Inverter
from ddsprl.fitting.inversion.records import TargetGroup


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


def references(inverter: Inverter, group: TargetGroup, *, count: int) -> list[RandomReference]:
    """The best of `count` random presets for every target, all targets of the group side by side.

    Args:
        inverter: of the group's length.
        group: made ready.
        count: of random presets.
    """
    keys = group.streams.reference
    draw, noise, judge = jax.vmap(lambda key: named(key, "draw", "noise", "judge"))(keys)
    where = _best_of(inverter, group, draw, noise, count)
    # Judged like a match: what was chosen by one evaluation is heard again with fresh noise keys.
    same = np.broadcast_to(where[:, None], (len(where), FINALISTS, where.shape[1]))
    nobody = jnp.zeros(same.shape[:2], jnp.float32)
    judged = inverter.judge(Members(jnp.asarray(same), nobody), group.targets, judge)
    judged = jax.tree.map(np.asarray, judged)
    return [
        RandomReference(
            count,
            float(judged.finalists.loss[g, 0]),
            {name: float(values[g]) for name, values in judged.terms.items()},
            where[g],
        )
        for g in range(group.count)
    ]


def _best_of(
    inverter: Inverter, group: TargetGroup, draw: jax.Array, noise: jax.Array, count: int
) -> np.ndarray:
    """The best of `count` random presets, each heard once, `[G, d]`."""
    free, locked, _ = group.knobs
    size, chunk, d = len(group.starts), inverter.config.candidates, len(free)
    best, where = np.full(size, np.inf), np.zeros((size, d), np.float32)
    for i in range(-(-count // chunk)):
        u = jax.vmap(lambda key, i=i: jax.random.uniform(jax.random.fold_in(key, i), (chunk, d)))(draw)
        u = np.where(free > 0, np.asarray(inverter.problem.snap(u)), locked).astype(np.float32)
        loss = np.asarray(inverter.scores(u, group.targets, noise))[:, : count - i * chunk]
        better = loss.min(axis=1) < best
        where[better] = u[better, loss.argmin(axis=1)[better]]
        best = np.minimum(best, loss.min(axis=1))
    return where
