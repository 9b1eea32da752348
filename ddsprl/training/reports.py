"""What a run says of itself: its status in words, figures of the tally and of an evaluation by name."""

import math
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np

from ddsprl.env import Results
from ddsprl.training.records import Tally


@dataclass(frozen=True)
class Status:
    """Where training stands, for a display.

    Attributes:
        iteration: done.
        total: iterations in all.
        loss: mean best loss of the episodes that ended lately; NaN before one has.
        success: share of these that were solved, likewise.
        stage: of the first seed, as are loss and success.
        steps_per_s: environment steps, of all seeds.
    """

    iteration: int
    total: int
    loss: float
    success: float
    stage: int
    steps_per_s: float

    @property
    def text(self) -> str:
        """In words."""
        known = self.loss == self.loss
        episodes = f"loss {self.loss:.3f}, solved {self.success:.0%}" if known else "no episode ended yet"
        return f"{episodes}, stage {self.stage}, {self.steps_per_s:.0f} steps/s"


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
