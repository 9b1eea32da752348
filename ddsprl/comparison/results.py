"""From finished pieces to what `results.json` and `curves.json` hold.

Curves are kept in a file of their own:

    {"format": "ddsprl-comparison-curves", "version": 1, "curves": {METHOD: {BUDGET: {SEED: {TARGET: ...}}}}}
"""

from collections.abc import Mapping
from dataclasses import asdict, is_dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ddsprl.comparison.execution import Execution, gradient_batches, gradient_piece, task_name
from ddsprl.comparison.plan import Method
from ddsprl.comparison.searching import Curve, thinned
from ddsprl.comparison.summary import Results, price_of
from ddsprl.fitting.solvers.registry import make_solver, settings_of
from ddsprl.io.json_files import rounded, rounded_tree, write_flat_leaves
from ddsprl.measuring.machine import record

FORMAT, VERSION = "ddsprl-comparison-curves", 1
# Digits of a curve: far finer than can be drawn. Of what was measured of a run noise begins in the third.
CURVE_DIGITS, RUN_DIGITS = 5, 7

# By method, budget, seed and target; the two numbers as texts, as JSON has them.
Curves = dict[str, dict[str, dict[str, dict[str, Curve]]]]


def collect(execution: Execution, source: str) -> Results:
    """What `results.json` holds but the summary, and in every run its curve.

    Args:
        execution: all of whose pieces are there.
        source: fingerprint of the code.
    """
    results: Results = {
        "format": "ddsprl-comparison",
        "version": 1,
        "options": execution.experiment.record(),
        **record(source),
        "rejected": execution.suite.rejected,
        "targets": _targets(execution),
        "runs": _runs(execution),
    }
    results["methods"] = {m.label: _method(execution, m) for m in execution.experiment.methods}
    _charge(results)
    return results


def separate(results: Results) -> tuple[Results, Curves]:
    """Results whose runs hold no curves, and the curves, thinned and rounded; the argument stays as it is."""
    curves: Curves = {}
    runs = []
    for run in results["runs"]:
        alone = {name: value for name, value in run.items() if name != "curve"}
        runs.append(rounded_tree(alone, RUN_DIGITS))
        thin = thinned(run["curve"])
        # Renders are counted; seconds and losses are measured.
        whole = {"renders": [rounded(x, 12) for x in thin["renders"]]}
        short = {name: [rounded(x, CURVE_DIGITS) for x in thin[name]] for name in ("seconds", "loss")}
        of_budget = curves.setdefault(run["method"], {}).setdefault(str(run["budget"]), {})
        of_budget.setdefault(str(run["seed"]), {})[run["target"]] = whole | short
    return results | {"runs": runs}, curves


def curve_of(curves: Curves, run: Mapping[str, Any]) -> Curve:
    """The curve of one run of the results."""
    return curves[run["method"]][str(run["budget"])][str(run["seed"])][run["target"]]


def sound_of(execution: Execution, run: Mapping[str, Any]) -> np.ndarray:
    """The sound `[n]` of one run of the results."""
    for group in execution.groups:
        names = [case.name for case in group.cases[: group.count]]
        if run["target"] in names:
            task = task_name(run["method"], run["budget"], run["seed"])
            arrays = execution.cells.arrays(f"run-{task}-{group.name}")
            return arrays["audio"][names.index(run["target"])]
    raise KeyError(run["target"])


def write_numbers(results_path: Path, curves_path: Path, results: Results, curves: Curves) -> None:
    """Write results and curves, each whole or not at all, the results last.

    Raises:
        UserError: a file cannot be written.
    """
    write_flat_leaves(curves_path, {"format": FORMAT, "version": VERSION, "curves": curves})
    write_flat_leaves(results_path, results)


def _targets(execution: Execution) -> list[dict[str, Any]]:
    found = []
    for group in execution.groups:
        references = execution.cells.read(f"references-{group.name}")["targets"]
        for case in group.cases[: group.count]:
            true = case.true_note
            found.append(
                {
                    "name": case.name,
                    "part": case.part,
                    "midi": float(case.note.midi),
                    "gate_s": float(case.note.gate_s),
                    "true_midi": None if true is None else float(true.midi),
                    "true_gate_s": None if true is None else float(true.gate_s),
                    "note_renders": case.note_renders,
                    "note_pages": case.note_pages,
                    "samples": group.n,
                    "references": references[case.name],
                }
            )
    return found


def _runs(execution: Execution) -> list[dict[str, Any]]:
    found, cells, experiment = [], execution.cells, execution.experiment
    for method in experiment.methods:
        for budget in experiment.budgets:
            for seed in range(experiment.seeds):
                task = task_name(method.label, budget, seed)
                metrics = cells.read(f"field-{task}")["targets"]
                about = {"method": method.label, "budget": budget, "seed": seed}
                for group in execution.groups:
                    rows = cells.read(f"run-{task}-{group.name}")["rows"]
                    found += [{**about, **row, **metrics[row["target"]]} for row in rows]
    return found


def _method(execution: Execution, method: Method) -> dict[str, Any]:
    cells = execution.cells
    lengths = dict.fromkeys(group.n for group in execution.groups)
    costs = [cells.read(f"cost-{method.label}-n{n}") for n in lengths]
    solver = make_solver(method.solver, **method.solver_settings())
    gradient = [cells.read(gradient_piece(b, n)) for b in gradient_batches(method) for n in lengths]
    return {
        "solver": method.solver,
        "start": method.start,
        "count": method.count,
        "settings": {name: _plain(getattr(solver, name)) for name in settings_of(method.solver)},
        "compile_s": sum(cost["compile_s"] for cost in costs),
        "gradient_cost": gradient,
    }


def _plain(setting: Any) -> Any:
    """A setting as JSON holds it: a record of settings is an object."""
    return asdict(setting) if is_dataclass(setting) and not isinstance(setting, type) else setting


def _charge(results: Results) -> None:
    """Shared renders of every run: pages of the library over the targets that they serve, and the note's."""
    targets = {target["name"]: target for target in results["targets"]}
    opened = {tuple(page) for target in results["targets"] for page in target["note_pages"]}
    for label, method in results["methods"].items():
        runs = [run for run in results["runs"] if run["method"] == label]
        pages = opened | {tuple(work) for run in runs for work in run["works"]}
        shared = sum(size for _, _, size, _ in pages) / len(targets)
        method["shared_renders_a_target"] = shared
        for run in runs:
            target = targets[run["target"]]
            price = price_of(results, label, target["samples"]) or 0.0
            run["shared"] = shared + target["note_renders"]
            run["charged"] = run["renders"] + price * run["gradients"] + run["shared"]
