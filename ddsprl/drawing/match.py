"""One picture of a match: what was asked for, what was found, how the search went, what the error is.

Drawn with matplotlib's object interface, without pyplot: no window, no current figure, and nothing left
behind in memory however many reports are drawn.
"""

from collections.abc import Mapping, Sequence
from textwrap import wrap
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.gridspec import GridSpec, SubplotSpec
from matplotlib.ticker import FuncFormatter, MaxNLocator

from ddsprl.drawing.knobs import draw_sensitivity
from ddsprl.drawing.style import (
    FAINT,
    INK,
    LOWEST_HZ,
    MATCH,
    PAPER,
    RANDOM,
    RANGE_DB,
    SOFT,
    TARGET,
    VERDICTS,
    blank,
    legible,
    log_spectrogram_db,
    panel_title,
    png,
)

SIZE_PX = (1600, 1160)
LEFT, RIGHT = 0.052, 0.945  # margins, as parts of the width
MOST_KNOBS = 14
MOST_TERMS = 9

Curve = Mapping[str, tuple[Sequence[float], Sequence[float]]]


class Heading(NamedTuple):
    """Words above the pictures.

    Attributes:
        title: the headline, such as the target's name.
        subtitle: one line below it.
        remark: a sentence below that, on two lines if need be.
        facts: a few short values by name, a table at the top right (midi, gate, loss).
    """

    title: str
    subtitle: str
    remark: str = ""
    facts: Mapping[str, str] = {}


class Sounds(NamedTuple):
    """What was asked for and what was found.

    Attributes:
        sample_rate: in Hz.
        target: `[n]`.
        match: `[m]`.
    """

    sample_rate: int
    target: np.ndarray
    match: np.ndarray


class Course(NamedTuple):
    """How the search went.

    Attributes:
        curve: best loss so far, by name: `{"relaxed": (x, loss), "snapped": (x, loss)}`.
        references: losses to compare with, by name, such as `{"best of 512 random": 3.2}`: lines.
        noise_floor: the loss that the true preset would have, if known; one more line.
        x_label: what the x axis counts.
        verdicts: where on that axis the search's monitor was heard, and what it said there (of
            `ddsprl.drawing.style.VERDICTS`); no band of it if None.
    """

    curve: Curve
    references: Mapping[str, float]
    noise_floor: float | None = None
    x_label: str = "renders"
    verdicts: tuple[Sequence[float], Sequence[str]] | None = None


class Terms(NamedTuple):
    """Weighted loss terms by name.

    Attributes:
        match: of what was found.
        reference: of the first of the course's references.
    """

    match: Mapping[str, float]
    reference: Mapping[str, float]


def match_png(
    heading: Mapping[str, Any],
    sounds: Mapping[str, Any],
    course: Mapping[str, Any],
    terms: Mapping[str, Any],
    rises: Mapping[str, float] | None = None,
) -> bytes:
    """The report of one match, a PNG of 1600 x 1160 pixels; records as plain mappings, for another process.

    Args:
        heading: words above, a `Heading`.
        sounds: spectrograms and waveforms, `Sounds`.
        course: the loss curve, a `Course`.
        terms: bars, the match above the reference, `Terms`.
        rises: by knob, how much the loss rises when it is moved; no chart of it if None.
    """
    went = Course(**course)
    with blank(*SIZE_PX) as figure:
        grid = GridSpec(2, 2, figure, height_ratios=[1.65, 1.0])
        grid.update(left=LEFT, right=RIGHT, top=0.85, bottom=0.055, hspace=0.24, wspace=0.13)
        panels = 2 if rises is None else 3
        lower = grid[1, :].subgridspec(1, panels, wspace=0.26 if panels == 2 else 0.42)
        _draw_header(figure, Heading(**heading))
        _draw_sounds(figure, grid, Sounds(**sounds))
        _draw_course(figure, lower[0], went)
        reference_name = next(iter(went.references), "random reference")
        _draw_terms(figure.add_subplot(lower[1]), Terms(**terms), reference_name)
        if rises is not None:
            _draw_rises(figure.add_subplot(lower[2]), rises)
        return png(figure)


def _draw_rises(axes: Axes, rises: Mapping[str, float]) -> None:
    idle = sum(rise == 0.0 for rise in rises.values())
    note = f"{idle} of {len(rises)} without effect" if idle else "for this sound"
    panel_title(axes, "Which knob matters", note)
    draw_sensitivity(axes, rises, most=MOST_KNOBS)
    axes.set_xlabel("rise of the loss: knob moved by a twentieth, or one choice")


def _draw_header(figure: Figure, heading: Heading) -> None:
    # File names are free text: a dollar sign is not mathematics.
    plain = {"va": "center", "parse_math": False}
    figure.text(LEFT, 0.965, legible(heading.title, 44), fontsize=21, fontweight="bold", **plain)
    figure.text(LEFT, 0.934, legible(heading.subtitle, 100), fontsize=11, color=SOFT, **plain)
    # As many characters as fit beside the margins at this size.
    for row, line in enumerate(wrap(legible(heading.remark, 400), 165)[:2]):
        figure.text(LEFT, 0.909 - 0.018 * row, line, fontsize=10.5, color=INK, **plain)
    # Columns get room for their longest text, so that neither a short loss nor a long name looks lost.
    x = RIGHT
    for name, value in reversed(list(heading.facts.items())):
        figure.text(x, 0.965, value, fontsize=15, fontweight="bold", ha="right", **plain)
        figure.text(x, 0.936, name, fontsize=9.5, color=SOFT, ha="right", **plain)
        x -= 0.026 + max(0.0078 * len(value), 0.0046 * len(name))


