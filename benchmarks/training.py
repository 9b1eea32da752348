"""A configuration trained with several seeds, measured beside its baselines: tables and learning curves.

Every run is made by `python -m ddsprl.train` and measured by `python -m ddsprl.evaluate`, as anyone would do
it, under `--work`; what is finished there is kept, so that the same command goes on where it stopped.

    python benchmarks/training.py                               # the default run, 3 seeds
    python benchmarks/training.py --config no_warm_start
    python benchmarks/training.py --quick
"""

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from _common import parser, print_table, save
from _training_picture import draw
from ddsprl.evaluation.methods import AGENT, POLICY
from ddsprl.io.json_files import rounded_tree
from ddsprl.io.run_log import read_log

DOCS = Path(__file__).resolve().parent.parent / "docs"
SEEDS, TARGETS, BUDGETS = 3, 128, (50, 500)
QUICK_TARGETS, QUICK_ITERATIONS = 4, 100
DIGITS = 5
# Of a method at one stage, what is published.
MEASURES = ("excess", "success", "solved", "loss")


def trained(config: str, seed: int, work: Path, *, quick: bool) -> Path:
    """The directory of a finished run; made, or gone on with, if it is not there."""
    place = work / config / f"seed-{seed}"
    runs = sorted(place.glob("*-[0-9][0-9][0-9]")) if place.is_dir() else []
    if runs:
        _python("ddsprl.train", "--resume", str(runs[-1]))
        return runs[-1]
    given = ["--config", config, "--seed", str(seed), "--out", str(place), "--log.tensorboard", "False"]
    _python("ddsprl.train", *given, *(["--loop.iterations", str(QUICK_ITERATIONS)] if quick else []))
    return next(iter(sorted(place.glob("*-[0-9][0-9][0-9]"))))


def evaluated(run: Path, *, cloned: bool, quick: bool, budgets: Sequence[int] = ()) -> dict[str, Any]:
    """The results of an evaluation of a run, or of its cloned actor; `budgets` are of CMA-ES beside it."""
    out = run / ("evaluation-cloned" if cloned else "evaluation")
    given = ["--out", str(out), "--targets", str(QUICK_TARGETS if quick else TARGETS), "--players", "1"]
    given += ["--budgets", *map(str, budgets), *(["--cloned"] if cloned else [])]
    _python("ddsprl.evaluate", str(run), *given)
    return json.loads((out / "results.json").read_text(encoding="utf-8"))


def _python(module: str, *arguments: str) -> None:
    subprocess.run([sys.executable, "-m", module, *arguments], check=True)


def curves(logs: list[list[dict[str, Any]]]) -> dict[str, Any]:
    """Per stage the gap to the floor at every evaluation, a row for each run."""
    found = {}
    for stage in sorted({int(r["kind"][6:]) for log in logs for r in log if r["kind"].startswith("stage_")}):
        rows = [[r for r in log if r["kind"] == f"stage_{stage}"] for log in logs]
        count = min(map(len, rows))
        found[str(stage)] = {
            "iteration": [r["iteration"] for r in rows[0][:count]],
            "gap": [[r["median_gap"] for r in row[:count]] for row in rows],
            "success": [[r["success_rate"] for r in row[:count]] for row in rows],
            "final_to_first": [row[-1]["median_gap"] / row[0]["median_gap"] for row in rows],
        }
    return found


