"""A progress bar on stderr; silent when asked to be, plain lines when nobody watches."""

import contextlib
import sys
import time
from collections.abc import Iterator

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)


class Display:
    """Says nothing: the face of all progress displays, and the one for `quiet`."""

    def say(self, text: str) -> None:
        """A line that stays."""

    def update(self, step: int, total: int, text: str, phase: str) -> None:
        """Shows where the work stands.

        Args:
            step: steps done in this phase.
            total: steps in this phase.
            text: how it goes, a few words.
            phase: what is being done, a word or two.
        """


class _Lines(Display):
    """A line when a phase begins, one now and then, and one when it is complete, for logs and pipes."""

    def __init__(self, every_s: float) -> None:
        self._every_s, self._last, self._printed_s = every_s, ("", False), 0.0

    def say(self, text: str) -> None:
        print(text, file=sys.stderr, flush=True)

    def update(self, step: int, total: int, text: str, phase: str) -> None:
        state, now_s = (phase, step >= total), time.monotonic()
        if state != self._last or (not state[1] and now_s - self._printed_s >= self._every_s):
            self._last, self._printed_s = state, now_s
            self.say(f"{phase}: {step}/{total}, {text}")


class _Bar(Display):
    """A live bar that starts again with each phase."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._phase: str | None = None
        self._task = progress.add_task("", total=None, text="")

    def say(self, text: str) -> None:
        self._progress.console.print(text, highlight=False)

    def update(self, step: int, total: int, text: str, phase: str) -> None:
        if phase != self._phase:
            self._phase = phase
            self._progress.reset(self._task, description=phase, total=total, text="")
        self._progress.update(self._task, completed=step, total=total, text=text)


@contextlib.contextmanager
def progress_display(*, quiet: bool, every_s: float = 60.0) -> Iterator[Display]:
    """Yields a display, and clears up after it.

    Args:
        quiet: show nothing at all. Otherwise a live bar on a terminal, and lines elsewhere.
        every_s: seconds between lines of one phase.
    """
    console = Console(stderr=True)
    if quiet:
        yield Display()
    elif not console.is_terminal:
        yield _Lines(every_s)
    else:
        columns = (
            TextColumn("{task.description:<12}"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TextColumn("{task.fields[text]}"),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
        )
        with Progress(*columns, console=console, transient=True) as progress:
            yield _Bar(progress)