def _draw_sounds(figure: Figure, grid: GridSpec, given: Sounds) -> None:
    """Spectrograms on one colour scale, with the waveforms on one amplitude scale below them."""
    sample_rate = given.sample_rate
    target, match = np.asarray(given.target, float), np.asarray(given.match, float)
    duration_s = max(target.size, match.size) / sample_rate
    sounds = {"Target": (target, TARGET), "Match": (match, MATCH)}
    spectra = {name: log_spectrogram_db(sound, sample_rate) for name, (sound, _) in sounds.items()}
    top = max(float(level.max()) for level, _ in spectra.values())
    loudest = max(float(np.max(np.abs(sound), initial=0.0)) for sound, _ in sounds.values()) or 1.0
    for column, (name, (sound, colour)) in enumerate(sounds.items()):
        level, _ = spectra[name]
        panel = grid[0, column].subgridspec(2, 1, height_ratios=[3.4, 1.0], hspace=0.04)
        axes, wave = figure.add_subplot(panel[0]), figure.add_subplot(panel[1])
        # Rows are spaced evenly in octaves, so that an image on an axis of octaves is exact, and fast.
        extent = (0.0, sound.size / sample_rate, np.log2(LOWEST_HZ), np.log2(sample_rate / 2))
        image = axes.imshow(
            level - top,
            extent=extent,
            origin="lower",
            aspect="auto",
            interpolation="bilinear",
            cmap="magma",
            vmin=-RANGE_DB,
            vmax=0.0,
        )
        axes.set_facecolor("#000004")  # the colour map's own black, where a shorter sound has ended
        axes.set_title(name, loc="left", fontsize=12.5, fontweight="bold", color=colour, pad=8)
        _frequency_axis(axes, sample_rate)
        axes.set_xlim(0.0, duration_s)
        axes.tick_params(labelbottom=False, length=0)
        if column:
            axes.set_ylabel("")
        _draw_waveform(wave, sound, sample_rate, colour, loudest, duration_s)
        if column:
            box = axes.get_position()
            bar = figure.colorbar(image, cax=figure.add_axes((box.x1 + 0.008, box.y0, 0.007, box.height)))
            bar.outline.set_visible(False)
            bar.set_ticks([0, -20, -40, -60, -80], labels=["0 dB", "-20", "-40", "-60", "-80"])
            bar.ax.tick_params(length=0)


def _frequency_axis(axes: Axes, sample_rate: int) -> None:
    axes.set_ylim(np.log2(LOWEST_HZ), np.log2(sample_rate / 2))
    ticks = [hz for hz in (50, 100, 200, 500, 1000, 2000, 5000, 10_000, 20_000) if hz < 0.5 * sample_rate]
    labels = [f"{hz // 1000}k" if hz >= 1000 else str(hz) for hz in ticks]
    axes.set_yticks(np.log2(ticks), labels=labels)
    axes.set_ylabel("frequency (Hz)")
    axes.spines[:].set_visible(False)


def _draw_waveform(
    axes: Axes, sound: np.ndarray, sample_rate: int, colour: str, loudest: float, duration_s: float
) -> None:
    """Outline of the extremes per pixel column: exact, and free of the moire of plotting every sample."""
    columns = min(700, max(sound.size, 1))
    starts = np.linspace(0, max(sound.size, 1), columns, endpoint=False).astype(int)
    sound = sound if sound.size else np.zeros(1)
    high, low = np.maximum.reduceat(sound, starts), np.minimum.reduceat(sound, starts)
    axes.fill_between(starts / sample_rate, low, high, color=colour, linewidth=0.5)
    axes.set_xlim(0.0, duration_s)
    axes.set_ylim(-1.08 * loudest, 1.08 * loudest)
    axes.set_yticks([-loudest, 0.0, loudest], labels=[f"{-loudest:.2g}", "0", f"{loudest:.2g}"])
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    axes.axhline(0.0, color=FAINT, linewidth=0.8, zorder=0)
    axes.xaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 5, 10]))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g} s"))


def _draw_course(figure: Figure, place: SubplotSpec, course: Course) -> None:
    """The loss curve, with a band below it on the same x axis where the monitor was heard."""
    if course.verdicts is None:
        axes = lowest = figure.add_subplot(place)
        _draw_curve(axes, course)
    else:
        rows = place.subgridspec(2, 1, height_ratios=[1.0, 0.055], hspace=0.19)
        axes = figure.add_subplot(rows[0])
        axes.tick_params(labelbottom=False)
        lowest = figure.add_subplot(rows[1], sharex=axes)
        _draw_curve(axes, course)
        _draw_verdicts(lowest, *course.verdicts)
    lowest.set_xlabel(course.x_label)


