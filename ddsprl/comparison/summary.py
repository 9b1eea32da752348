"""From the runs of a comparison to what may be claimed: a pure function of `results.json`.

Every part of the suite and every budget has a table of its own. Estimates are medians over targets (shares
for successes and wins) with 95 % bootstrap intervals over targets; see `ddsprl.metrics.statistics`. A target
whose random reference is not above its noise floor measures nothing: it is left out of that judge's excess
for all methods alike, and counted.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from ddsprl.comparison.pricing import dearest
from ddsprl.fitting.core.solver import COUNTS
from ddsprl.measuring.tables import estimate
from ddsprl.metrics import (
    excess_ratio,
    median_interval,
    median_ratio_interval,
    share_interval,
    win_rate_interval,
)

JUDGES = ("loss", "yardstick")
MEDIANS = ("loss", "yardstick", "parameter_error", "seconds", "mss", "wmfcc", "sot", "rms_cosine")
MEANS = ("renders", "gradients", "shared", "charged")
# Of all runs together: evaluations that were not finite, and what solvers did about that or being stuck.
TOTALS = ("failures", *COUNTS)
REFERENCES = {
    "floor": "noise floor",
    "percent": "1 % off",
    "best_512": "best of 512 random",
    "best_4096": "best of 4,096 random",
}

Results = dict[str, Any]


def summarise(results: Results, ratio: Sequence[str] = ()) -> list[dict[str, Any]]:
    """One entry for every part and budget.

    Args:
        results: as in `results.json`, without the summary.
        ratio: two labels whose medians are to be divided, or nothing.

    Returns:
        Entries with `part`, `budget`, `targets`, `left_out`, `methods`, `references`, `wins`, and `ratios`
        if they were asked for. Intervals are lists of estimate, low and high; None where there is no number.
    """
    parts = list(dict.fromkeys(target["part"] for target in results["targets"]))
    budgets = results["options"]["budgets"]
    return [_entry(results, part, budget, ratio) for part in parts for budget in budgets]


def labels_of(results: Results) -> list[str]:
    """Methods in the order of the configuration; objects in a JSON file are sorted by name."""
    return [method["label"] for method in results["options"]["methods"]]


def price_of(results: Results, label: str, samples: int) -> float | None:
    """Renders that a gradient of a method is charged as, on clips of a length; None if it takes none."""
    costs = results["methods"][label]["gradient_cost"]
    same = [cost for cost in costs if cost["samples"] == samples]
    return dearest(same) if same else None


def table_of(results: Results, part: str, budget: int, method: str, field: str) -> np.ndarray | None:
    """One number of all runs, `[targets, seeds]`; None where there is no such number."""
    names = [target["name"] for target in results["targets"] if target["part"] == part]
    runs = [run for run in results["runs"] if (run["method"], run["budget"]) == (method, budget)]
    rows = {(run["target"], run["seed"]): run for run in runs}
    values = [[rows[name, seed].get(field) for seed in range(results["options"]["seeds"])] for name in names]
    return None if any(value is None for row in values for value in row) else np.array(values, np.float64)


def reference_of(results: Results, part: str, name: str, judge: str) -> np.ndarray | None:
    """One reference of all targets of a part, `[targets]`; a floor of 0 for recordings, None for others."""
    found = [t["references"].get(name, {}).get(judge) for t in results["targets"] if t["part"] == part]
    if any(value is None for value in found):
        return np.zeros(len(found)) if name == "floor" else None
    return np.array(found, np.float64)


def excess_of(results: Results, part: str, budget: int, method: str, judge: str) -> np.ndarray:
    """Excess ratio to the best of 4,096, `[targets, seeds]`, NaN where a target measures nothing."""
    loss = table_of(results, part, budget, method, judge)
    return excess_ratio(
        loss, reference_of(results, part, "floor", judge), reference_of(results, part, "best_4096", judge)
    )


def _entry(results: Results, part: str, budget: int, ratio: Sequence[str]) -> dict[str, Any]:
    labels = labels_of(results)
    excess = {
        judge: {label: excess_of(results, part, budget, label, judge) for label in labels} for judge in JUDGES
    }
    usable = {judge: np.isfinite(next(iter(excess[judge].values()))).all(1) for judge in JUDGES}
    kept = {judge: {label: x[usable[judge]] for label, x in excess[judge].items()} for judge in JUDGES}
    entry: dict[str, Any] = {
        "part": part,
        "budget": budget,
        "targets": int(usable["loss"].size),
        "left_out": {judge: int((~usable[judge]).sum()) for judge in JUDGES},
        "methods": {label: _row(results, part, budget, label, kept) for label in labels},
        "references": _references(results, part, usable),
        "wins": {judge: _wins(results, part, budget, judge) for judge in JUDGES},
    }
    if ratio:
        a, b = ratio
        pairs = {judge: (kept[judge][a], kept[judge][b]) for judge in JUDGES}
        entry["ratio"] = {
            "of": a,
            "to": b,
            **{judge: estimate(median_ratio_interval, *pair) for judge, pair in pairs.items()},
        }
    return entry


def _row(results: Results, part: str, budget: int, label: str, kept: dict[str, Any]) -> dict[str, Any]:
    """All numbers of one method."""
    row: dict[str, Any] = {}
    for field in MEDIANS:
        values = table_of(results, part, budget, label, field)
        row[field] = None if values is None else estimate(median_interval, values)
    for judge in JUDGES:
        row[f"{judge}_excess"] = estimate(median_interval, kept[judge][label])
        limit = reference_of(results, part, "percent", judge)
        values = table_of(results, part, budget, label, judge)
        row[f"{judge}_success"] = None if limit is None else estimate(share_interval, values, limit)
    for fields, combined in ((MEANS, np.mean), (TOTALS, np.sum)):
        for field in fields:
            values = table_of(results, part, budget, label, field)
            row[field] = None if values is None else float(combined(values))
    prices = [price_of(results, label, t["samples"]) for t in results["targets"] if t["part"] == part]
    known = [price for price in prices if price is not None]
    row["gradient_cost"] = float(np.mean(known)) if known else None
    return row


def _references(results: Results, part: str, usable: dict[str, Any]) -> dict[str, Any]:
    """What the references come to, for rows below the methods."""
    rows: dict[str, Any] = {}
    for name in REFERENCES:
        row: dict[str, Any] = {}
        for judge in JUDGES:
            values = reference_of(results, part, name, judge)
            if values is None or not values.any():
                continue
            floor, best = (reference_of(results, part, x, judge) for x in ("floor", "best_4096"))
            row[judge] = estimate(median_interval, values)
            row[f"{judge}_excess"] = estimate(
                median_interval, excess_ratio(values, floor, best)[usable[judge]]
            )
        if row:
            rows[name] = row
    return rows


def _wins(results: Results, part: str, budget: int, judge: str) -> list[dict[str, Any]]:
    """How often the first of every pair is better on the same target."""
    labels = labels_of(results)
    tables = {label: table_of(results, part, budget, label, judge) for label in labels}
    return [
        {"a": a, "b": b, "rate": estimate(win_rate_interval, tables[a], tables[b])}
        for i, a in enumerate(labels)
        for b in labels[i + 1 :]
    ]
