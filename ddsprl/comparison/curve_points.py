"""Anytime curves as data: thinned, rounded, and kept in a file of their own beside the results.

    {"format": "ddsprl-comparison-curves", "version": 1, "curves": {METHOD: {BUDGET: {SEED: {TARGET: ...}}}}}

A curve has `renders` (charged), `seconds` (of one target) and `loss` (best so far, as the search hears
itself), lists of one length. It is a staircase: between two places the loss is that of the earlier one, so
places where nothing got better are left out, but for the last one. A search that begins to hear other noise
on its way begins a best of its own: there the staircase stays at what it had until that one first improves,
and may then stand higher.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ddsprl.comparison.summary import Results
from ddsprl.io.json_files import rounded, rounded_tree, write_flat_leaves

FORMAT, VERSION = "ddsprl-comparison-curves", 1
# Places that are kept at most, and the digits of their numbers: far finer than can be drawn.
CURVE_POINTS, DIGITS = 64, 5
# Of what was measured of a run; noise begins in the third.
RUN_DIGITS = 7

Curve = dict[str, list[float]]
# By method, budget, seed and target; the two numbers as texts, as JSON has them.
Curves = dict[str, dict[str, dict[str, dict[str, Curve]]]]


def thinned(curve: Mapping[str, Any]) -> Curve:
    """A curve where it got better, and its end; at most `CURVE_POINTS` places.

    What is more than that is chosen evenly over the logarithm of the renders. Thinning twice changes nothing.
    """
    arrays = {name: np.asarray(curve[name], np.float64) for name in ("renders", "seconds", "loss")}
    loss = arrays["loss"]
    if not len(loss):
        return {name: [] for name in arrays}
    kept = np.union1d(np.flatnonzero(np.diff(loss, prepend=np.inf) < 0), len(loss) - 1)
    if len(kept) > CURVE_POINTS:
        places = arrays["renders"][kept]
        spread = np.geomspace(max(places[0], 1.0), max(places[-1], 1.0), CURVE_POINTS)
        kept = kept[np.unique(np.clip(np.searchsorted(places, spread), 0, len(kept) - 1))]
    return {name: array[kept].tolist() for name, array in arrays.items()}


def separate(results: Results) -> tuple[Results, Curves]:
    """Results whose runs hold no curves, and the curves, thinned and rounded; the argument is left alone."""
    curves: Curves = {}
    runs = []
    for run in results["runs"]:
        alone = {name: value for name, value in run.items() if name != "curve"}
        runs.append(rounded_tree(alone, RUN_DIGITS))
        thin = thinned(run["curve"])
        # Renders are counted; seconds and losses are measured.
        whole = {"renders": [rounded(x, 12) for x in thin["renders"]]}
        short = {name: [rounded(x, DIGITS) for x in thin[name]] for name in ("seconds", "loss")}
        of_budget = curves.setdefault(run["method"], {}).setdefault(str(run["budget"]), {})
        of_budget.setdefault(str(run["seed"]), {})[run["target"]] = whole | short
    return results | {"runs": runs}, curves


def curve_of(curves: Curves, run: Mapping[str, Any]) -> Curve:
    """The curve of one run of the results."""
    return curves[run["method"]][str(run["budget"])][str(run["seed"])][run["target"]]


def write_numbers(results_path: Path, curves_path: Path, results: Results, curves: Curves) -> None:
    """Write results and curves, each whole or not at all, the results last.

    Raises:
        UserError: a file cannot be written.
    """
    write_flat_leaves(curves_path, {"format": FORMAT, "version": VERSION, "curves": curves})
    write_flat_leaves(results_path, results)
