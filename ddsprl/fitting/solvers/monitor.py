"""A Lyapunov-like monitor: does the loss fall on average, and how sure is that?

The theory asks for E[l(t+1) - l(t)] < 0. Over the last `WINDOW` steps the mean of the increments is
compared with its own standard error, that of a mean of n independent increments. A one-sided normal test
gives the confidence that the mean is negative, and one of three verdicts: stable (falling, sure), diverging
(rising, sure, and by more than a trifle), plateau (neither). Where the loss itself is noisy, successive
increments lean against each other, their mean scatters less than that error, and the test is a cautious
one. It is less so in the steps after a `forget` that was told a loss luckier than most: from there noise
alone looks like a rise.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from ddsprl.fitting.core.archive import BAD_LOSS

WINDOW = 12
SURE = 0.9
# A rise over the whole window of less than this share of the loss is a plateau, however sure.
TRIFLE = 0.02

STABLE, PLATEAU, DIVERGING = 0, 1, 2
VERDICTS = ("stable", "plateau", "diverging")


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
