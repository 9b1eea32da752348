"""SIGINT and SIGTERM: remembered until the run can be saved; a second one leaves at once."""

import os
import signal
import sys

_EXIT_BASE = 128
_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interruption:
    """Remembers the first signal.

    Attributes:
        code: exit code of the signal seen (130 or 143), 0 before.
    """

    def __init__(self) -> None:
        """None seen yet."""
        self.code = 0

    def __enter__(self) -> "Interruption":
        """Take the signals over."""
        self._before = [signal.signal(number, self._handle) for number in _SIGNALS]
        return self

    def __exit__(self, *_) -> None:
        """Hand them back."""
        for number, handler in zip(_SIGNALS, self._before, strict=True):
            signal.signal(number, handler)

    def _handle(self, number: int, _) -> None:
        if self.code:
            # An exception raised here can surface inside a callback of the runtime, which swallows it.
            show_cursor = b"\x1b[?25h" if sys.stderr.isatty() else b""
            os.write(2, show_cursor + b"interrupted; not saved since the last checkpoint\n")
            os._exit(_EXIT_BASE + number)
        self.code = _EXIT_BASE + number
