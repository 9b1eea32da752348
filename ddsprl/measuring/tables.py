"""A table of texts, as Markdown."""

from collections.abc import Sequence
from typing import NamedTuple


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
