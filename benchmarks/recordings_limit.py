"""How much of the loss on recordings is the instrument's: the best preset that any search ever found.

Reads comparisons that `python -m ddsprl.compare` wrote on the same recordings (`--out DIR`, their
`results.json`), takes for every recording the lowest loss of all their runs, whatever method, budget and
seed, and divides the median of that by the median of one method at one budget. A bar below this ratio asks
one search of that budget to be better on most recordings than the best of all of these together: with their
number printed beside it, that says whether the search or the instrument is what limits.

    python benchmarks/recordings_limit.py out/recordings out/recordings_20480 out/tune_recordings
"""

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np

from _common import print_table, save
from ddsprl.comparison.summary import JUDGES, Results
from ddsprl.metrics import median_ratio_interval

SEED = 0


def names_of(results: Results) -> list[str]:
    """Recordings, in a fixed order."""
    return sorted(target["name"] for target in results["targets"])


def references(results: Results, judge: str) -> np.ndarray:
    """Loss of the best of 4,096 random presets, `[recordings]`."""
    found = {target["name"]: target["references"]["best_4096"][judge] for target in results["targets"]}
    return np.array([found[name] for name in names_of(results)])


def lowest(comparisons: list[Results], judge: str, names: list[str]) -> np.ndarray:
    """The lowest loss of all runs, `[recordings]`."""
    runs = [run for results in comparisons for run in results["runs"]]
    return np.array([min(run[judge] for run in runs if run["target"] == name) for name in names])


def of_method(results: Results, method: str, judge: str, names: list[str]) -> np.ndarray:
    """All losses of a method, `[recordings, seeds]`."""
    runs = [run for run in results["runs"] if run["method"] == method]
    return np.array([[run[judge] for run in runs if run["target"] == name] for name in names])


def cost_of(run: dict[str, Any]) -> float:
    """Renders charged for the search itself, without what was shared."""
    return run["charged"] - run["shared"]


def report(comparisons: list[Results], method: str) -> dict[str, Any]:
    """Ratios by judge, and how many runs a recording they rest on."""
    first, names = comparisons[0], names_of(comparisons[0])
    found: dict[str, Any] = {
        "recordings": len(names),
        "runs_a_recording": sum(len(results["runs"]) for results in comparisons) // len(names),
        "renders_a_recording": sum(cost_of(run) for x in comparisons for run in x["runs"]) / len(names),
        "to": method,
    }
    for judge in JUDGES:
        base = references(first, judge)
        best = lowest(comparisons, judge, names) / base
        losses = of_method(first, method, judge, names) / base[:, None]
        found[judge] = {
            "best": best.tolist(),
            "method": losses.mean(axis=1).tolist(),
            "ratio": list(median_ratio_interval(best, losses, seed=SEED)),
        }
    return found | {"names": names}


def loaded(directory: Path) -> Results:
    """A comparison's results; one without them, or of other recordings, is refused by `main`."""
    path = directory / "results.json" if directory.is_dir() else directory
    return json.loads(path.read_text(encoding="utf-8"))


def main() -> None:
    """Read, divide, print, write."""
    made = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    made.add_argument("comparisons", type=Path, nargs="+", help="directories; the first has the method")
    made.add_argument("--method", default="cma_es", help="label in the first comparison (default cma_es)")
    made.add_argument(
        "--out", type=Path, help="JSON file (default: benchmarks/results/recordings_limit.json)"
    )
    options = made.parse_args()
    try:
        comparisons = [loaded(path) for path in options.comparisons]
    except (OSError, ValueError) as problem:
        made.error(f"not a comparison's results: {problem}")
    if any(names_of(results) != names_of(comparisons[0]) for results in comparisons):
        made.error("the comparisons are of other recordings than the first")
    if options.method not in comparisons[0]["methods"]:
        made.error(f"method is {options.method}; the first comparison has {comparisons[0]['methods']}")
    found = report(comparisons, options.method)
    rows = [
        {
            "recording": name,
            **{f"{judge}, best": found[judge]["best"][i] for judge in JUDGES},
            **{f"{judge}, {options.method}": found[judge]["method"][i] for judge in JUDGES},
        }
        for i, name in enumerate(found["names"])
    ]
    print_table("Loss over that of the best of 4,096 random presets", rows)
    for judge in JUDGES:
        ratio, low, high = found[judge]["ratio"]
        print(f"{judge}: best of all over {options.method}, medians: {ratio:.3f} [{low:.3f}, {high:.3f}]")
    print(f"{found['runs_a_recording']} runs and {found['renders_a_recording']:,.0f} renders a recording")
    options.comparisons = [str(path) for path in options.comparisons]
    options.quick = False
    save("recordings_limit", options, found)


if __name__ == "__main__":
    main()
