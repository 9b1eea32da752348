"""The bars that an agent has to beat: doing nothing, random actions and tuned CMA-ES on the fixed suites.

Per stage the median excess over held-out targets, as `python -m ddsprl.evaluate` measures it; see
`docs/evaluation.md`. What is finished is kept in `--work`, so that the same command goes on where it stopped.

    python benchmarks/env_baselines.py
    python benchmarks/env_baselines.py --quick
"""

from pathlib import Path
from typing import Any

from _common import parser, print_table, save
from ddsprl.compile_cache import enable_compilation_cache
from ddsprl.cpu import tune_cpu
from ddsprl.env import EnvConfig, make_matcher
from ddsprl.evaluation.results import collect
from ddsprl.evaluation.run import Evaluation, Settings
from ddsprl.io.json_files import rounded_tree
from ddsprl.measuring.tables import interval_text

BUDGETS, QUICK_BUDGETS = (50, 500, 2000), (16,)
TARGETS, QUICK_TARGETS = 32, 4
DIGITS = 5


def rows_of(results: dict[str, Any]) -> list[dict[str, Any]]:
    """A row for each stage: median excess of every method."""
    rows = []
    for stage in results["stages"]:
        row: dict[str, Any] = {"stage": f"{stage['stage']} {stage['name']}", "knobs": len(stage["knobs"])}
        row |= {name: interval_text(x["excess"], 3) for name, x in stage["methods"].items()}
        rows.append(row)
    return rows


def main() -> None:
    """Measure what is missing, print the table, write the results."""
    made = parser(__doc__, rounds=1)
    made.add_argument("--stages", type=int, nargs="+", default=[1, 2, 3, 4, 5])
    made.add_argument("--work", type=Path, default=Path("out/env_baselines"), help="for finished pieces")
    options = made.parse_args()
    tune_cpu()
    enable_compilation_cache()
    quick = options.quick
    settings = Settings(
        directory=options.work.with_name(f"{options.work.name}_quick") if quick else options.work,
        stages=tuple(options.stages[:1] if quick else options.stages),
        targets=QUICK_TARGETS if quick else TARGETS,
        suite=0,
        budgets=QUICK_BUDGETS if quick else BUDGETS,
    )
    evaluation = Evaluation(settings, make_matcher(EnvConfig()))
    evaluation.measure()
    results = collect(evaluation)
    print_table("Median excess [95 % interval over targets]", rows_of(results))
    # Where pieces are kept is of this machine.
    vars(options).pop("work")
    kept = ("environment", "methods", "source", "stages")
    save("env_baselines", options, rounded_tree({name: results[name] for name in kept}, DIGITS))


if __name__ == "__main__":
    main()
