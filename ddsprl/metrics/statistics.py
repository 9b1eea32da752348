"""Intervals over targets: what a comparison of methods may claim.

The unit that is sampled is the target. Seeds are nested in targets: they say how much a method scatters on
one target, not how it fares on others. One scheme serves all of these functions:

1. Every target has one score, the average over its seeds: of the value itself for `median_interval` and
   `mean_interval`; of "won" (1, 0, a tie 1/2) over all pairs of seeds for `win_rate_interval`; of "at or
   below the threshold" (1, 0) for `share_interval`.
2. The estimate is the median, or else the mean, of the scores of all targets.
3. Targets are drawn with replacement, as many as there are, with all of their seeds, `resamples` times; the
   interval runs between the percentiles of the statistic over these draws (Efron and Tibshirani 1993, "An
   Introduction to the Bootstrap", chapter 13). Seeds are not drawn again: of the two ways to resample
   nested data, drawing only whole groups follows the variance of an average more closely (Davison and
   Hinkley 1997, "Bootstrap Methods and their Application", section 3.8).

The draws depend on `seed`, `resamples` and the number of targets alone, so methods judged with the same seed
are judged on the same draws.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

DEFAULT_RESAMPLES = 10_000
DEFAULT_LEVEL = 0.95
# Indices drawn at a time: bounds the memory.
_DRAWS_AT_ONCE = 4_000_000


class Interval(NamedTuple):
    """An estimate and its bootstrap interval.

    Attributes:
        estimate: of the targets as they are.
        low: lower end.
        high: upper end.
    """

    estimate: float
    low: float
    high: float


def median_interval(
    values: Any, *, seed: int, resamples: int = DEFAULT_RESAMPLES, level: float = DEFAULT_LEVEL
) -> Interval:
    """Median over targets of the seeds' average.

    Args:
        values: [targets] or [targets, seeds], finite.
        seed: of the draws.
        resamples: number of draws.
        level: share of the draws within the interval.
    """
    return _interval(_scores(values), _median, seed=seed, resamples=resamples, level=level)


def mean_interval(
    values: Any, *, seed: int, resamples: int = DEFAULT_RESAMPLES, level: float = DEFAULT_LEVEL
) -> Interval:
    """Mean over targets of the seeds' average; arguments as `median_interval`."""
    return _interval(_scores(values), _mean, seed=seed, resamples=resamples, level=level)


def median_ratio_interval(
    a: Any,
    b: Any,
    *,
    seed: int,
    resamples: int = DEFAULT_RESAMPLES,
    level: float = DEFAULT_LEVEL,
) -> Interval:
    """Median of A over median of B, both methods' targets drawn together.

    Args:
        a: [targets] or [targets, seeds of A], finite.
        b: [targets] or [targets, seeds of B], finite.
        seed: of the draws.
        resamples: number of draws.
        level: share of the draws within the interval.

    Returns:
        The ratio, under 1 where A's median is the smaller; NaN where B's median is not above 0, also at the
        ends if that is so in any draw.
    """
    pairs = np.stack([_scores(a), _scores(b)], -1) if np.shape(a)[:1] == np.shape(b)[:1] else None
    if pairs is None:
        raise ValueError(f"A has {np.shape(a)[0]} targets and B {np.shape(b)[0]}")

    def ratio(drawn: np.ndarray) -> np.ndarray:
        over, under = np.median(drawn[..., 0], -1), np.median(drawn[..., 1], -1)
        return np.divide(over, under, out=np.full_like(over, np.nan), where=under > 0.0)

    return _interval(pairs, ratio, seed=seed, resamples=resamples, level=level)


