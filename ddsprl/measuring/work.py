"""A long measurement: its missing pieces are made one after the other, and Ctrl-C may come at any time.

with Work(directory, "comparison", quiet=False) as work:
work.cells.claim({"seed": 1, ...})
work.do([("references", make_references), ...], "comparing")
with work.interruption.whole():
write_outputs()
"""

import contextlib
import math
from collections.abc import Sequence
from pathlib import Path

from ddsprl.io.progress import Display, progress_display
from ddsprl.measuring.cells import Cells, Job
from ddsprl.measuring.interruption import Interruption


class Work:
    """The pieces of one directory.

    Attributes:
        cells: finished pieces.
        interruption: in force within the block.
        display: of the progress.
    """

    def __init__(self, directory: Path, kind: str, *, quiet: bool) -> None:
        """Nothing is read or written yet.

        Args:
            directory: of the cells.
            kind: see `Cells`.
            quiet: no progress display.
        """
        self.interruption = Interruption(self._line)
        self.cells = Cells(directory, kind, self.interruption)
        self._quiet, self._done, self._total = quiet, 0, 0

    def __enter__(self) -> "Work":
        """Take the signals over and show a display."""
        with contextlib.ExitStack() as stack:
            stack.enter_context(self.interruption)
            self.display: Display = stack.enter_context(progress_display(quiet=self._quiet))
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *error: object) -> None:
        """Clear up."""
        self._stack.__exit__(*error)  # pyright: ignore[reportArgumentType]

    def do(self, jobs: Sequence[Job], phase: str) -> None:
        """Make every piece that is not there; `phase` is shown."""
        self._total, loss = len(jobs), math.nan
        for i, (name, make) in enumerate(jobs):
            if not self.cells.has(name):
                self.display.update(i, self._total, loss_text(loss), phase)
                loss = make()
            self._done = i + 1
        self.display.update(self._total, self._total, loss_text(loss), phase)

    def _line(self) -> str:
        where = f"{self._done} of {self._total} pieces are in {self.cells.directory}"
        return f"interrupted: {where if self._total else 'at the start'}; the same command goes on"


def loss_text(best_loss: float) -> str:
    """The best loss so far, for a display; NaN or infinite is none yet."""
    return f"best loss {best_loss:.4f}" if math.isfinite(best_loss) else "no loss yet"
