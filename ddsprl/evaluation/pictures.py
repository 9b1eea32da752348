"""Pictures of an evaluation: excess against renders, and one target's sounds, terms, loss and knobs."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from ddsprl.drawing.edits import draw_losses, draw_trajectories
from ddsprl.drawing.style import (
    FAINT,
    INK,
    LOWEST_HZ,
    MATCH,
    RANDOM,
    RANGE_DB,
    SOFT,
    TARGET,
    blank,
    log_spectrogram_db,
    panel_title,
    png,
)
from ddsprl.evaluation.methods import AGENT

COLOURS = {"target": TARGET, AGENT: MATCH}
STAGES_A_ROW = 3


def colour_of(name: str) -> str:
    """Colour of a method."""
    return COLOURS.get(name, INK if name.startswith("CMA") else RANDOM)


def excess_png(stages: Sequence[Mapping[str, Any]]) -> bytes:
    """Median excess against renders, a panel for each stage."""
    columns = min(STAGES_A_ROW, len(stages))
    lines = -(-len(stages) // columns)
    with blank(460 * columns, 360 * lines) as figure:
        for i, stage in enumerate(stages):
            axes = figure.add_subplot(lines, columns, i + 1)
            axes.set_title(f"Stage {stage['stage']}: {stage['name']}", loc="left", fontsize=11)
            _excess(axes, stage["methods"])
        figure.tight_layout()
        return png(figure)


def _excess(axes: Axes, rows: Mapping[str, Mapping[str, Any]]) -> None:
    known = [(name, row) for name, row in rows.items() if row["excess"] is not None]
    searched = [(row["renders"], row["excess"][0]) for name, row in known if name.startswith("CMA")]
    if searched:
        axes.plot(*zip(*sorted(searched), strict=True), color=INK, linewidth=1.0)
    for name, row in known:
        estimate, low, high = row["excess"]
        spread = [[max(estimate - low, 0.0)], [max(high - estimate, 0.0)]]
        axes.errorbar(row["renders"], estimate, spread, fmt="o", color=colour_of(name), capsize=3)
        axes.annotate(
            name.partition(",")[0],
            (row["renders"], estimate),
            (5, 5),
            textcoords="offset points",
            fontsize=7.5,
            color=SOFT,
        )
    axes.axhline(0.0, color=FAINT)
    # The start may be fifty references off, and a good search a hundredth.
    axes.set_yscale("symlog", linthresh=1.0)
    axes.yaxis.set_major_formatter("{x:g}")
    axes.set_xscale("log")
    axes.set_xlim(0.7, 20_000)
    axes.set_xlabel("renders a target")
    axes.set_ylabel("median excess")
    axes.grid(axis="y", color=FAINT, linewidth=0.8)


def target_png(
    *,
    sounds: Mapping[str, np.ndarray],
    sample_rate: int,
    terms: Mapping[str, Mapping[str, float]],
    names: Sequence[str],
    knobs: np.ndarray | None,
    losses: np.ndarray | None,
    wanted: np.ndarray,
) -> bytes:
    """One target: spectrograms side by side, loss terms, and the agent's episode if there is one.

    Args:
        sounds: `[n]` by name, the target first.
        sample_rate: in Hz.
        terms: weighted loss terms by method.
        names: of the unlocked knobs.
        knobs: of the agent's episode, `[steps + 1, k]`.
        losses: likewise, `[steps + 1]`.
        wanted: the target's knobs, `[k]`.
    """
    lanes = 0.0 if knobs is None else 0.26 * len(names) + 1.0
    height = 3.0 + max(3.2, lanes)
    with blank(1300, 100 * height) as figure:
        grid = figure.add_gridspec(2, 1, height_ratios=[2.4, height - 2.4], hspace=0.42)
        figure.subplots_adjust(left=0.06, right=0.985, top=1 - 0.4 / height, bottom=0.55 / height)
        upper = grid[0].subgridspec(1, len(sounds), wspace=0.08)
        spectra = {
            name: log_spectrogram_db(np.asarray(x, float), sample_rate)[0] for name, x in sounds.items()
        }
        top = max(float(x.max()) for x in spectra.values())
        for i, (name, level) in enumerate(spectra.items()):
            _spectrogram(
                figure.add_subplot(upper[i]), name, level - top, sounds[name], sample_rate, first=not i
            )
        lower = grid[1].subgridspec(1, 2 if knobs is None else 3, wspace=0.45)
        _terms(figure.add_subplot(lower[0]), terms)
        if knobs is not None and losses is not None:
            axes = figure.add_subplot(lower[1])
            panel_title(axes, "Loss", "as the agent hears it")
            draw_losses(axes, losses)
            axes = figure.add_subplot(lower[2])
            panel_title(axes, "Knobs", "dotted: the target's")
            draw_trajectories(axes, names, knobs, best=int(np.argmin(losses)), wanted=wanted)
        return png(figure)


def _spectrogram(
    axes: Axes, name: str, level: np.ndarray, sound: np.ndarray, sample_rate: int, *, first: bool
) -> None:
    octaves = (np.log2(LOWEST_HZ), np.log2(sample_rate / 2))
    extent = (0.0, sound.size / sample_rate, *octaves)
    axes.imshow(level, extent=extent, origin="lower", aspect="auto", cmap="magma", vmin=-RANGE_DB, vmax=0.0)
    axes.set_title(name, loc="left", fontsize=10.5, fontweight="bold", color=colour_of(name))
    ticks = [hz for hz in (100, 1000, 10_000) if hz < sample_rate / 2]
    axes.set_yticks(np.log2(ticks), labels=[f"{hz:,} Hz" for hz in ticks] if first else [""] * len(ticks))
    axes.tick_params(length=0)


def _terms(axes: Axes, terms: Mapping[str, Mapping[str, float]]) -> None:
    """Bars of every term, a colour for each method."""
    panel_title(axes, "Loss terms", "weighted")
    names = list(dict.fromkeys(name for row in terms.values() for name in row))
    thick = 0.8 / max(len(terms), 1)
    searches = [name for name in terms if name.startswith("CMA")] or [""]
    for i, (method, row) in enumerate(terms.items()):
        here = np.arange(len(names)) + (i - 0.5 * (len(terms) - 1)) * thick
        # Of two searches the one with more renders is darker.
        colour = SOFT if method == searches[0] and len(searches) > 1 else colour_of(method)
        axes.barh(here, [row[n] for n in names], height=thick, color=colour, label=method)
    axes.set_yticks(range(len(names)), labels=[name.replace("_", " ") for name in names])
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.tick_params(axis="y", length=0, labelcolor=INK)
    axes.legend(loc="lower right")