def win_rate_interval(
    a: Any,
    b: Any,
    *,
    seed: int,
    tie: float = 0.0,
    resamples: int = DEFAULT_RESAMPLES,
    level: float = DEFAULT_LEVEL,
) -> Interval:
    """How often method A beats method B on the same target; smaller is better, ties count half.

    Every seed of A meets every seed of B on each target; seeds of one number are not taken as pairs, as they
    have nothing in common across methods.

    Args:
        a: [targets] or [targets, seeds of A], finite.
        b: [targets] or [targets, seeds of B], finite.
        seed: of the draws.
        tie: largest difference that is a tie.
        resamples: number of draws.
        level: share of the draws within the interval.

    Returns:
        Rates in [0, 1]; 0.5 is even, and B's rate over A is 1 minus A's over B.
    """
    a, b = _table(a), _table(b)
    if a.shape[0] != b.shape[0]:
        raise ValueError(f"A has {a.shape[0]} targets and B {b.shape[0]}")
    difference = a[:, :, None] - b[:, None, :]
    won = np.where(np.abs(difference) <= tie, 0.5, np.where(difference < 0.0, 1.0, 0.0))
    return _interval(won.mean((1, 2)), _mean, seed=seed, resamples=resamples, level=level)


def share_interval(
    values: Any,
    thresholds: Any,
    *,
    seed: int,
    resamples: int = DEFAULT_RESAMPLES,
    level: float = DEFAULT_LEVEL,
) -> Interval:
    """Share of runs at or below their target's threshold, every target counting the same.

    Args:
        values: [targets] or [targets, seeds], finite.
        thresholds: [targets], or one for all.
        seed: of the draws.
        resamples: number of draws.
        level: share of the draws within the interval.
    """
    table = _table(values)
    limits = np.broadcast_to(np.asarray(thresholds, np.float64), table.shape[:1])
    if np.isnan(limits).any():
        raise ValueError("a threshold is NaN")
    reached = (table <= limits[:, None]).mean(1)
    return _interval(reached, _mean, seed=seed, resamples=resamples, level=level)


def excess_ratio(loss: Any, floor: Any, reference: Any) -> np.ndarray:
    """Loss above the noise floor, in units of the reference's: `(loss - floor) / (reference - floor)`.

    Args:
        loss: [targets] or [targets, seeds].
        floor: [targets], the loss of the target's own preset under other noise keys; 0 for recordings.
        reference: [targets], as the loss of the best random preset.

    Returns:
        The shape of `loss`: 0 at the floor (a good draw of the noise may lie below), 1 at the reference. NaN
        where the reference is not above the floor: such a target measures nothing, and is to be left out
        for all methods alike.
    """
    loss = np.asarray(loss, np.float64)
    targets = loss.shape[:1]
    floor, reference = (np.broadcast_to(np.asarray(x, np.float64), targets) for x in (floor, reference))
    span = reference - floor
    span = np.where(span > 0.0, span, np.nan)
    trailing = (slice(None),) * len(targets) + (None,) * (loss.ndim - len(targets))
    return (loss - floor[trailing]) / span[trailing]


def _table(values: Any) -> np.ndarray:
    """`[targets, seeds]`, checked."""
    table = np.asarray(values, np.float64)
    table = table[:, None] if table.ndim == 1 else table
    if table.ndim != 2 or table.size == 0:
        raise ValueError(f"values must be [targets] or [targets, seeds], not of shape {np.shape(values)}")
    if not np.isfinite(table).all():
        rows = np.flatnonzero(~np.isfinite(table).all(1))
        raise ValueError(f"values of targets {rows.tolist()} are not finite; leave them out for all methods")
    return table


def _scores(values: Any) -> np.ndarray:
    """Average over seeds, `[targets]`."""
    return _table(values).mean(1)


def _median(scores: np.ndarray) -> np.ndarray:
    return np.median(scores, -1)


def _mean(scores: np.ndarray) -> np.ndarray:
    return np.mean(scores, -1)


def _interval(
    scores: np.ndarray,
    statistic: Callable[[np.ndarray], np.ndarray],
    *,
    seed: int,
    resamples: int,
    level: float,
) -> Interval:
    """Percentile bootstrap of `statistic` over `scores [targets, ...]`, which draws `[..., targets, ...]`."""
    rng = np.random.default_rng(seed)
    targets = scores.shape[0]
    at_once = max(1, _DRAWS_AT_ONCE // targets)
    draws = [
        statistic(scores[rng.integers(targets, size=(min(at_once, resamples - start), targets))])
        for start in range(0, resamples, at_once)
    ]
    tail = 0.5 * (1.0 - level)
    low, high = np.quantile(np.concatenate(draws), [tail, 1.0 - tail])
    return Interval(float(statistic(scores)), float(low), float(high))
