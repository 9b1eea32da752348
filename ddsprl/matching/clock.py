"""Where the time of a run goes: inside compiled programs, or outside of them."""

import contextlib
import threading
import time
from collections.abc import Iterator
from typing import Any


class Clock:
    """Wall time of groups of targets, and how much of it some thread spent inside compiled programs.

    The first group of a length compiles its programs; it is in the totals, and left out of the steady
    figures. Work of several threads at the same time counts once.
    """

    def __init__(self) -> None:
        """Time runs from here."""
        self._lock = threading.Lock()
        self._active, self._entered, self._inside = 0, 0.0, 0.0
        self._began = self._mark = time.perf_counter()
        self._inside_mark = 0.0
        self._lengths: set[float] = set()
        self.targets, self.renders = 0, 0
        self._steady = {"targets": 0, "renders": 0, "seconds": 0.0, "inside": 0.0}

    @contextlib.contextmanager
    def inside(self) -> Iterator[None]:
        """Around calls of compiled programs, until their results are there."""
        with self._lock:
            if not self._active:
                self._entered = time.perf_counter()
            self._active += 1
        try:
            yield
        finally:
            with self._lock:
                self._active -= 1
                if not self._active:
                    self._inside += time.perf_counter() - self._entered

    def group_done(self, length_s: float, targets: int, renders: int) -> None:
        """A group was computed; its time is that since the group before."""
        now, inside = time.perf_counter(), self._inside_so_far()
        self.targets, self.renders = self.targets + targets, self.renders + renders
        if length_s in self._lengths:
            passed = {"seconds": now - self._mark, "inside": inside - self._inside_mark}
            for name, value in ({"targets": targets, "renders": renders} | passed).items():
                self._steady[name] += value
        self._lengths.add(length_s)
        self._mark, self._inside_mark = now, inside

    def figures(self) -> dict[str, Any]:
        """Throughput of everything so far, and of the groups whose programs were there already."""
        total = {"targets": self.targets, "renders": self.renders, "inside": self._inside_so_far()}
        total["seconds"] = time.perf_counter() - self._began
        return _rates(total) | {"after_first_groups": _rates(self._steady)}

    def _inside_so_far(self) -> float:
        with self._lock:
            running = time.perf_counter() - self._entered if self._active else 0.0
            return self._inside + running


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
