"""Several presets for one sound take several searches: from the same starts they all end in one valley.

    found = search_several(inverter, method, group, keys, budget=2048, searches=3)

The first search has all starts, each further one a random half of them, which leads it elsewhere: measured on
recordings, other keys alone gave the same sound again, and halves gave others, as often better as worse.
"""

import jax
import numpy as np

from ddsprl.fitting.core.budget import Progress
from ddsprl.fitting.inversion.grouped import PER_TARGET, Inversion, Prepared, search_group
from ddsprl.fitting.inversion.inverter import Inverter
from ddsprl.fitting.inversion.methods import Method


def search_several(
    inverter: Inverter,
    method: Method,
    group: Prepared,
    keys: jax.Array,
    *,
    budget: int,
    searches: int,
    progress: Progress | None = None,
) -> Inversion:
    """The best of some searches for every target of a group, with the finalists of all of them.

    A `KeyboardInterrupt` ends the search under way and leaves out those to come; before there is anything, it
    is passed on.

    Args:
        inverter: of the group's length.
        method: of all searches.
        group: made ready.
        keys: of the halves, one a target without the filling, `[m]`.
        budget: of each search.
        searches: how many.
        progress: called as by one search after the other.
    """
    parts: list[Inversion] = []
    for i in range(searches):
        again = group if i == 0 else _elsewhere(group, keys, i)
        report = _further(progress, i, searches)
        try:
            parts.append(search_group(inverter, method, again, budget=budget, progress=report))
        except KeyboardInterrupt:
            if not parts:
                raise
            parts[0] = parts[0]._replace(interrupted=True)
            break
        if parts[-1].interrupted:
            break
    return pooled(parts)


def pooled(parts: list[Inversion]) -> Inversion:
    """Searches for the same targets as one: the best of them for every target, the finalists of all.

    Counts are sums; curve and monitor are those of the best search, over the renders of one.
    """
    if len(parts) == 1:
        return parts[0]
    # What Ctrl-C cut short has another curve, and little to offer.
    whole = [part for part in parts if part.curve.shape == parts[0].curve.shape]
    best = np.argmin([part.loss for part in whole], axis=0)

    def chosen(values: list[np.ndarray]) -> np.ndarray:
        return np.stack(values)[best, np.arange(len(best))]

    members = np.concatenate([part.members for part in whole], axis=1)
    losses = np.concatenate([part.member_loss for part in whole], axis=1)
    order = np.argsort(losses, axis=1, kind="stable")
    return parts[0]._replace(
        **{name: chosen([getattr(part, name) for part in whole]) for name in PER_TARGET},
        terms={name: chosen([part.terms[name] for part in whole]) for name in parts[0].terms},
        monitor=tuple(whole[part].monitor[i] for i, part in enumerate(best)),
        members=np.take_along_axis(members, order[..., None], axis=1),
        member_loss=np.take_along_axis(losses, order, axis=1),
        counts={name: sum(part.counts[name] for part in parts) for name in parts[0].counts},
        renders=sum(part.renders for part in parts),
        gradients=sum(part.gradients for part in parts),
        judge_renders=sum(part.judge_renders for part in parts),
        interrupted=any(part.interrupted for part in parts),
    )


def _elsewhere(group: Prepared, keys: jax.Array, i: int) -> Prepared:
    """The group with other keys and, for each target, a random half of its starts, each of them twice."""
    size, count = group.starts.shape[:2]
    wide = keys[np.minimum(np.arange(size), len(keys) - 1)]
    fresh = jax.vmap(lambda key: jax.random.split(jax.random.fold_in(key, i)))(wide)
    half = max(1, count // 2)
    order = jax.vmap(lambda key: jax.random.permutation(key, count)[:half])(fresh[:, 0])
    # Twice, so that the shape stays and no other program is compiled.
    rows = np.asarray(order)[:, np.arange(count) % half]
    starts = np.take_along_axis(group.starts, rows[..., None], axis=1)
    return group._replace(starts=starts, keys=fresh[:, 1])


def _further(progress: Progress | None, i: int, searches: int) -> Progress | None:
    if progress is None:
        return None
    return lambda done, rounds, loss: progress(i * rounds + done, searches * rounds, loss)
