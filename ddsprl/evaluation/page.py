"""The tables of an evaluation, and `report.html`: these, excess against renders, targets to hear and see."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ddsprl.drawing.page import cards, heading, paragraph, picture, sound_card, table, write_page
from ddsprl.evaluation.methods import AGENT, sound, target_sound
from ddsprl.evaluation.pictures import colour_of, excess_png, target_png
from ddsprl.evaluation.results import Results, terms_of
from ddsprl.evaluation.run import Evaluation
from ddsprl.measuring.machine import record_text
from ddsprl.measuring.tables import Table, figures, interval_text, titled

INTRODUCTION = (
    "Estimates are medians over targets (shares for success), in brackets 95 % bootstrap intervals over "
    "targets. Losses, excess, match meter and success are of the preset that a method ends with, snapped, "
    "mean over 8 noise keys that no method has heard; the preset itself is chosen by the method's own "
    "hearing. Excess is (L - floor) / (L of the best of 64 random presets - floor). The match meter is 100 % "
    "at the noise floor and 0 % at that reference. The last row is what the target's own preset would get."
)
# Field of a row, heading, digits after the point.
COLUMNS = (
    ("excess", "excess", 3),
    ("loss", "loss", 3),
    ("meter", "match meter (%)", 1),
    ("success", "success", 2),
    ("solved", "solved, own hearing", 2),
    ("renders_to_epsilon", "renders to epsilon", 0),
    ("renders", "renders", 0),
    ("seconds", "seconds a target", 3),
)
OWN = "the target's own preset"
UNTUNED = "CMA-ES was not tuned for this instrument, rate, duration, probes and objective."


def write_report(path: Path, evaluation: Evaluation, results: Results, *, players: int) -> None:
    """Write the page, whole or not at all.

    Args:
        path: of the HTML file.
        evaluation: that was measured.
        results: of it.
        players: targets of each stage to be shown.
    """
    about = results["about"]
    said = ", ".join(f"{name} {value}" for name, value in about.items())
    body = [paragraph(f"{said}. {results['options']['targets']} targets a stage." if said else "")]
    body += [paragraph(INTRODUCTION)] + ([] if results["tuned_for_this_setup"] else [paragraph(UNTUNED)])
    body.append(picture(excess_png(results["stages"]), "Median excess against renders, by stage"))
    for stage in results["stages"]:
        body += [heading(title_of(stage)), paragraph(", ".join(stage["knobs"]).replace("_", " "))]
        body += [table(*stage_table(stage)), paragraph(_settings(stage))]
        if stage["duels"]:
            body.append(table(*duel_table(stage)))
        body.append(table(*term_table(stage)))
        body += _listening(evaluation, results, stage, players)
    body += [heading("Where"), paragraph(record_text(results))]
    write_page(path, "Evaluation", body)


def _settings(stage: dict[str, Any]) -> str:
    rows = [f"{name}: {row['label']}" for name, row in stage["methods"].items() if "label" in row]
    return "; ".join(rows)


def _listening(evaluation: Evaluation, results: Results, stage: dict[str, Any], players: int) -> list[str]:
    """Some targets: the sounds of every method, and a picture."""
    names = results["methods"]
    shown = [name for name in names if name == AGENT or name.startswith("CMA")] or names[:1]
    pieces = {name: evaluation.arrays(stage["stage"], name) for name in shown}
    blocks = []
    for index in chosen(pieces[shown[0]]["loss"], players):
        row = stage["targets"][index]
        blocks.append(heading(_title(row), 3))
        blocks += _target(evaluation, stage, row, pieces)
    return blocks


def _target(
    evaluation: Evaluation, stage: dict[str, Any], row: dict[str, Any], pieces: dict[str, Any]
) -> list[str]:
    suite, index = evaluation.suite(stage["stage"]), row["index"]
    rate = suite.env.instrument.sample_rate
    sounds = {"target": target_sound(suite, index)}
    said = f"noise floor {row['floor']:.3f}, random reference {row['random_reference']:.3f}"
    parts = [sound_card("target", said, sounds["target"], rate, colour=colour_of("target"))]
    for name, piece in pieces.items():
        sounds[name] = sound(suite, piece["u"][index], index)
        percent = row["methods"][name]["meter"]
        said = f"loss {piece['loss'][index]:.3f}" + ("" if percent is None else f", match {percent:.0f} %")
        parts.append(sound_card(name, said, sounds[name], rate, colour=colour_of(name), percent=percent))
    terms = {
        name: {term: float(x[index]) for term, x in terms_of(piece).items()} for name, piece in pieces.items()
    }
    drawn = target_png(
        sounds=_few(sounds),
        sample_rate=rate,
        terms=_few(terms),
        names=stage["knobs"],
        wanted=suite.truth[index][suite.knobs],
        **_episode(pieces, index, suite.knobs),
    )
    return [cards(parts), picture(drawn, "Spectrograms, loss terms, and the agent's episode")]


def _episode(pieces: dict[str, Any], index: int, knobs: np.ndarray) -> dict[str, np.ndarray | None]:
    """Knobs and losses of the agent's episode up to its end."""
    if AGENT not in pieces:
        return {"knobs": None, "losses": None}
    piece = pieces[AGENT]
    rows = int(piece["lengths"][index]) + 1
    return {"knobs": piece["knobs"][index, :rows][:, knobs], "losses": piece["losses"][index, :rows]}


