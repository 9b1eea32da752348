"""Tables of an evaluation; nothing is computed here."""

from typing import Any

from ddsprl.evaluation.methods import AGENT
from ddsprl.measuring.intervals import interval_text
from ddsprl.measuring.tables import Table, titled

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


def stage_table(stage: dict[str, Any]) -> tuple[list[str], list[list[str]]]:
    """Header and rows of one stage: the methods, then what the target's own preset would get."""
    entries = [*stage["methods"].items(), (OWN, stage["own_preset"])]
    rows = [
        [name, *(interval_text(row.get(field), digits) for field, _, digits in COLUMNS)]
        for name, row in entries
    ]
    return ["method", *(heading for _, heading, _ in COLUMNS)], rows


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
