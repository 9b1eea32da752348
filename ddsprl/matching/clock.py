"""Where the time of a run goes: inside compiled programs, or outside of them."""

import time
from collections.abc import Callable
from typing import Any

from ddsprl.fitting.core.programs import busy_s


class Clock:
    """Wall time of groups of targets, and how much of it some thread spent inside compiled programs.

    The first group of a length compiles its programs; it is in the totals, and left out of the steady
    figures.
    """

    def __init__(
        self, busy: Callable[[], float] = busy_s, now: Callable[[], float] = time.perf_counter
    ) -> None:
        """Time runs from here.

        Args:
            busy: seconds inside compiled programs, counted from any moment.
            now: wall time in seconds.
        """
        self._busy, self._now = busy, now
        self._began = self._mark = now()
        self._busy_began = self._busy_mark = busy()
        self._lengths: set[float] = set()
        self.targets, self.renders = 0, 0
        self._steady = {"targets": 0, "renders": 0, "seconds": 0.0, "inside": 0.0}

    def group_done(self, length_s: float, targets: int, renders: int) -> None:
        """A group was computed; its time is that since the group before."""
        now, busy = self._now(), self._busy()
        self.targets, self.renders = self.targets + targets, self.renders + renders
        if length_s in self._lengths:
            passed = {"seconds": now - self._mark, "inside": busy - self._busy_mark}
            for name, value in ({"targets": targets, "renders": renders} | passed).items():
                self._steady[name] += value
        self._lengths.add(length_s)
        self._mark, self._busy_mark = now, busy

    def figures(self) -> dict[str, Any]:
        """Throughput of everything so far, and of the groups whose programs were there already."""
        total: dict[str, Any] = {"targets": self.targets, "renders": self.renders}
        total |= {"seconds": self._now() - self._began, "inside": self._busy() - self._busy_began}
        return _rates(total) | {"after_first_groups": _rates(self._steady)}


def _rates(sums: dict[str, Any]) -> dict[str, Any]:
    seconds = sums["seconds"]
    rates: dict[str, Any] = {"targets": sums["targets"], "seconds": seconds}
    if not sums["targets"] or seconds <= 0.0:
        return rates | {"targets_per_minute": None, "renders_per_s": None, "outside_share": None}
    return rates | {
        "targets_per_minute": 60.0 * sums["targets"] / seconds,
        "renders_per_s": sums["renders"] / seconds,
        "outside_share": max(0.0, 1.0 - sums["inside"] / seconds),
    }
