"""What a run says of itself: figures of the tally and of an evaluation, by name."""

import math
from typing import Any

import jax
import numpy as np

from ddsprl.env import Results
from ddsprl.training.records import Tally


def means(tally: Tally) -> dict[str, float | None]:
    """The figures of a tally, scalars; None where nothing was counted."""
    sums = {name: float(value) for name, value in tally._asdict().items()}

    def of(name: str, count: str) -> float | None:
        return sums[name] / sums[count] if sums[count] else None

    return {
        "episodes": sums["episodes"],
        "success_rate": of("solved", "episodes"),
        "return": of("returns", "episodes"),
        "best_loss": of("best_loss", "episodes"),
        "first_loss": of("first_loss", "episodes"),
        "length": of("lengths", "episodes"),
        "off_mode": of("off_mode", "actions"),
    }


def finite(figures: dict[str, float]) -> dict[str, float | None]:
    """The figures, with None for what is no number: before the first update there are no metrics."""
    return {name: value if math.isfinite(value) else None for name, value in figures.items()}


def summary(results: Results, margin: jax.Array) -> dict[str, Any]:
    """The figures of an evaluation.

    Args:
        results: of its episodes.
        margin: epsilon of the stage: what an episode's own epsilon is above the target's floor. A gap is a
            loss above that floor.
    """
    best, first = np.asarray(results.best_loss), np.asarray(results.first_loss)
    floor = np.asarray(results.state.episode.epsilon) - float(margin)
    return {
        "episodes": int(best.size),
        "median_loss": float(np.median(best)),
        "lower_quartile_loss": float(np.quantile(best, 0.25)),
        "upper_quartile_loss": float(np.quantile(best, 0.75)),
        "median_first_loss": float(np.median(first)),
        "median_gap": float(np.median(best - floor)),
        "median_first_gap": float(np.median(first - floor)),
        "success_rate": float(np.mean(results.solved)),
        "median_length": float(np.median(results.length)),
        "mean_return": float(np.mean(results.returns)),
    }
