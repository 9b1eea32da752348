"""The progress of training on stderr: a live bar on a terminal, a line now and then elsewhere."""

import contextlib
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

# Where nobody watches.
_LINE_EVERY_S = 10.0


@dataclass(frozen=True)
class Status:
    """What is shown.

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


class TrainProgress:
    """Says nothing: the face of all displays, and the one for `quiet`."""

    def say(self, text: str) -> None:
        """A line that stays: an evaluation, a promotion."""

    def update(self, status: Status) -> None:
        """Shows where training stands."""


class _Lines(TrainProgress):
    def __init__(self) -> None:
        self._last = -_LINE_EVERY_S

    def say(self, text: str) -> None:
        print(text, file=sys.stderr, flush=True)

    def update(self, status: Status) -> None:
        now = time.monotonic()
        if now - self._last >= _LINE_EVERY_S or status.iteration >= status.total:
            self._last = now
            self.say(f"{status.iteration}/{status.total}: {status.text}")


class _Bar(TrainProgress):
    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._task = progress.add_task("train", total=None, text="")

    def say(self, text: str) -> None:
        self._progress.console.print(text, highlight=False)

    def update(self, status: Status) -> None:
        self._progress.update(self._task, completed=status.iteration, total=status.total, text=status.text)


@contextlib.contextmanager
def train_progress(*, quiet: bool) -> Iterator[TrainProgress]:
    """A display, cleared up afterwards."""
    console = Console(stderr=True)
    if quiet:
        yield TrainProgress()
    elif not console.is_terminal:
        yield _Lines()
    else:
        columns = (
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TextColumn("{task.fields[text]}"),
            TimeRemainingColumn(),
        )
        with Progress(*columns, console=console, transient=True) as progress:
            yield _Bar(progress)
