"""Errors that a user can mend, and how a command line shows them: one line, no traceback.

`UserError("--sample-rate is 7, allowed are 8000 to 48000")` is raised at the door, where files, options and
configuration come in; `run_cli` prints it as `error: ...` and turns it into an exit code. Anything else
that is raised is a defect of the program and keeps its traceback.
"""

import difflib
import sys
from collections.abc import Callable, Iterable

EXIT_USER_ERROR = 2
EXIT_INTERRUPTED = 130  # 128 + SIGINT, what a shell reports for Ctrl-C


class UserError(Exception):
    """Something the user asked for cannot be done; the message says what, why and what is allowed."""


def nearest(name: str, allowed: Iterable[str]) -> str | None:
    """Finds the valid name that a misspelt one was probably meant to be.

    Args:
        name: the name as given.
        allowed: the valid names.

    Returns:
        The closest valid name (letter case ignored), or None if none is close.
    """
    by_folded = {candidate.casefold(): candidate for candidate in allowed}
    close = difflib.get_close_matches(name.casefold(), by_folded, n=1, cutoff=0.6)
    return by_folded[close[0]] if close else None


def did_you_mean(name: str, allowed: Iterable[str]) -> str:
    """Returns `; did you mean 'x'?` for the nearest valid name, or an empty string, to end a message with."""
    close = nearest(name, allowed)
    return f"; did you mean {close!r}?" if close is not None else ""


def run_cli(main: Callable[[], int | None]) -> int:
    """Runs an entry point and turns what the user can mend into an exit code.

    Use as `sys.exit(run_cli(main))`.

    Args:
        main: the entry point; returns an exit code, or None for 0.

    Returns:
        The entry point's code, 2 after a `UserError` (its message on one line of stderr), 130 after Ctrl-C.
    """
    try:
        return main() or 0
    except UserError as error:
        # A file name may hold a line break; the promise is one line.
        print("error: " + " ".join(str(error).split()), file=sys.stderr)
        return EXIT_USER_ERROR
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return EXIT_INTERRUPTED
