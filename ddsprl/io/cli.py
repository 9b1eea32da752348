"""Command lines: a dataclass of options filled from arguments, and every mistake in them one line."""

import contextlib
import dataclasses
import io
import os
import re
import sys
from collections.abc import Collection, Sequence
from typing import Any, TypeVar

import tyro

from ddsprl.io.errors import UserError, did_you_mean

Options = TypeVar("Options")


def parse_command_line(
    kind: type[Options],
    arguments: Sequence[str],
    *,
    program: str,
    description: str,
    positional: Collection[str] = (),
) -> Options:
    """Options of a command line.

    Args:
        kind: dataclass whose fields are the options, as `tyro` reads it.
        arguments: of the command line, without the program.
        program: how it is called, for the help.
        description: of what it does, for the help.
        positional: fields that have no option.

    Raises:
        UserError: an unknown option, a missing one, or a value of the wrong kind.
        SystemExit: help was asked for, and printed.
    """
    known = []
    fields: Any = dataclasses.fields(kind)  # pyright: ignore[reportArgumentType]
    for field in fields:
        if field.name not in positional:
            name = field.name.replace("_", "-")
            known += [name, f"no-{name}"] if field.type in (bool, "bool") else [name]
    check_options(arguments, known)
    return parse(kind, arguments, program=program, description=description)


def check_options(arguments: Sequence[str], known: Collection[str]) -> tuple[str, ...]:
    """Names of the options given, as they are known.

    Args:
        arguments: of the command line; an underscore is as good as a dash.
        known: names of all options but `help`, without the dashes before them.

    Raises:
        UserError: an option is unknown.
    """
    by_dashes, given = {name.replace("_", "-"): name for name in (*known, "help")}, []
    for argument in arguments:
        option = argument.partition("=")[0]
        if not option.startswith("--"):
            continue
        name = by_dashes.get(option[2:].replace("_", "-"))
        if name is None:
            spelled = sorted(f"--{name}" for name in by_dashes.values())
            hint = did_you_mean(option, spelled) or f"; options are {', '.join(spelled)}"
            raise UserError(f"no option {option}{hint}")
        given.append(name)
    return tuple(given)


def parse(
    kind: type[Options],
    arguments: Sequence[str],
    *,
    program: str,
    description: str,
    default: Options | None = None,
) -> Options:
    """As `parse_command_line`, for arguments whose names are known.

    Args:
        kind: dataclass of the options.
        arguments: of the command line.
        program: for the help.
        description: for the help.
        default: values of options that are not given; those of the dataclass if None.

    Raises:
        UserError: a value of the wrong kind, or one that is missing.
        SystemExit: help was asked for, and printed.
    """
    given: dict[str, Any] = {} if default is None else {"default": default}
    shown = io.StringIO()
    try:
        with contextlib.redirect_stderr(shown):
            return tyro.cli(kind, args=arguments, prog=program, description=description, **given)
    except SystemExit as stop:
        if not stop.code:
            raise
        raise UserError(one_line(shown.getvalue())) from None


def print_out(text: str) -> None:
    """Print what a command found, for whoever reads on."""
    try:
        print(text, flush=True)
    except BrokenPipeError:
        # Whoever read it has seen enough; it is in a file too. Nothing more is to be flushed.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def one_line(box: str) -> str:
    """What the parser complains about, without its frame and the helptext under it."""
    plain = re.sub(r"\x1b\[[0-9;]*m", "", box)
    rows = [row.strip(" ╭╮╰╯│─") for row in plain.splitlines()][1:]  # below the title
    rows = ["" if set(row) == {"-"} else row for row in rows]
    paragraphs = "\n".join(rows).strip().split("\n\n")
    return " ".join(paragraphs[0].split()) or "the options cannot be read; see --help"
