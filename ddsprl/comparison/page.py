"""`report.html`: one page that needs nothing else, with tables, curves, and sounds side by side."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from ddsprl.comparison.curves import colour_of
from ddsprl.comparison.markdown import TITLES, introduction, tables
from ddsprl.comparison.summary import Results
from ddsprl.drawing import page as report_page
from ddsprl.drawing.page import cards, heading, paragraph, picture, sound_card
from ddsprl.measuring.machine import record_text

Sounds = Callable[[dict[str, Any]], np.ndarray]


def write_page(
    path: Path, results: Results, curves: Path, *, target_sounds: dict[str, np.ndarray], sound_of: Sounds
) -> None:
    """Write the page, whole or not at all.

    Args:
        path: of the HTML file.
        results: with the summary.
        curves: PNG file to show.
        target_sounds: `[n]` by name of the targets to be listened to.
        sound_of: the sound `[n]` of a run of `results["runs"]`.
    """
    body = [
        paragraph(introduction(results)),
        heading("Anytime"),
        picture(curves.read_bytes(), "Median excess against renders and seconds"),
        paragraph(
            "Curves: the largest budget, as the search hears itself, with the 95 % band of the median. "
            "Dots: judged results."
        ),
        *(heading(table.title) + report_page.table(table.header, table.rows) for table in tables(results)),
        *_listening(results, target_sounds, sound_of),
        heading("Where"),
        paragraph(record_text(results)),
    ]
    report_page.write_page(path, "Comparison", body)


def chosen_targets(results: Results, count: int) -> list[str]:
    """Names of the targets to be listened to: spread evenly over each part."""
    parts = list(dict.fromkeys(target["part"] for target in results["targets"]))
    names = []
    for i, part in enumerate(parts):
        inside = [target["name"] for target in results["targets"] if target["part"] == part]
        share = min(len(inside), count // len(parts) + (i < count % len(parts)))
        places = np.linspace(0, len(inside) - 1, share).round().astype(int) if share else []
        names += [inside[place] for place in places]
    return names


def _listening(results: Results, target_sounds: dict[str, np.ndarray], sound_of: Sounds) -> list[str]:
    """Every chosen target beside each method's result: the largest budget, the first seed."""
    if not target_sounds:
        return []
    rate, budget = results["options"]["sample_rate"], max(results["options"]["budgets"])
    about = f"Budget {budget:,}, first seed. All sounds at the level at which they were compared."
    blocks = [heading("Listen"), paragraph(about)]
    for target in results["targets"]:
        name = target["name"]
        if name not in target_sounds:
            continue
        note = f"MIDI {target['midi']:.1f}, gate {target['gate_s']:.2f} s"
        best = target["references"]["best_4096"]["loss"]
        players = [sound_card("target", f"best of 4,096 random: {best:.3f}", target_sounds[name], rate)]
        for run in results["runs"]:
            if (run["target"], run["budget"], run["seed"]) == (name, budget, 0):
                said = f"loss {run['loss']:.3f}, yardstick {run['yardstick']:.3f}"
                colour = colour_of(results, run["method"])
                players.append(sound_card(run["method"], said, sound_of(run), rate, colour=colour))
        title = f"{TITLES[target['part']]}: {name} ({note})"
        blocks += [heading(title, level=3), cards(players)]
    return blocks
