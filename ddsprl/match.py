"""`python -m ddsprl.match TARGET.wav --out DIR`: turn recordings into presets.

Thin: parse, and call `ddsprl.matching`. Every target gets a directory of its own under `--out`, which appears
only when it is complete. Ctrl-C keeps the best found so far. Over several targets a manifest is kept, and the
same command goes on where it was stopped, by Ctrl-C or by anything else.
"""

import sys
from collections.abc import Sequence

from ddsprl.io import run_cli
from ddsprl.matching.options import parse_options
from ddsprl.matching.run import match


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point; returns the exit code."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    return run_cli(lambda: match(parse_options(given)))


if __name__ == "__main__":
    sys.exit(main())
