"""Estimates with intervals: as JSON holds them, and as text."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from ddsprl.metrics import Interval

# Of the bootstrap.
SEED = 0


def estimate(interval: Callable[..., Interval], *values: Any) -> list[float] | None:
    """Estimate, low and high; None if there is nothing to estimate from, or one of them is no number.

    Args:
        interval: of `ddsprl.metrics.statistics`.
        *values: its arrays.
    """
    if any(np.size(x) == 0 for x in values):
        return None
    found = interval(*values, seed=SEED)
    return [float(x) for x in found] if all(math.isfinite(x) for x in found) else None


def interval_text(value: list[float] | float | None, digits: int) -> str:
    """A number with so many digits after the point, with its interval if it has one; nothing for None."""
    if value is None:
        return ""
    if not isinstance(value, list):
        return f"{value:,.{digits}f}"
    middle, low, high = (f"{x:,.{digits}f}" for x in value)
    return f"{middle} [{low}, {high}]"
