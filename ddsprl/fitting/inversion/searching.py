"""What searches for the targets of a group: a solver, once or several times, or anything else with that face.

    found = SolverSearch(method, budget=2048, searches=3).search(inverter, group)

Several presets for one sound take several searches: from the same starts they all end in one valley. The
    first
search has all starts, each further one a random half of them, which leads it elsewhere: measured on
    recordings,
other keys alone gave the same sound again, and halves gave others, as often better as worse.
"""

from dataclasses import dataclass
from typing import Any, Protocol

import jax
import numpy as np

from ddsprl.fitting.core.budget import Progress
from ddsprl.fitting.core.streams import streams_of
from ddsprl.fitting.inversion.groups import search_group
from ddsprl.fitting.inversion.inverter import Inverter
from ddsprl.fitting.inversion.methods import Method
from ddsprl.fitting.inversion.records import Inversion, TargetGroup, pooled


class Searcher(Protocol):
    """What finds presets for a group that was made ready for `method`."""

    @property
    def method(self) -> Method:
        """How presets are searched for, and where that begins."""
        ...

    def search(
        self, inverter: Inverter, group: TargetGroup, *, progress: Progress | None = None
    ) -> Inversion:
        """Findings for the targets of a group.

        A `KeyboardInterrupt` ends the search and the best so far is returned; before there is any, it is
        passed on.
        """
        ...

    def about(self, index: int) -> dict[str, Any]:
        """What there is to tell of the last group's target at `index` besides, JSON-ready."""
        ...


@dataclass(frozen=True)
class SolverSearch:
    """A solver, with a budget.

    Attributes:
        method: solver and start.
        budget: renders of each search; a gradient counts as several.
        searches: for each target; the best is kept, with the finalists of all.
    """

    method: Method
    budget: int
    searches: int = 1

    def search(
        self, inverter: Inverter, group: TargetGroup, *, progress: Progress | None = None
    ) -> Inversion:
        """See `Searcher`; searches that Ctrl-C left no time for are left out."""
        parts: list[Inversion] = []
        for i in range(self.searches):
            again = group if i == 0 else _elsewhere(group, i)
            report = further(progress, i, self.searches)
            try:
                parts.append(search_group(inverter, self.method, again, budget=self.budget, progress=report))
            except KeyboardInterrupt:
                if not parts:
                    raise
                parts[0] = parts[0]._replace(interrupted=np.ones_like(parts[0].interrupted))
                break
            if parts[-1].interrupted.any():
                break
        return pooled(parts)

    def about(self, index: int) -> dict[str, Any]:
        """Nothing."""
        del index
        return {}


def _elsewhere(group: TargetGroup, i: int) -> TargetGroup:
    """The group with other keys and, for each target, a random half of its starts, each of them twice."""
    count = group.starts.shape[1]
    fresh = jax.vmap(lambda key: streams_of(jax.random.fold_in(key, i)))(group.streams.elsewhere)
    half = max(1, count // 2)
    order = jax.vmap(lambda key: jax.random.permutation(key, count)[:half])(fresh.start)
    # Twice, so that the shape stays and no other program is compiled.
    rows = np.asarray(order)[:, np.arange(count) % half]
    starts = np.take_along_axis(group.starts, rows[..., None], axis=1)
    # The pitch is known, and what is said about the finalists is said of all searches together.
    again = group.streams._replace(search=fresh.search, judge=fresh.judge)
    return group._replace(starts=starts, streams=again)


def further(progress: Progress | None, i: int, parts: int) -> Progress | None:
    """Progress of the i-th of equal parts as that of the whole."""
    if progress is None:
        return None
    return lambda done, total, loss: progress(i * total + done, parts * total, loss)
