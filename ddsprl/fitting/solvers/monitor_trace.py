"""What the monitor of a search said on the way, short enough for a file and a picture.

    trace = monitor_trace(solution, index)      # of one target; None if the solver has no monitor
    trace.verdict                               # STABLE, PLATEAU or DIVERGING, along `trace.renders`

A search has hundreds of iterations; of a stretch of them the last one is kept, and every alarm.
"""

from typing import Any, NamedTuple

import numpy as np

from ddsprl.fitting.core.solve import Course
from ddsprl.fitting.solvers.monitor import DIVERGING, VERDICTS
from ddsprl.io.json_files import rounded_tree

MOST_POINTS = 100
CURVES = ("drift", "confidence", "loss", "alpha", "sigma")
DIGITS = 5


class MonitorTrace(NamedTuple):
    """Of one target.

    Attributes:
        renders: charged after the iteration that a point is of, rising, `[points]`.
        verdict: of the coldest replica's monitor, a place in `VERDICTS`, `[points]`; diverging if it said so
            in any iteration since the point before.
        drift: mean increment of that replica's loss, an iteration, `[points]`.
        confidence: that the expected increment is negative, in [0, 1], `[points]`.
        loss: that its monitor now goes on from, `[points]`: heard in this iteration, or of the best or the
            newcomer where it was put back or its place was taken.
        alpha: step, mean over replicas, `[points]`.
        sigma: dither, mean over replicas, `[points]`.
        restored: replicas put back because something was not finite, in the whole search.
        backed_off: times that a replica diverged and was put back to its best, in the whole search.
    """

    renders: np.ndarray
    verdict: np.ndarray
    drift: np.ndarray
    confidence: np.ndarray
    loss: np.ndarray
    alpha: np.ndarray
    sigma: np.ndarray
    restored: int
    backed_off: int

    def record(self) -> dict[str, Any]:
        """As JSON holds it, verdicts in words."""
        curves = {name: [float(x) for x in getattr(self, name)] for name in ("renders", *CURVES)}
        words = [VERDICTS[code] for code in self.verdict]
        counts = {"restored": self.restored, "backed_off": self.backed_off}
        return rounded_tree(curves, DIGITS) | {"verdict": words} | counts


def monitor_trace(course: Course, index: int, *, most: int = MOST_POINTS) -> MonitorTrace | None:
    """The trace of one target; None if the solver has no monitor, or did no iteration.

    Args:
        course: of the searches.
        index: of the target.
        most: points of the trace.
    """
    traces = {name: curve[index] for name, curve in course.traces.items()}
    if "verdict" not in traces or not len(traces["verdict"]):
        return None
    renders = np.asarray(course.renders[index, 1:], float)
    last = kept_places(renders, most)
    verdict = traces["verdict"]
    # One step of divergence is all there is of it: the guard acts, and the monitor begins anew.
    alarms = np.add.reduceat(verdict == DIVERGING, np.concatenate([[0], last[:-1] + 1]))
    curves: dict[str, Any] = {name: traces[name][last] for name in CURVES}
    counts: dict[str, Any] = {name: int(course.counts[name][index]) for name in ("restored", "backed_off")}
    return MonitorTrace(renders[last], np.where(alarms > 0, DIVERGING, verdict[last]), **curves, **counts)


def kept_places(renders: np.ndarray, most: int) -> np.ndarray:
    """The last iteration in each of `most` equal stretches of renders, `[points]`; the very last is there.

    Args:
        renders: charged, rising, `[iterations]`.
        most: places.
    """
    if len(renders) <= most:
        return np.arange(len(renders))
    ends = np.linspace(renders[0], renders[-1], most + 1)[1:]
    ends[-1] = renders[-1]
    return np.unique(np.searchsorted(renders, ends, side="right") - 1)
