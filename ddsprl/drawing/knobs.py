"""Pictures with a row for every knob: which ones matter, and what the sound cannot tell.

Numbers are plain mappings: this room knows no search.
"""

from collections.abc import Collection, Mapping
from textwrap import wrap

from matplotlib.axes import Axes

from ddsprl.drawing.style import FAINT, INK, MATCH, RANDOM, SOFT, TARGET, blank, legible, png

WIDTH_PX, ROW_PX, FRAME_PX, LINE_PX = 900, 24, 120, 18


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
        axes.text(max(value, 0.0) + 0.01 * highest, y, f"{value:.2g}", va="center", fontsize=8.5, color=SOFT)
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
            axes.plot(preset[name], y, "o", color=MATCH, markersize=5, clip_on=False)
    _knob_rows(axes, list(low))
    axes.set_xlim(0.0, 1.0)
    axes.set_xlabel("knob position; bar: 90 % interval (grey: this sound cannot tell), dot: the preset found")


def posterior_png(
    *,
    low: Mapping[str, float],
    high: Mapping[str, float],
    title: str,
    remark: str = "",
    preset: Mapping[str, float] | None = None,
    untellable: Collection[str] = (),
) -> bytes:
    """Credible intervals of all knobs, a PNG.

    Args:
        low: lower ends, by name.
        high: upper ends.
        title: the headline, such as the target's name.
        remark: a sentence below it.
        preset: one dot a knob.
        untellable: names drawn faint.
    """
    lines = wrap(remark, 120)
    height_px = FRAME_PX + ROW_PX * max(len(low), 4) + LINE_PX * len(lines)
    with blank(WIDTH_PX, height_px) as figure:
        plain = {"x": 0.03, "va": "top", "parse_math": False}
        figure.text(
            y=1.0 - 18 / height_px,
            s=legible(f"{title}: what the sound tells", 90),
            fontsize=12.5,
            fontweight="bold",
            **plain,
        )
        figure.text(y=1.0 - 44 / height_px, s="\n".join(lines), fontsize=9.0, linespacing=1.4, **plain)
        top_px = FRAME_PX - 60 + LINE_PX * len(lines)
        axes = figure.add_axes((0.24, 60 / height_px, 0.72, 1.0 - (60 + top_px) / height_px))
        draw_posterior(axes, low, high, preset=preset, untellable=untellable)
        return png(figure)


def _knob_rows(axes: Axes, names: list[str]) -> None:
    axes.set_yticks(range(len(names)), labels=[name.replace("_", " ") for name in names])
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.tick_params(length=0)
    axes.tick_params(axis="y", labelcolor=INK)
    axes.spines["left"].set_visible(False)
    axes.grid(axis="x", color=FAINT, linewidth=0.8)
    axes.set_axisbelow(True)
