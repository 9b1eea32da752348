"""Estimates with intervals, as JSON holds them and as text, and tables of texts, as Markdown."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from ddsprl.metrics import Interval

# Of the bootstrap.
SEED = 0


class Table(NamedTuple):
    """A table to show.

    Attributes:
        title: what it is about.
        header: headings.
        rows: texts, as many as headings.
    """

    title: str
    header: list[str]
    rows: list[list[str]]


Columns = Sequence[tuple[str, str, int]]
Grid = tuple[list[str], list[list[str]]]


def figures(entries: Iterable[tuple[str, Mapping[str, Any]]], columns: Columns) -> Grid:
    """Header and rows of what methods have come to.

    Args:
        entries: names of methods, and their numbers by field.
        columns: fields, headings, and digits after the point.
    """
    rows = [[name, *(interval_text(row.get(field), d) for field, _, d in columns)] for name, row in entries]
    return ["method", *(heading for _, heading, _ in columns)], rows


def grid(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """The table in Markdown, its columns aligned."""
    widths = [max(len(text) for text in column) for column in zip(header, *rows, strict=True)]
    return "\n".join(
        "| " + " | ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)) + " |"
        for line in [header, ["-" * width for width in widths], *rows]
    )


def titled(table: Table) -> str:
    """The table under its title."""
    return f"## {table.title}\n\n{grid(table.header, table.rows)}"


def estimate(interval: Callable[..., Interval], *values: Any) -> list[float] | None:
    """Estimate, low and high; None if there is nothing to estimate from, or one of them is no number.

    Args:
        interval: of `ddsprl.metrics.statistics`.
        *values: its arrays.
    """
    if any(np.size(x) == 0 for x in values):
        return None
    found = interval(*values, seed=SEED)
    return [float(x) for x in found] if all(math.isfinite(x) for x in found) else None


def interval_text(value: list[float] | float | None, digits: int) -> str:
    """A number with so many digits after the point, with its interval if it has one; nothing for None."""
    if value is None:
        return ""
    if not isinstance(value, list):
        return f"{value:,.{digits}f}"
    middle, low, high = (f"{x:,.{digits}f}" for x in value)
    return f"{middle} [{low}, {high}]"
