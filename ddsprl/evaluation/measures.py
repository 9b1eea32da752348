"""What is said of a method on a suite; plain NumPy. Every formula stands in `docs/evaluation.md`.

Estimates over targets come with 95 % bootstrap intervals (`ddsprl.metrics.statistics`).
"""

import math
from typing import Any, NamedTuple

import numpy as np

from ddsprl.measuring.tables import estimate
from ddsprl.metrics import (
    excess_ratio,
    median_interval,
    median_ratio_interval,
    share_interval,
    win_rate_interval,
)


class Yardsticks(NamedTuple):
    """What the targets of a suite are measured against, `[n]` each.

    Attributes:
        floor: judged loss of the target's own preset.
        reference: judged loss of the best of 64 random presets.
        epsilon: loss below which a target counts as solved.
    """

    floor: np.ndarray
    reference: np.ndarray
    epsilon: np.ndarray

    @property
    def usable(self) -> np.ndarray:
        """Targets whose reference is above the floor; others measure nothing."""
        return self.reference > self.floor


class Measured(NamedTuple):
    """A method on every target, `[n]` each but the curve.

    Attributes:
        loss: judged.
        curve: best loss so far as the method heard it, after each render that was of a new preset,
            `[n, points]`.
        seconds: of wall clock for all targets.
        renders: spent on each target.
    """

    loss: np.ndarray
    curve: np.ndarray
    seconds: float
    renders: int


def excess(loss: np.ndarray, yardsticks: Yardsticks) -> np.ndarray:
    """(L - floor) / (reference - floor), `[n]`; NaN where that measures nothing."""
    return excess_ratio(loss, yardsticks.floor, yardsticks.reference)


def meter(loss: np.ndarray, yardsticks: Yardsticks) -> np.ndarray:
    """The match meter in percent: 0 at the random reference or worse, 100 at the noise floor, `[n]`."""
    return 100.0 * np.clip(1.0 - excess(loss, yardsticks), 0.0, 1.0)


def renders_to(curve: np.ndarray, level: np.ndarray) -> np.ndarray:
    """Renders until the best loss so far is below a level `[n]`, infinite where it never is, `[n]`."""
    below = curve < level[:, None]
    return np.where(below.any(axis=1), below.argmax(axis=1) + 1.0, np.inf)


def summary(measured: Measured, yardsticks: Yardsticks) -> dict[str, Any]:
    """Everything that is said of a method; intervals are lists of estimate, low and high."""
    usable = yardsticks.usable
    shares = excess(measured.loss, yardsticks)[usable]
    needed = renders_to(measured.curve, yardsticks.epsilon)
    median = float(np.median(needed))
    return {
        "loss": estimate(median_interval, measured.loss),
        "excess": estimate(median_interval, shares),
        "meter": estimate(median_interval, 100.0 * np.clip(1.0 - shares, 0, 1)),
        "success": estimate(share_interval, measured.loss, _below(yardsticks.epsilon)),
        "solved": estimate(share_interval, measured.curve[:, -1], _below(yardsticks.epsilon)),
        "renders_to_epsilon": median if math.isfinite(median) else None,
        "renders": measured.renders,
        "targets": len(usable),
        "left_out": int((~usable).sum()),
        "seconds": measured.seconds / len(usable),
    }


def duel(a: np.ndarray, b: np.ndarray, yardsticks: Yardsticks) -> dict[str, Any]:
    """How method A fares against B on the same targets, from their judged losses `[n]`.

    Returns:
        `wins`, the share of targets on which A's loss is lower, and `ratio`, A's median excess over B's; None
        where B's is not above 0.
    """
    usable = yardsticks.usable
    pair = (excess(x, yardsticks)[usable] for x in (a, b))
    return {"wins": estimate(win_rate_interval, a, b), "ratio": estimate(median_ratio_interval, *pair)}


def _below(level: np.ndarray) -> np.ndarray:
    """The largest number below a level: a loss at epsilon is not yet under it."""
    return np.nextafter(np.asarray(level, np.float64), -np.inf)
