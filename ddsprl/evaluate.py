"""`python -m ddsprl.evaluate RUN`: a trained agent on held-out targets, beside its baselines.

Thin: parse, load the agent, call `ddsprl.evaluation`, print. Under `--out` (RUN/evaluation if not given)
appear `results.json` and `report.html`; what is finished is kept there, so that the same command goes on
where it was interrupted.
"""

import sys
from collections.abc import Sequence

from ddsprl.evaluation.command import run
from ddsprl.evaluation.options import parse_options
from ddsprl.io import run_cli


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point; returns the exit code."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    return run_cli(lambda: run(parse_options(given)))


if __name__ == "__main__":
    sys.exit(main())