def _draw_curve(axes: Axes, course: Course) -> None:
    panel_title(axes, "Loss", "best so far")
    styles = {"snapped": (MATCH, 2.2, "-"), "relaxed": (INK, 1.3, "-")}
    last = 1.0
    for name, (x, loss) in course.curve.items():
        colour, width, dash = styles.get(name, (SOFT, 1.3, "--"))
        x, loss = np.asarray(x, float), np.asarray(loss, float)
        label = _ending(name, loss)
        axes.step(x, loss, where="post", color=colour, linewidth=width, linestyle=dash, label=label)
        if x.size:
            last = max(last, float(x[-1]))
    shades = (RANDOM, SOFT)
    levels = [
        (name, loss, shades[i % len(shades)]) for i, (name, loss) in enumerate(course.references.items())
    ]
    if course.noise_floor is not None:
        levels.append(("noise floor", course.noise_floor, TARGET))
    for name, loss, colour in levels:
        label = _ending(name, np.array([loss]))
        axes.axhline(loss, color=colour, linewidth=1.6, linestyle=(0, (4, 3)), label=label)
    axes.set_xlim(0.0, last)
    axes.set_ylim(0.0, _curve_top(course.curve, [loss for _, loss, _ in levels]))
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=True, steps=[1, 2, 5, 10]))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    axes.yaxis.set_major_locator(MaxNLocator(5))
    axes.grid(axis="y", color=FAINT, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines["left"].set_visible(False)
    axes.tick_params(length=0)
    # On paper of its own, so that the lines behind do not strike the words through.
    legend = axes.legend(loc="upper right", bbox_to_anchor=(1.0, 1.02), handlelength=2.2, labelspacing=0.35)
    legend.set_frame_on(True)
    legend.get_frame().set_edgecolor(PAPER)


def _draw_verdicts(axes: Axes, x: Sequence[float], verdicts: Sequence[str]) -> None:
    """A band of what the search's monitor said; each verdict holds since the one before."""
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


def _curve_top(curve: Curve, levels: Sequence[float]) -> float:
    """Upper limit of the loss axis: a wild first candidate may leave the picture, a reference may not."""
    losses = np.concatenate([np.asarray(loss, float) for _, loss in curve.values()] or [np.zeros(0)])
    losses = losses[np.isfinite(losses)]
    lines = [level for level in levels if np.isfinite(level)]
    highest = float(losses.max()) if losses.size else 0.0
    if lines and losses.size:
        highest = max(min(highest, 2.0 * max(lines)), max(lines))
    elif lines:
        highest = max(lines)
    return 1.3 * highest or 1.0  # the legend has its place above the lines


def _draw_terms(axes: Axes, given: Terms, reference_name: str) -> None:
    """Bars per term, largest first, the match above the random reference."""
    panel_title(axes, "Loss terms", "weighted, as they add up")
    terms, reference_terms = _largest(given.match, given.reference)
    names = list(reference_terms)
    here = np.arange(len(names), dtype=float)
    highest = max([*terms.values(), *reference_terms.values()], default=0.0)
    rows = ((terms, MATCH, "match", -0.19), (reference_terms, RANDOM, reference_name, 0.19))
    for values, colour, label, shift in rows:
        lengths = [values[name] for name in names]
        axes.barh(here + shift, lengths, height=0.34, color=colour, label=label)
        for y, length in zip(here + shift, lengths, strict=True):
            axes.text(length + 0.008 * highest, y, f"{length:.3g}", va="center", fontsize=8, color=SOFT)
    axes.set_yticks(here, labels=[name.replace("_", " ") for name in names])
    axes.set_ylim(max(len(names), 4) - 0.45, -0.55)
    axes.set_xlim(0.0, 1.1 * highest or 1.0)
    axes.xaxis.set_visible(False)
    axes.tick_params(length=0, pad=6)
    axes.tick_params(axis="y", labelcolor=INK)
    axes.spines["bottom"].set_visible(False)
    axes.legend(loc="lower right", handlelength=1.1, handleheight=0.9, labelspacing=0.35)


def _largest(
    terms: Mapping[str, float], reference_terms: Mapping[str, float]
) -> tuple[dict[str, float], dict[str, float]]:
    """Both sets of terms, largest first; beyond nine, the small ones are added up to keep bars legible."""
    names = list(dict.fromkeys([*terms, *reference_terms]))
    names.sort(key=lambda name: -max(terms.get(name, 0.0), reference_terms.get(name, 0.0)))
    room = len(names) if len(names) <= MOST_TERMS else MOST_TERMS - 1
    kept, rest = names[:room], names[room:]
    shown = []
    for values in (terms, reference_terms):
        one = {name: float(values.get(name, 0.0)) for name in kept}
        if rest:
            one[f"{len(rest)} others"] = float(sum(values.get(name, 0.0) for name in rest))
        shown.append(one)
    return shown[0], shown[1]


def _ending(name: str, loss: np.ndarray) -> str:
    return f"{name}  {loss[-1]:.3f}" if loss.size and np.isfinite(loss[-1]) else name
