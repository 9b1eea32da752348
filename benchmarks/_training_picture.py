"""Learning curves, a panel for every stage."""

from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from ddsprl.drawing.style import FAINT, INK, PAPER, STYLE
from ddsprl.env.match.curriculum import stages_of
from ddsprl.io.output import replacing
from synth_jax.instruments import DEFAULT_INSTRUMENT, INSTRUMENTS

AGENT, DPI = "#0072b2", 110
STAGES = stages_of(INSTRUMENTS[DEFAULT_INSTRUMENT]())


def draw(path: Path, curves: dict[str, Any], *, transitions: float) -> None:
    """Write the PNG file, whole or not at all.

    Args:
        path: of the file.
        curves: of the benchmark, by stage.
        transitions: of one iteration.
    """
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(4.6 * len(curves), 4.0), dpi=DPI, facecolor=PAPER, layout="constrained")
        canvas = FigureCanvasAgg(figure)
        panels: Any = figure.subplots(1, len(curves), squeeze=False)[0]
        for axes, (stage, curve) in zip(panels, curves.items(), strict=True):
            x, gaps = np.array(curve["iteration"]) * transitions / 1000.0, np.array(curve["gap"])
            axes.fill_between(x, gaps.min(axis=0), gaps.max(axis=0), color=AGENT, alpha=0.18, linewidth=0)
            for row in gaps:
                axes.plot(x, row, color=AGENT, linewidth=0.8, alpha=0.6)
            axes.plot(x, np.median(gaps, axis=0), color=AGENT, linewidth=2.2)
            axes.set_yscale("log")
            for axis_formatter in (axes.yaxis.set_major_formatter, axes.yaxis.set_minor_formatter):
                axis_formatter(FuncFormatter(_label))
            title = f"Stage {stage}: {STAGES[int(stage) - 1].name}"
            axes.set_title(title, loc="left", fontweight="bold", fontsize=11.5)
            axes.set_xlabel("thousand environment steps")
            axes.grid(color=FAINT, linewidth=0.7, which="both")
            axes.set_axisbelow(True)
            axes.tick_params(which="both", length=0, labelcolor=INK)
        panels[0].set_ylabel("loss above the noise floor, median")
        with replacing(path) as temporary:
            canvas.print_figure(temporary, format="png", dpi=DPI)


def _label(value: float, _: int) -> str:
    """1, 2, 3 and 5 of every decade; more would run into one another."""
    return f"{value:g}" if f"{value:e}"[0] in "1235" else ""
