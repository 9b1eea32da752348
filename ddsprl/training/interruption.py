"""SIGINT and SIGTERM: remembered until the run can be saved; a second one leaves at once.

While a run is prepared there is nothing to save. Then the first one leaves at once, with a line that says how
to go on: what is prepared is a function of the settings, and demonstrations that are stored are read again.
"""

import os
import signal
import sys

_EXIT_BASE = 128
_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_UNSAVED = "interrupted; not saved since the last checkpoint"


class Interruption:
    """Remembers the first signal, once there is something to save.

    Attributes:
        code: exit code of the signal seen (130 or 143), 0 before.
    """

    def __init__(self, command: str) -> None:
        """None seen yet, and nothing to save.

        Args:
            command: that goes on with the run.
        """
        self.code = 0
        self._line = f"interrupted while the run was prepared; go on with: {command}"
        self._saves = False

    def prepared(self) -> None:
        """From now on whoever asks for `code` saves."""
        self._saves = True
        self._line = _UNSAVED

    def __enter__(self) -> "Interruption":
        """Take the signals over."""
        self._before = [signal.signal(number, self._handle) for number in _SIGNALS]
        return self

    def __exit__(self, *_) -> None:
        """Hand them back."""
        for number, handler in zip(_SIGNALS, self._before, strict=True):
            signal.signal(number, handler)

    def _handle(self, number: int, _) -> None:
        if self.code or not self._saves:
            # An exception raised here can surface inside a callback of the runtime, which swallows it.
            clear = "\r\x1b[K\x1b[?25h" if sys.stderr.isatty() else ""
            os.write(2, f"{clear}{self._line}\n".encode())
            os._exit(_EXIT_BASE + number)
        self.code = _EXIT_BASE + number
