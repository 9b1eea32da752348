"""Anytime curves: median excess against renders and against seconds, one row of panels a part of the suite.

A curve is the best that the search itself has heard so far (snapped; under one noise key, or as the solver
hears fresh ones), at the largest budget, with the 95 % bootstrap band of its median; a dot is a judged
result (noise keys that no search has heard), one a budget. Renders are the search's own: shared work, such
as training the guesses, is not on the axis, so a method that pays for it ends before its budget.
"""

import os
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from ddsprl.comparison.markdown import TITLES
from ddsprl.comparison.results import Curves, curve_of
from ddsprl.comparison.searching import Curve
from ddsprl.comparison.summary import Results, labels_of, reference_of
from ddsprl.drawing.style import DPI, FAINT, INK, PAPER, SOFT, blank
from ddsprl.io.output import replacing

# After Okabe and Ito (2008), told apart by colour-blind eyes; the later ones are further shades.
COLOURS = ("#d55e00", "#0072b2", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#5b4a9c", "#7f7f7f", "#8c510a")
POINTS, RESAMPLES = 120, 1_000
# Of the methods that share a colour, in turn.
DASHES: tuple[Any, ...] = ("solid", (0, (4, 1.5)), (0, (1.2, 1.2)))
LOWEST = 3e-3
# Of the runs, for the ends of a curve.
MOST = 0.95
AXES = (
    ("renders", "renders of the search{charged}"),
    ("seconds", "seconds a target, without compiling"),
)


def colour_of(results: Results, label: str) -> str:
    """The colour of a method, the same everywhere."""
    return COLOURS[labels_of(results).index(label) % len(COLOURS)]


def draw_curves(path: str | os.PathLike[str], results: Results, curves: Curves) -> None:
    """Write the picture, whole or not at all.

    Args:
        path: of the PNG file.
        results: with the summary.
        curves: of its runs.
    """
    parts = list(dict.fromkeys(entry["part"] for entry in results["summary"]))
    with blank(1400, 540 * len(parts) + 90, layout="constrained") as figure:
        grid: Any = figure.subplots(len(parts), 2, squeeze=False, sharey="row")
        for row, part in zip(grid, parts, strict=True):
            for axes, (against, label) in zip(row, AXES, strict=True):
                _draw_panel(axes, results, curves, part, against)
                axes.set_xlabel(label.format(charged=_charged_text(results)))
            over = "loss" if part == "recordings" else "excess over the noise floor"
            row[0].set_ylabel(f"{over}\n(1: best of 4,096 random presets)")
            row[0].set_title(TITLES[part], loc="left", fontsize=12.5, fontweight="bold", pad=10)
        handles, labels = grid[0][0].get_legend_handles_labels()
        columns = min(len(labels), 6)
        figure.legend(
            handles, labels, loc="outside upper center", ncols=columns, fontsize=10.5, handlelength=2.4
        )
        with replacing(path) as temporary:
            figure.canvas.print_figure(temporary, format="png", dpi=DPI)


def anytime(
    results: Results, curves: Curves, part: str, label: str, against: str
) -> tuple[np.ndarray, np.ndarray] | None:
    """Excess of the best so far at the largest budget.

    Args:
        results: as written.
        curves: of its runs.
        part: of the suite.
        label: of the method.
        against: `renders` or `seconds`.

    Returns:
        Places `[points]` and excess `[targets, points]`, the mean over seeds; targets that measure nothing
        are left out. None if there is nothing to draw.
    """
    budget = max(results["options"]["budgets"])
    targets = [t["name"] for t in results["targets"] if t["part"] == part]
    floor, best = (reference_of(results, part, name, "loss") for name in ("floor", "best_4096"))
    if floor is None or best is None:
        return None
    found: dict[str, list[Curve]] = {name: [] for name in targets}
    for run in results["runs"]:
        if run["method"] == label and run["budget"] == budget and run["target"] in found:
            found[run["target"]].append(curve_of(curves, run))
    every = [curve for group in found.values() for curve in group if curve["loss"]]
    kept = [i for i, name in enumerate(targets) if best[i] > floor[i] and found[name]]
    if not every or not kept:
        return None
    # From where nearly every run has begun, to where nearly every one has ended: a clock has outliers.
    first = max(float(np.quantile([curve[against][0] for curve in every], MOST)), 1e-3)
    last = float(np.quantile([curve[against][-1] for curve in every], MOST))
    x = np.geomspace(first, max(last, 1.001 * first), POINTS)
    rows = []
    for i in kept:
        loss = np.mean([_at(curve[against], curve["loss"], x) for curve in found[targets[i]]], axis=0)
        rows.append((loss - floor[i]) / (best[i] - floor[i]))
    return x, np.array(rows)


def _at(places: list[float], values: list[float], x: np.ndarray) -> np.ndarray:
    """The last value at or before each place."""
    return np.asarray(values)[np.clip(np.searchsorted(places, x * (1 + 1e-9), side="right") - 1, 0, None)]


def _charged_text(results: Results) -> str:
    """What a gradient is charged as in the curves; nothing if no method takes one."""
    costs = [cost["charged"] for method in results["methods"].values() for cost in method["gradient_cost"]]
    prices = [f"{price:g}" for price in sorted({min(costs), max(costs)})] if costs else []
    return f", a gradient charged as {' to '.join(prices)}" if prices else ""


def _draw_panel(axes: Axes, results: Results, curves: Curves, part: str, against: str) -> None:
    rng, lowest, highest = np.random.default_rng(0), [], []
    for place, label in enumerate(labels_of(results)):
        colour, found = colour_of(results, label), anytime(results, curves, part, label, against)
        if found is not None:
            x, excess = found
            drawn = excess[rng.integers(len(excess), size=(RESAMPLES, len(excess)))]
            low, high = np.quantile(np.median(drawn, axis=1), [0.025, 0.975], axis=0)
            middle = np.median(excess, axis=0)
            axes.fill_between(
                x, np.maximum(low, LOWEST), np.maximum(high, LOWEST), color=colour, alpha=0.13, lw=0
            )
            # Solid while there are colours for all.
            dashes = DASHES[place // len(COLOURS) % len(DASHES)]
            line = {"color": colour, "linewidth": 2.2, "linestyle": dashes}
            axes.plot(x, np.maximum(middle, LOWEST), label=label, **line)
            lowest.append(middle.min())
            highest.append(middle.max())
        _draw_results(axes, results, part, label, against, colour)
    axes.axhline(1.0, color=SOFT, linewidth=1.2, linestyle=(0, (4, 3)), zorder=1)
    axes.set(xscale="log", yscale="log")
    axes.set_ylim(0.75 * max(min([*lowest, 0.9]), LOWEST), 1.3 * max([*highest, 1.0]))
    for axis, places in ((axes.xaxis, (1.0, 2.0, 5.0)), (axes.yaxis, (1.0, 1.5, 2.0, 3.0, 5.0, 7.0))):
        axis.set_major_locator(LogLocator(subs=places, numticks=24))
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,g}"))
        axis.set_minor_formatter(NullFormatter())
    axes.grid(which="major", color=FAINT, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.tick_params(which="both", length=0, labelcolor=INK)


def _draw_results(axes: Axes, results: Results, part: str, label: str, against: str, colour: str) -> None:
    """Judged results, one dot a budget, with their intervals."""
    for entry in results["summary"]:
        row = entry["methods"][label]
        if entry["part"] != part or row["loss_excess"] is None:
            continue
        seconds = row["seconds"][0] if row["seconds"] else 0.0
        own = row["charged"] - row["shared"]
        place = own if against == "renders" else seconds
        middle, low, high = (max(x, LOWEST) for x in row["loss_excess"])
        axes.plot([place, place], [low, high], color=colour, linewidth=1.4, alpha=0.8, zorder=4)
        axes.plot([place], [middle], "o", color=colour, markersize=7, mec=PAPER, mew=1.2, zorder=5)
