"""An episode of edits as a picture: the loss after every edit, each knob's way, and what was done, in words.

figure axes are given:      draw_losses(axes, losses), draw_trajectories(axes, names, knobs)
a picture of its own:       edits_png(names=..., knobs=..., losses=..., edits=[...], title=name)
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from ddsprl.drawing.style import (
    FAINT,
    INK,
    MATCH,
    PAPER,
    SOFT,
    TARGET,
    blank,
    legible,
    panel_title,
    png,
)

WIDTH_PX, HEAD_PX, LEAST_PX, ROW_PX = 1600, 150, 700, 19
LANE = 0.8  # part of its lane that a knob's range takes
MOST_CHANGES = 3


def draw_losses(axes: Axes, losses: Sequence[float] | np.ndarray, *, label: str = "edits") -> None:
    """The loss after every edit, the best so far, and where the best of all was found.

    Args:
        axes: drawn into.
        losses: of the start and after every edit, `[steps + 1]`, finite.
        label: of the x axis.
    """
    losses = np.asarray(losses, float)
    best = int(losses.argmin())
    axes.plot(losses, color=SOFT, linewidth=1.0, marker="o", markersize=2.5, label="after the edit")
    so_far = np.minimum.accumulate(losses)
    axes.step(np.arange(len(losses)), so_far, where="post", color=MATCH, linewidth=2.0, label="best so far")
    axes.axvline(best, color=TARGET, linewidth=1.2, linestyle=(0, (4, 3)), label=f"best, edit {best}")
    axes.set_xlim(0, max(len(losses) - 1, 1))
    axes.set_ylim(0.0, 1.25 * float(losses.max()) or 1.0)
    axes.grid(axis="y", color=FAINT, linewidth=0.8)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_xlabel(label)
    # On paper of its own, so that the line of the best does not strike the words through.
    legend = axes.legend(loc="upper right")
    legend.set_frame_on(True)
    legend.get_frame().set_edgecolor(PAPER)


def draw_trajectories(
    axes: Axes,
    names: Sequence[str],
    knobs: np.ndarray,
    *,
    best: int | None = None,
    wanted: Sequence[float] | np.ndarray | None = None,
) -> None:
    """Every knob's position after every edit, one lane a knob.

    Args:
        axes: drawn into.
        names: of the knobs.
        knobs: positions in [0, 1], `[steps + 1, knobs]`.
        best: the edit after which the sound was best; marked.
        wanted: positions of the target where they are known; dotted.
    """
    knobs = np.asarray(knobs, float)
    steps = np.arange(len(knobs))
    for lane in range(len(names)):
        base = len(names) - 1 - lane
        y = base + LANE * knobs[:, lane]
        moved = bool(np.ptp(knobs[:, lane]) > 0.0)
        axes.fill_between(steps, base, y, color=MATCH if moved else FAINT, alpha=0.25, linewidth=0)
        axes.plot(steps, y, color=MATCH if moved else SOFT, linewidth=1.4)
        if wanted is not None:
            axes.axhline(base + LANE * wanted[lane], color=TARGET, linewidth=1.0, linestyle=(0, (1, 2)))
    if best is not None:
        axes.axvline(best, color=TARGET, linewidth=1.2, linestyle=(0, (4, 3)))
    places = [len(names) - 1 - lane + 0.5 * LANE for lane in range(len(names))]
    axes.set_yticks(places, labels=[name.replace("_", " ") for name in names])
    axes.set_ylim(-0.1, len(names))
    axes.set_xlim(0, max(len(knobs) - 1, 1))
    axes.tick_params(axis="y", length=0, labelcolor=INK)
    axes.spines["left"].set_visible(False)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_xlabel("edits")


def edits_png(
    *,
    names: Sequence[str],
    knobs: np.ndarray,
    losses: np.ndarray,
    edits: Sequence[Mapping[str, Any]],
    title: str,
    subtitle: str = "",
) -> bytes:
    """The picture of one episode, a PNG.

    Args:
        names: of the knobs to be shown.
        knobs: positions in [0, 1] of the start and after every edit, `[steps + 1, knobs]`.
        losses: after each of them, `[steps + 1]`.
        edits: one for every step, with `step` (from 1), `module`, `loss`, `best` (whether it was the best so
            far) and `changes`, texts.
        title: the headline.
        subtitle: a line below it.
    """
    height_px = HEAD_PX + max(LEAST_PX, ROW_PX * (len(edits) + 2), 26 * len(names) + 320)
    with blank(WIDTH_PX, height_px) as figure:
        plain = {"x": 0.03, "va": "top", "parse_math": False}
        figure.text(y=1 - 26 / height_px, s=legible(title, 60), fontsize=19, fontweight="bold", **plain)
        figure.text(y=1 - 62 / height_px, s=legible(subtitle, 190), fontsize=11, color=SOFT, **plain)
        top, bottom = 1 - HEAD_PX / height_px, 60 / height_px
        best = int(np.argmin(losses))
        loss_height = 220 / height_px
        axes = figure.add_axes((0.11, top - loss_height, 0.4, loss_height))
        panel_title(axes, "Loss", "as the agent hears it")
        draw_losses(axes, losses, label="")
        lanes_top = top - loss_height - 70 / height_px
        axes = figure.add_axes((0.11, bottom, 0.4, lanes_top - bottom))
        panel_title(axes, "Knobs", "over their range")
        draw_trajectories(axes, names, knobs, best=best)
        _draw_table(figure.add_axes((0.545, bottom, 0.43, top - bottom)), edits, height_px * (top - bottom))
        return png(figure)


def _draw_table(axes: Axes, edits: Sequence[Mapping[str, Any]], height_px: float) -> None:
    """A row for every edit; the best is bold."""
    panel_title(axes, "Edits", "the largest changes of each")
    axes.set_axis_off()
    axes.set_xlim(0.0, 1.0)
    axes.set_ylim(height_px, 0.0)
    best = min(edits, key=lambda edit: edit["loss"], default=None)
    columns = (0.0, 0.05, 0.145, 0.235)
    for x, name in zip(columns, ("edit", "module", "loss", "changes"), strict=True):
        axes.text(x, ROW_PX * 0.6, name, fontsize=8.5, color=SOFT, va="center")
    for row, edit in enumerate(edits, start=1):
        y, weight = ROW_PX * (row + 0.6), "bold" if edit is best else "normal"
        said = ", ".join(edit["changes"][:MOST_CHANGES]) or "nothing moved"
        more = len(edit["changes"]) - MOST_CHANGES
        said += f", {more} more" if more > 0 else ""
        texts = (str(edit["step"]), edit["module"], f"{edit['loss']:.3f}", legible(said, 92))
        for x, text in zip(columns, texts, strict=True):
            colour = MATCH if edit["best"] else INK
            style = {"fontsize": 7.8, "va": "center", "parse_math": False, "fontweight": weight}
            axes.text(x, y, text, color=colour, **style)