def stages_of(results: list[dict[str, Any]], cloned: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Per stage the agents' measures, a list over the seeds that reached it, beside those of the others."""
    rows = []
    for i, stage in enumerate(results[0]["stages"]):
        each = [run["stages"][i]["methods"][AGENT] for run in results if i < len(run["stages"])]
        row = {"stage": stage["stage"], "name": stage["name"]}
        row["agent"] = {name: [x[name] for x in each] for name in MEASURES}
        alone = [run["stages"][i]["methods"][POLICY] for run in results if i < len(run["stages"])]
        row["alone"] = {name: [x[name] for x in alone] for name in MEASURES}
        # The actor was cloned from demonstrations of the first stage, and is measured on that.
        if cloned and i < len(cloned[0]["stages"]):
            before = [run["stages"][i]["methods"][AGENT] for run in cloned]
            row["cloned"] = {name: [x[name] for x in before] for name in MEASURES}
            pairs = zip(row["agent"]["excess"], row["cloned"]["excess"], strict=True)
            row["agent_to_cloned"] = [a[0] / b[0] for a, b in pairs]
        others = {name: x for name, x in stage["methods"].items() if name not in (AGENT, POLICY)}
        row["others"] = {name: {m: x[m] for m in MEASURES} for name, x in others.items()}
        rows.append(row)
    return rows


def shown(row: dict[str, Any]) -> dict[str, Any]:
    """A stage's line of the table: medians over targets, of the seeds their median and range."""
    line: dict[str, Any] = {"stage": f"{row['stage']} {row['name']}"}
    for who in ("agent", "alone", "cloned"):
        if who in row:
            line[f"{who}: excess"] = over_seeds(row[who]["excess"])
            line[f"{who}: solved"] = over_seeds(row[who]["solved"])
    return line | {name: f"{x['excess'][0]:.2f}" for name, x in row["others"].items() if x["excess"]}


def over_seeds(intervals: list[list[float]]) -> str:
    """The median and the range of estimates."""
    each = [interval[0] for interval in intervals]
    return f"{np.median(each):.2f} [{min(each):.2f}, {max(each):.2f}]"


def effort(run: Path, log: list[dict[str, Any]]) -> dict[str, float]:
    """What a run took: the loop, and beside it demonstrations and evaluations."""
    last = [r for r in log if r["kind"] == "train"][-1]
    names = ("iteration", "transitions", "updates", "update_to_data", "stage")
    agent = json.loads((run / "config.json").read_text(encoding="utf-8"))["config"]["agent"]
    taught = agent["kickstart"] or agent["goal_weight"]
    lessons = last["updates"] * agent["imitation_batch"] / last["transitions"] if taught else 0.0
    return {name: last[name] for name in names} | {
        "lessons_to_data": lessons,
        "loop_s": last["wall_s"],
        "demonstrations_s": sum(r["wall_s"] for r in log if r["kind"] == "demonstrations"),
        "evaluations_s": sum(r["evaluation_s"] for r in log if r["kind"] == "evaluation"),
    }


def main() -> None:
    """Train and evaluate what is missing, print the table, write the results and the picture."""
    made = parser(__doc__, rounds=1)
    made.add_argument("--config", default="default", help="name of a file in configs/ (default: default)")
    made.add_argument("--seeds", type=int, default=SEEDS)
    made.add_argument("--work", type=Path, default=Path("out/training"), help="for the runs")
    options = made.parse_args()
    config, quick, work = options.config, options.quick, options.work
    work = work.with_name(f"{work.name}_quick") if quick else work
    runs = [trained(config, seed, work, quick=quick) for seed in range(1 if quick else options.seeds)]
    # All meet the same targets, and CMA-ES is no other beside another agent.
    budgets = [BUDGETS[:1] if quick else BUDGETS] + [()] * (len(runs) - 1)
    pairs = zip(runs, budgets, strict=True)
    results = [evaluated(run, cloned=False, quick=quick, budgets=beside) for run, beside in pairs]
    has_clones = all((run / "cloned").is_dir() for run in runs)
    cloned = [evaluated(run, cloned=True, quick=quick) for run in runs] if has_clones else []
    logs = [read_log(run / "log.jsonl") for run in runs]
    record = {
        "effort": [effort(run, log) for run, log in zip(runs, logs, strict=True)],
        "stages": stages_of(results, cloned),
        "curves": curves(logs),
    }
    print_table("Median excess and share solved [range over seeds]", [shown(row) for row in record["stages"]])
    if record["curves"] and not quick:
        draw(DOCS / f"training_{config}.png", record["curves"], transitions=results_scale(record["effort"]))
    vars(options).pop("work")
    save(f"training_{config}", options, rounded_tree(record, DIGITS))


def results_scale(efforts: list[dict[str, float]]) -> float:
    """Transitions of one iteration."""
    return efforts[0]["transitions"] / efforts[0]["iteration"]


if __name__ == "__main__":
    main()
