"""Tunes CMA-ES for the baselines: measures the grid of `ddsprl.evaluation.tuning` and writes its file."""

import argparse
import sys
from pathlib import Path
from typing import Any

from ddsprl.compile_cache import enable_compilation_cache
from ddsprl.cpu import tune_cpu
from ddsprl.env.match.make import make_matcher
from ddsprl.env.match.references import setup_of
from ddsprl.env.match.types import EnvConfig
from ddsprl.evaluation.suites import make_suite
from ddsprl.evaluation.tuning import FILE, GRIDS, measure_grid
from ddsprl.io import progress_display, run_cli
from ddsprl.io.json_files import read_object, rounded_tree, write_flat_leaves

COMMAND = "python -m ddsprl.evaluation.tune_cma_es"
DIGITS = 5
REMEDY = "remove it to have it made again"


def main(arguments: list[str] | None = None) -> int:
    """Entry point: what the file holds already is kept, so that an interrupted run goes on."""
    parser = argparse.ArgumentParser(prog=COMMAND, description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--stages", type=int, nargs="+", default=[1, 2, 3, 4, 5])
    parser.add_argument("--budgets", type=int, nargs="+", choices=list(GRIDS), default=list(GRIDS))
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "data" / FILE)
    options = parser.parse_args(sys.argv[1:] if arguments is None else arguments)
    return run_cli(lambda: tune(options.out, options.stages, options.budgets))


def tune(path: Path, stages: list[int], budgets: list[int]) -> None:
    """Measure what the file lacks of the default setup."""
    tune_cpu()
    enable_compilation_cache()
    env = make_matcher(EnvConfig())
    known = read_object(path, remedy=REMEDY) if path.is_file() else {"setups": []}
    mine = next((e for e in known["setups"] if e["setup"] == setup_of(env)), None)
    rows: list[dict[str, Any]] = [] if mine is None else mine["tuned"]
    others = [e for e in known["setups"] if e is not mine]
    todo = [(budget, stage) for budget in budgets for stage in stages]
    there = {(row["budget"], row["stage"]) for row in rows}
    with progress_display(quiet=False) as display:
        for budget, stage in todo:
            if (budget, stage) in there:
                continue
            suite = make_suite(env, stage, count=GRIDS[budget].targets, split="reference")

            def show(done: int, total: int, excess: float, name: str = f"{budget} renders, stage {stage}"):
                display.update(done, total, f"median excess {excess:.4f}", name)

            rows.append(measure_grid(suite, budget, GRIDS[budget].settings, show))
            rows.sort(key=lambda row: (row["budget"], row["stage"]))
            entry = {"setup": setup_of(env), "tuned": rows}
            write_flat_leaves(path, rounded_tree({"command": COMMAND, "setups": [*others, entry]}, DIGITS))


if __name__ == "__main__":
    sys.exit(main())
