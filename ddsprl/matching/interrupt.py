"""Ctrl-C, once and twice."""

import os
import signal
import sys

from ddsprl.io import EXIT_INTERRUPTED


class Interrupt:
    """Remembers Ctrl-C until the search can stop; a second one stops at once."""

    def __init__(self) -> None:
        """Not pressed yet."""
        self.seen = False

    def __enter__(self):
        """Take the signal over."""
        self._before = signal.signal(signal.SIGINT, self._handle)
        return self

    def __exit__(self, *_):
        """Hand the signal back."""
        signal.signal(signal.SIGINT, self._before)

    def _handle(self, *_):
        if self.seen:
            # An exception raised here can surface inside a callback of the runtime (garbage collection, for
            # one), which prints and swallows it. Files appear by renaming: there is nothing to clean up.
            show_cursor = b"\x1b[?25h" if sys.stderr.isatty() else b""
            os.write(2, show_cursor + b"interrupted\n")
            os._exit(EXIT_INTERRUPTED)
        self.seen = True

    def check(self) -> None:
        """Stop the search here if Ctrl-C was pressed."""
        if self.seen:
            raise KeyboardInterrupt
