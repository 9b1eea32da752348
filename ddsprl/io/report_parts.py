"""Pictures beside the match report, one function each: which knob matters, what the sound cannot tell.

    figure axes are given:      draw_sensitivity(axes, dict(zip(names, found.increase[0])))
    a file of its own:          draw_sensitivity_report("sensitivity.png", rises, title=name)
                                draw_posterior_report("posterior.png", low=..., high=..., ...)

Numbers come from `ddsprl.fitting.sensitivity` and `ddsprl.fitting.posterior`; here they are plain mappings.
"""

import os
from collections.abc import Callable, Collection, Mapping
from pathlib import Path

import matplotlib
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from ddsprl.io.atomic import replacing
from ddsprl.io.report import DPI, FAINT, INK, MATCH, RANDOM, SOFT, STYLE, TARGET

WIDTH_PX, ROW_PX, FRAME_PX = 900, 24, 120


def draw_sensitivity(axes: Axes, rises: Mapping[str, float], *, most: int = 40) -> None:
    """Bars of how much the loss rises when a knob is moved, largest first.

    Args:
        axes: drawn into.
        rises: by knob, in units of the loss; below 0 where moving the knob would improve the match.
        most: knobs that are shown.
    """
    ranked = sorted(rises.items(), key=lambda item: -item[1])[:most]
    here = range(len(ranked))
    values = [value for _, value in ranked]
    colours = [MATCH if value > 0.0 else RANDOM for value in values]
    axes.barh(here, values, height=0.7, color=colours)
    highest = max([*values, 0.0]) or 1.0
    for y, value in zip(here, values, strict=True):
        axes.text(max(value, 0.0) + 0.01 * highest, y, f"{value:.3g}", va="center", fontsize=8.5, color=SOFT)
    _knob_rows(axes, [name for name, _ in ranked])
    axes.axvline(0.0, color=FAINT, linewidth=0.8)
    axes.set_xlim(min([*values, 0.0]), 1.12 * highest)
    axes.set_xlabel("rise of the loss: a twentieth of the knob's range, or one choice, down and up")


def draw_posterior(
    axes: Axes,
    low: Mapping[str, float],
    high: Mapping[str, float],
    *,
    preset: Mapping[str, float] | None = None,
    untellable: Collection[str] = (),
) -> None:
    """Credible intervals of all knobs over their range.

    Args:
        axes: drawn into.
        low: lower ends, knob positions in [0, 1] by name, in the order of the rows.
        high: upper ends.
        preset: the best preset, one dot a knob.
        untellable: names drawn faint: the sound says nothing about them.
    """
    for y, name in enumerate(low):
        colour = RANDOM if name in untellable else TARGET
        axes.barh(y, max(high[name] - low[name], 0.004), left=low[name], height=0.5, color=colour)
        if preset is not None:
            axes.plot(preset[name], y, "o", color=MATCH, markersize=5)
    _knob_rows(axes, list(low))
    axes.set_xlim(0.0, 1.0)
    axes.set_xlabel("knob position; bar: 90 % interval, grey: this sound cannot tell")


def draw_sensitivity_report(path: str | os.PathLike[str], rises: Mapping[str, float], *, title: str) -> None:
    """`draw_sensitivity` as a PNG of its own; arguments as there.

    Raises:
        UserError: the file cannot be written.
    """
    _draw(path, len(rises), f"{title}: which knob matters", lambda axes: draw_sensitivity(axes, rises))


def draw_posterior_report(
    path: str | os.PathLike[str],
    low: Mapping[str, float],
    high: Mapping[str, float],
    *,
    title: str,
    preset: Mapping[str, float] | None = None,
    untellable: Collection[str] = (),
) -> None:
    """`draw_posterior` as a PNG of its own; arguments as there.

    Raises:
        UserError: the file cannot be written.
    """
    _draw(
        path,
        len(low),
        f"{title}: what the sound tells",
        lambda axes: draw_posterior(axes, low, high, preset=preset, untellable=untellable),
    )


def _draw(path: str | os.PathLike[str], rows: int, title: str, fill: Callable[[Axes], None]) -> None:
    height_px = FRAME_PX + ROW_PX * max(rows, 4)
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(WIDTH_PX / DPI, height_px / DPI), dpi=DPI)
        canvas = FigureCanvasAgg(figure)
        axes = figure.add_axes((0.24, 60 / height_px, 0.72, 1.0 - FRAME_PX / height_px))
        axes.set_title(title, loc="left", fontsize=12.5, fontweight="bold", pad=10, parse_math=False)
        fill(axes)
        with replacing(Path(path)) as temporary:
            canvas.print_figure(temporary, format="png", dpi=DPI)


def _knob_rows(axes: Axes, names: list[str]) -> None:
    axes.set_yticks(range(len(names)), labels=[name.replace("_", " ") for name in names])
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.tick_params(length=0)
    axes.tick_params(axis="y", labelcolor=INK)
    axes.spines["left"].set_visible(False)
    axes.grid(axis="x", color=FAINT, linewidth=0.8)
    axes.set_axisbelow(True)
