"""`python -m ddsprl.compare --out DIR`: search methods at equal budget, with intervals, curves and sounds.

Thin: parse, check at the door, call `ddsprl.comparison`, print. Under `--out` appear `results.json`,
`curves.json`, `table.md`, `curves.png` and `report.html`; what is finished is kept there, so that the same
command goes on where it was interrupted.
"""

import sys
from collections.abc import Sequence

from ddsprl.comparison.markdown import markdown
from ddsprl.comparison.options import CompareOptions, parse_options, settle
from ddsprl.comparison.run import check_methods, compare, with_usable_starts
from ddsprl.compile_cache import enable_compilation_cache
from ddsprl.cpu import tune_cpu
from ddsprl.fitting.solvers.registry import SOLVERS
from ddsprl.fitting.starts.registry import STARTS
from ddsprl.io import run_cli
from ddsprl.io.cli import print_out


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point; returns the exit code."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    return run_cli(lambda: run(parse_options(given)))


def run(options: CompareOptions) -> int:
    """Compare, and print the tables; returns the exit code."""
    # Nobody hands positions in here.
    starts = tuple(name for name in STARTS if name != "given")
    settings = settle(options, solvers=tuple(SOLVERS), starts=starts)
    check_methods(settings.experiment)
    settings = settings._replace(experiment=with_usable_starts(settings.experiment))
    tune_cpu()
    enable_compilation_cache()
    print_out(markdown(compare(settings)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
