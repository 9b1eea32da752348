"""Where training stands, in words; the display is that of `ddsprl.io.progress`."""

from dataclasses import dataclass


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
