"""A progress bar with the best loss, on stderr; silent when asked to be, plain lines when nobody watches."""

import contextlib
import math
import sys
import time
from collections.abc import Iterator

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

LINE_EVERY_S = 60.0


class MatchProgress:
    """Says nothing: the face of all progress displays, and the one for `quiet`."""

    def update(self, step: int, total: int, best_loss: float, phase: str) -> None:
        """Shows where the work stands.

        Args:
            step: steps done in this phase.
            total: steps in this phase.
            best_loss: the best loss so far; NaN or infinite for none yet.
            phase: what is being done, a word or two.
        """


class _PhaseLines(MatchProgress):
    """One line when a phase begins, one a minute, and one when it is complete, for logs and pipes."""

    def __init__(self) -> None:
        self._last: tuple[str, bool] | None = None
        self._printed_s = 0.0

    def update(self, step: int, total: int, best_loss: float, phase: str) -> None:
        """Prints a line if the phase has changed or is complete, or nothing was printed for a minute."""
        state, now_s = (phase, step >= total), time.monotonic()
        if state != self._last or (not state[1] and now_s - self._printed_s >= LINE_EVERY_S):
            self._last, self._printed_s = state, now_s
            print(f"{phase}: {step}/{total}, {_best(best_loss)}", file=sys.stderr, flush=True)


class _Bar(MatchProgress):
    """A live bar that starts again with each phase."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._phase: str | None = None
        self._task = progress.add_task("", total=None, best="")

    def update(self, step: int, total: int, best_loss: float, phase: str) -> None:
        """Moves the bar."""
        if phase != self._phase:
            self._phase = phase
            self._progress.reset(self._task, description=phase, total=total, best="")
        self._progress.update(self._task, completed=step, total=total, best=_best(best_loss))


@contextlib.contextmanager
def match_progress(quiet: bool) -> Iterator[MatchProgress]:
    """Yields a display with `update(step, total, best_loss, phase)`, and clears up after it.

    Args:
        quiet: show nothing at all. Otherwise a live bar on a terminal, and a line per phase elsewhere.
    """
    if quiet:
        yield MatchProgress()
        return
    console = Console(stderr=True)
    if not console.is_terminal:
        yield _PhaseLines()
        return
    columns = (
        TextColumn("{task.description:<12}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[best]}"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console, transient=True) as progress:
        yield _Bar(progress)


def _best(best_loss: float) -> str:
    return f"best loss {best_loss:.4f}" if math.isfinite(best_loss) else "no loss yet"
