"""A Lyapunov-like monitor: does the loss fall on average, and how sure is that?

The theory asks for E[l(t+1) - l(t)] < 0. Over the last `WINDOW` steps the mean of the increments is
compared with its own standard error, that of a mean of n independent increments. A one-sided normal test
gives the confidence that the mean is negative, and one of three verdicts: stable (falling, sure), diverging
(rising, sure, and by more than a trifle), plateau (neither). Where the loss itself is noisy, successive
increments lean against each other, their mean scatters less than that error, and the test is a cautious
one. It is less so in the steps after a `forget` that was told a loss luckier than most: from there noise
alone looks like a rise.

    trace = monitor_trace(course, index)     # what it said of one target on the way; None without a monitor

A search has hundreds of iterations; of a stretch of them a trace has the last one, and every alarm.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from ddsprl.fitting.core.archive import BAD_LOSS
from ddsprl.fitting.core.solve import Course
from ddsprl.io.json_files import rounded_tree

WINDOW = 12
SURE = 0.9
# A rise over the whole window of less than this share of the loss is a plateau, however sure.
TRIFLE = 0.02

STABLE, PLATEAU, DIVERGING = 0, 1, 2
VERDICTS = ("stable", "plateau", "diverging")
# Of a trace.
MOST_POINTS, DIGITS = 100, 5
CURVES = ("drift", "confidence", "loss", "alpha", "sigma")


class Monitor(NamedTuple):
    """Memory of the last increments of one loss; a pytree.

    Attributes:
        last: loss of the step before, scalar; `BAD_LOSS` where none is known.
        increments: l(t+1) - l(t) of the last steps, oldest overwritten first, `[WINDOW]`.
        count: increments seen since the beginning or the last `forget`, scalar.
    """

    last: jax.Array
    increments: jax.Array
    count: jax.Array


class Reading(NamedTuple):
    """What the monitor says.

    Attributes:
        drift: mean increment a step, scalar.
        confidence: that the expected increment is negative, in [0, 1].
        verdict: `STABLE`, `PLATEAU` or `DIVERGING`; plateau until the window is half full.
    """

    drift: jax.Array
    confidence: jax.Array
    verdict: jax.Array


def forget(loss: jax.Array) -> Monitor:
    """A monitor that has seen one loss."""
    zero = jnp.zeros((), jnp.int32)
    return Monitor(loss, jnp.zeros((WINDOW,), loss.dtype), zero)


def observe(monitor: Monitor, loss: jax.Array) -> Monitor:
    """Take in the next loss; one that is not finite counts as a rise to twice the last one."""
    loss = jnp.where(jnp.isfinite(loss), loss, 2.0 * jnp.abs(monitor.last))
    increments = monitor.increments.at[monitor.count % WINDOW].set(loss - monitor.last)
    known = monitor.last < BAD_LOSS
    increments = jnp.where(known, increments, monitor.increments)
    return Monitor(loss, increments, monitor.count + known.astype(monitor.count.dtype))


def read(monitor: Monitor) -> Reading:
    """Drift, confidence and verdict over the window."""
    seen = jnp.minimum(monitor.count, WINDOW)
    valid = jnp.arange(WINDOW) < seen
    n = jnp.maximum(seen, 1).astype(monitor.last.dtype)
    drift = jnp.sum(jnp.where(valid, monitor.increments, 0.0)) / n
    square = jnp.sum(jnp.where(valid, jnp.square(monitor.increments - drift), 0.0))
    spread = square / jnp.maximum(n - 1.0, 1.0)
    # The tiny term keeps a constant loss at a confidence of one half.
    error = jnp.sqrt(spread / n + 1e-16)
    confidence = jax.scipy.stats.norm.cdf(-drift / error)
    ready = seen >= WINDOW // 2
    rises = (confidence < 1.0 - SURE) & (drift * n > TRIFLE * jnp.abs(monitor.last))
    verdict = jnp.where(confidence > SURE, STABLE, jnp.where(rises, DIVERGING, PLATEAU))
    return Reading(drift, confidence, jnp.where(ready, verdict, PLATEAU))


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
