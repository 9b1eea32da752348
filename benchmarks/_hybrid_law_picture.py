"""The picture of the hybrid law's demonstrations."""

from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from ddsprl.drawing.style import FAINT, INK, PAPER, SOFT, STYLE
from ddsprl.fitting.solvers.monitor import VERDICTS
from ddsprl.io.output import replacing

HYBRID, DESCENT, RANDOM = "#0072b2", "#d55e00", "#a9b1bb"
VERDICT_COLOURS = ("#009e73", "#e69f00", "#cc3311")
DPI = 110


def draw(path: Path, results: dict[str, Any], *, q_limit: float, q_band: tuple[float, float]) -> None:
    """Write the PNG file, whole or not at all.

    Args:
        path: of the file.
        results: of the benchmark, with curves.
        q_limit: of the second demonstration.
        q_band: of the third.
    """
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(13.0, 8.6), dpi=DPI, facecolor=PAPER, layout="constrained")
        canvas = FigureCanvasAgg(figure)
        grid: Any = figure.subplots(2, 2)
        valleys = results["valleys"]
        _losses(grid[0, 0], valleys)
        _verdicts(grid[0, 1], valleys)
        _gains(grid[1, 0], valleys)
        _guards(grid[1, 1], results, q_limit, q_band)
        for axes in grid.flat:
            axes.grid(color=FAINT, linewidth=0.7)
            axes.set_axisbelow(True)
            axes.tick_params(which="both", length=0, labelcolor=INK)
            axes.title.set(ha="left", fontweight="bold", fontsize=11.5)
        with replacing(path) as temporary:
            canvas.print_figure(temporary, format="png", dpi=DPI)


def _losses(axes: Axes, valleys: dict[str, Any]) -> None:
    """Best loss so far against renders, a line a start."""
    for name, colour in (("descent by the same law", DESCENT), ("hybrid", HYBRID)):
        curve = valleys["curves"][name]
        for i, loss in enumerate(curve["loss"]):
            label = f"{name}, {len(curve['loss'])} starts" if i == 0 else None
            axes.plot(curve["renders"], loss, color=colour, alpha=0.45, linewidth=1.1, label=label)
    axes.axhline(valleys["reference_1_percent"], color=SOFT, linestyle=(0, (4, 3)), linewidth=1.2)
    axes.text(0.995, valleys["reference_1_percent"], "1 % reference", transform=axes.get_yaxis_transform(),
              ha="right", va="bottom", color=SOFT, fontsize=9)  # fmt: skip
    axes.set(xlabel="renders charged", ylabel="best loss so far", ylim=(0.0, None))
    axes.set_title("Two valleys, every start in the wrong one", loc="left")
    axes.legend(frameon=False, loc="center right")


def _verdicts(axes: Axes, valleys: dict[str, Any]) -> None:
    """Loss of the coldest replica over the iterations, coloured by the monitor's verdict."""
    curve = valleys["curves"]["hybrid"]
    for row in [i for i, hit in enumerate(curve["reached"]) if hit][:3]:
        loss, verdict = (np.array(curve["traces"][row][key]) for key in ("loss", "verdict"))
        axes.plot(loss, color=FAINT, linewidth=1.4, zorder=1)
        for code, colour in enumerate(VERDICT_COLOURS):
            at = np.flatnonzero(verdict == code)
            axes.scatter(at, loss[at], s=17, color=colour, zorder=2)
    for code, colour in enumerate(VERDICT_COLOURS):
        axes.scatter([], [], s=17, color=colour, label=VERDICTS[code])
    axes.set(xlabel="iteration", ylabel="loss of the coldest replica", ylim=(0.0, None))
    axes.set_title("The monitor's verdict, the first three starts that escaped", loc="left")
    axes.legend(frameon=False)


def _gains(axes: Axes, valleys: dict[str, Any]) -> None:
    """Step, and dither where there is any: median and the middle 80 % over starts."""
    traces = valleys["curves"]["hybrid"]["traces"]
    for key, colour, label in (("alpha", INK, "step alpha"), ("sigma", HYBRID, "dither sigma")):
        values = np.array([trace[key] for trace in traces])
        if not values.any():
            continue
        low, middle, high = np.quantile(values, [0.1, 0.5, 0.9], axis=0)
        axes.fill_between(np.arange(len(middle)), low, high, color=colour, alpha=0.18, lw=0)
        axes.plot(middle, color=colour, linewidth=1.8, label=f"{label}: median and middle 80 % over starts")
    axes.set(xlabel="iteration", ylabel="mean over replicas", yscale="log")
    axes.set_title("Gains over the budget", loc="left")
    axes.legend(frameon=False)


def _guards(axes: Axes, results: dict[str, Any], q_limit: float, q_band: tuple[float, float]) -> None:
    """Brightness against Q of the results of the guarded and unguarded runs."""
    axes.axvspan(0.0, q_limit, color=HYBRID, alpha=0.10, lw=0)
    axes.axvspan(*q_band, color=VERDICT_COLOURS[0], alpha=0.12, lw=0)
    points = (
        ("limit", "best random", RANDOM, "s", f"best random, Q at most {q_limit:g}"),
        ("limit", "hybrid, no guard", DESCENT, "x", "hybrid, no guard"),
        ("limit", "hybrid, guarded", HYBRID, "o", f"hybrid, Q at most {q_limit:g}"),
        ("band", "hybrid, guarded", VERDICT_COLOURS[0], "o", f"hybrid, Q in {q_band[0]:g} to {q_band[1]:g}"),
    )
    for part, name, colour, marker, label in points:
        row = results[part][name]
        axes.scatter(row["Q"], row["centroids"], s=42, color=colour, marker=marker, label=label, alpha=0.85)
    axes.set(xlabel="filter Q of the result", ylabel="spectral centroid, Hz", xlim=(0.0, 10.2))
    axes.set_title("Brightness within guards, one mark a seed", loc="left")
    axes.legend(frameon=False, fontsize=9)