def _few(values: dict[str, Any]) -> dict[str, Any]:
    """The target, the agent, and CMA-ES with the fewest and the most renders, for want of room."""
    names: Sequence[str] = list(values)
    kept = [name for name in names if name in ("target", AGENT)]
    searches = [name for name in names if name not in kept]
    return {name: values[name] for name in dict.fromkeys([*kept, *searches[:1], *searches[-1:]])}


def _title(row: dict[str, Any]) -> str:
    notes = ", ".join(
        f"MIDI {midi:.1f} for {gate:.2f} s" for midi, gate in zip(row["midi"], row["gate_s"], strict=True)
    )
    return f"Target {row['index']} ({notes})"


def chosen(loss: np.ndarray, count: int) -> list[int]:
    """Targets to be shown: spread evenly from the best match to the worst."""
    order = np.argsort(loss, kind="stable")
    return [int(order[i]) for i in np.linspace(0, len(order) - 1, count).round().astype(int)] if count else []


def stage_table(stage: dict[str, Any]) -> tuple[list[str], list[list[str]]]:
    """Header and rows of one stage: the methods, then what the target's own preset would get."""
    return figures([*stage["methods"].items(), (OWN, stage["own_preset"])], COLUMNS)


def duel_table(stage: dict[str, Any]) -> tuple[list[str], list[list[str]]]:
    """Header and rows of the agent against every other method."""
    rows = [
        [name, interval_text(row["wins"], 2), interval_text(row["ratio"], 2)]
        for name, row in stage["duels"].items()
    ]
    return [f"{AGENT} against", "wins", "its median excess over the other's"], rows


def term_table(stage: dict[str, Any]) -> tuple[list[str], list[list[str]]]:
    """Header and rows of the median loss terms."""
    names = list(dict.fromkeys(name for row in stage["methods"].values() for name in row["terms"]))
    rows = [
        [method, *(f"{row['terms'][name]:.3f}" for name in names)] for method, row in stage["methods"].items()
    ]
    return ["median of each term", *(name.replace("_", " ") for name in names)], rows


def title_of(stage: dict[str, Any]) -> str:
    """Heading of a stage."""
    return f"Stage {stage['stage']}: {stage['name']}, {len(stage['knobs'])} knobs"


def markdown(results: dict[str, Any]) -> str:
    """The stages' tables for a terminal."""
    shown = [Table(title_of(stage), *stage_table(stage)) for stage in results["stages"]]
    return "\n\n".join(map(titled, shown)) + "\n"
