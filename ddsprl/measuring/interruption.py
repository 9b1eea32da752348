"""Ctrl-C and SIGTERM, for all commands.

    with Interruption("interrupted: the same command goes on") as interruption:    # leaves at once ...
        with interruption.whole():                                                 # ... but finishes this
            write()
        interruption.remember("interrupted; not saved")                            # leaves when it is asked
        while not interruption.code:
            work()

A process leaves by `os._exit`: an exception raised in a handler can surface inside a callback of the runtime
(garbage collection, for one), which prints and swallows it. Files appear by renaming, so there is nothing to
clean up.
"""

import contextlib
import os
import signal
import sys
from collections.abc import Callable, Iterator

_EXIT_BASE = 128  # and the signal's number: what a shell reports
_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_CLEAR = "\r\x1b[K\x1b[?25h"  # the line of a progress bar; the cursor, which a bar hides

Line = str | Callable[[], str]


class Interruption:
    """What the first signal does, and the second.

    Attributes:
        code: exit code of the first signal seen (130 or 143), 0 before.
    """

    def __init__(self, line: Line = "interrupted", *, remembers: bool = False) -> None:
        """None seen yet.

        Args:
            line: what is said when the process leaves at once; a function is asked then.
            remembers: whether the first signal waits until `code` is looked at or `check` is called.
        """
        self.code = 0
        self._line, self._remembers, self._writing = line, remembers, False

    def remember(self, line: Line) -> None:
        """From now on the first signal is remembered, and a second one leaves with this line."""
        self._line, self._remembers = line, True

    def check(self) -> None:
        """Stop here if there was a signal.

        Raises:
            KeyboardInterrupt: there was.
        """
        if self.code:
            raise KeyboardInterrupt

    @contextlib.contextmanager
    def whole(self) -> Iterator[None]:
        """The block is finished, whatever comes meanwhile; who does not remember leaves after it."""
        self._writing = True
        try:
            yield
        finally:
            self._writing = False
        if self.code and not self._remembers:
            self._leave(self.code)

    def __enter__(self) -> "Interruption":
        """Take the signals over."""
        self._before = [signal.signal(number, self._handle) for number in _SIGNALS]
        return self

    def __exit__(self, *_: object) -> None:
        """Hand them back."""
        for number, handler in zip(_SIGNALS, self._before, strict=True):
            signal.signal(number, handler)

    def _handle(self, number: int, _: object) -> None:
        again, self.code = bool(self.code), self.code or _EXIT_BASE + number
        if not self._writing and (again or not self._remembers):
            self._leave(_EXIT_BASE + number)

    def _leave(self, code: int) -> None:
        line = self._line if isinstance(self._line, str) else self._line()
        os.write(2, f"{_CLEAR if sys.stderr.isatty() else ''}{line}\n".encode())
        os._exit(code)
