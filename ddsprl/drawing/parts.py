"""Pictures beside the match report, one function each: which knob matters, what the sound cannot tell.

    figure axes are given:      draw_sensitivity(axes, dict(zip(names, found.increase[0])))
    a file of its own:          draw_sensitivity_report("sensitivity.png", rises, title=name)
                                draw_posterior_report("posterior.png", low=..., high=..., ...)

Numbers are plain mappings: this room knows no search.
"""

import io
import os
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from textwrap import wrap

import matplotlib
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.font_manager import findfont, get_font

from ddsprl.drawing.style import DPI, FAINT, INK, MATCH, RANDOM, SOFT, STYLE, TARGET, VERDICTS
from ddsprl.io.atomic import replacing

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


def draw_verdicts(axes: Axes, x: Sequence[float], verdicts: Sequence[str]) -> None:
    """A band of what the search's monitor said, point by point, with its legend below.

    Args:
        axes: drawn into, from corner to corner; its x axis is left as it is.
        x: where each verdict was reached, rising; it holds since the one before.
        verdicts: of `ddsprl.drawing.style.VERDICTS`, as many.
    """
    since = [axes.get_xlim()[0], *x[:-1]]
    for name, colour in VERDICTS.items():
        spans = [(a, b - a) for a, b, said in zip(since, x, verdicts, strict=True) if said == name]
        axes.broken_barh(spans, (0.0, 1.0), color=colour, linewidth=0.0, label=name)
    axes.set_ylim(0.0, 1.0)
    axes.yaxis.set_visible(False)
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)
    axes.annotate("monitor", (0, 1), (0, 5), xycoords="axes fraction", textcoords="offset points", color=SOFT)
    settings = {"ncols": len(VERDICTS), "handlelength": 0.9, "handleheight": 0.9, "columnspacing": 1.2}
    axes.legend(loc="lower right", bbox_to_anchor=(1.0, 1.0), borderpad=0.1, **settings)


def draw_sensitivity_report(path: str | os.PathLike[str], rises: Mapping[str, float], *, title: str) -> None:
    """`draw_sensitivity` as a PNG of its own; arguments as there.

    Raises:
        UserError: the file cannot be written.
    """
    heading = f"{title}: which knob matters"
    picture = _picture(len(rises), heading, "", lambda axes: draw_sensitivity(axes, rises))
    with replacing(Path(path)) as temporary:
        temporary.write_bytes(picture)


def draw_posterior_report(path: str | os.PathLike[str], **contents) -> None:
    """`posterior_png` as a file; arguments as there.

    Raises:
        UserError: the file cannot be written.
    """
    picture = posterior_png(**contents)
    with replacing(Path(path)) as temporary:
        temporary.write_bytes(picture)


def posterior_png(
    *,
    low: Mapping[str, float],
    high: Mapping[str, float],
    title: str,
    remark: str = "",
    preset: Mapping[str, float] | None = None,
    untellable: Collection[str] = (),
) -> bytes:
    """`draw_posterior` as a PNG of its own; arguments as there, with a heading and a sentence below it."""

    def fill(axes: Axes) -> None:
        draw_posterior(axes, low, high, preset=preset, untellable=untellable)

    return _picture(len(low), f"{title}: what the sound tells", remark, fill)


def panel_title(axes: Axes, title: str, note: str) -> None:
    """A heading with a note beside it."""
    text = axes.set_title(title, loc="left", fontsize=12.5, fontweight="bold", pad=10)
    axes.annotate(note, (1, 0), (8, 3), xycoords=text, textcoords="offset points", fontsize=9.5, color=SOFT)


def legible(text: str, most: int) -> str:
    """Shortens a text and replaces characters that the font lacks, which would each print a warning."""
    font = get_font(findfont("DejaVu Sans"))
    text = "".join(c if font.get_char_index(ord(c)) else "?" for c in text)
    return text if len(text) <= most else text[: most - 1] + "…"


def png(figure: Figure) -> bytes:
    """A figure as a PNG file's content."""
    content = io.BytesIO()
    # Packed a little less: half the time, and hardly more bytes.
    figure.canvas.print_figure(content, format="png", dpi=DPI, pil_kwargs={"compress_level": 4})
    return content.getvalue()


def _picture(rows: int, title: str, remark: str, fill: Callable[[Axes], None]) -> bytes:
    lines = wrap(remark, 120)
    height_px = FRAME_PX + ROW_PX * max(rows, 4) + LINE_PX * len(lines)
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(WIDTH_PX / DPI, height_px / DPI), dpi=DPI)
        FigureCanvasAgg(figure)
        plain = {"x": 0.03, "va": "top", "parse_math": False}
        figure.text(y=1.0 - 18 / height_px, s=legible(title, 90), fontsize=12.5, fontweight="bold", **plain)
        figure.text(y=1.0 - 44 / height_px, s="\n".join(lines), fontsize=9.0, linespacing=1.4, **plain)
        top_px = FRAME_PX - 60 + LINE_PX * len(lines)
        axes = figure.add_axes((0.24, 60 / height_px, 0.72, 1.0 - (60 + top_px) / height_px))
        fill(axes)
        return png(figure)


def _knob_rows(axes: Axes, names: list[str]) -> None:
    axes.set_yticks(range(len(names)), labels=[name.replace("_", " ") for name in names])
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.tick_params(length=0)
    axes.tick_params(axis="y", labelcolor=INK)
    axes.spines["left"].set_visible(False)
    axes.grid(axis="x", color=FAINT, linewidth=0.8)
    axes.set_axisbelow(True)
