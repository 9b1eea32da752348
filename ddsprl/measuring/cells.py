"""Finished pieces of work on disk: one small file for every piece, so that the work can go on.

    DIR/KIND.json             what is measured; another session in DIR must ask for the same
    DIR/cells/NAME.json       numbers of one piece
    DIR/cells/NAME.npz        its arrays (knob positions, sounds), written before the numbers

A piece is there when its JSON is: both appear by renaming, the arrays first.
"""

import contextlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ddsprl.io import UserError, write_json
from ddsprl.io.json_files import as_stored, first_difference, read_object
from ddsprl.io.output import replacing
from ddsprl.measuring.interruption import Interruption

CELLS = "cells"
REMEDY = "remove it to have it made again"

# What a piece is called, and how it is made; a call stores the piece and returns a loss to show, or NaN.
Job = tuple[str, Callable[[], float]]


class Cells:
    """Pieces of work in one directory."""

    def __init__(self, directory: Path, kind: str, interruption: Interruption | None = None) -> None:
        """Nothing is read or written yet.

        Args:
            directory: DIR.
            kind: of work, such as `comparison`: a file name and a noun.
            interruption: which does not come between the two files of a piece; None if it may.
        """
        self.directory, self.kind = directory, kind
        self._interruption = interruption

    def claim(self, identity: Mapping[str, Any]) -> None:
        """Make the directory this work's, or find that it is.

        Raises:
            UserError: it holds other work of this kind, or something else.
        """
        path = self.directory / f"{self.kind}.json"
        wanted = as_stored(identity)
        if path.is_file():
            earlier = read_object(path, remedy=REMEDY)
            unknown = sorted(wanted.keys() - earlier.keys())
            if unknown:
                raise UserError(
                    f"{path}: has no {unknown[0]}: the {self.kind} is of an earlier version, and cannot "
                    "go on; choose another directory"
                )
            difference = first_difference(earlier, wanted)
            if difference is not None:
                name, was, now = difference
                raise UserError(
                    f"{self.directory}: holds {_article(self.kind)} with {name} {was}, asked for is {now}; "
                    "choose another directory, or the same options to go on"
                )
            return
        if self.directory.exists() and (not self.directory.is_dir() or any(self.directory.iterdir())):
            raise UserError(f"{self.directory}: exists already and holds no {self.kind}; choose another")
        try:
            (self.directory / CELLS).mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UserError(f"{self.directory}: cannot be created ({error.strerror})") from error
        write_json(path, wanted)

    def has(self, name: str) -> bool:
        """Whether a piece is done."""
        return self._path(name, "json").is_file()

    def read(self, name: str) -> dict[str, Any]:
        """Numbers of a piece."""
        return read_object(self._path(name, "json"), remedy=REMEDY)

    def arrays(self, name: str) -> dict[str, np.ndarray]:
        """Arrays of a piece."""
        path = self._path(name, "npz")
        try:
            with open(path, "rb") as file, np.load(file, allow_pickle=False) as stored:
                return {key: stored[key] for key in stored.files}
        except (OSError, ValueError, EOFError, KeyError) as error:
            raise UserError(
                f"{path}: cannot be read ({error}); remove {name}.json to have it made again"
            ) from error

    def write(
        self, name: str, numbers: Mapping[str, Any], arrays: Mapping[str, np.ndarray] | None = None
    ) -> None:
        """Store a piece."""
        with self._interruption.whole() if self._interruption else contextlib.nullcontext():
            (self.directory / CELLS).mkdir(exist_ok=True)
            if arrays is not None:
                with replacing(self._path(name, "npz")) as temporary, open(temporary, "wb") as file:
                    np.savez_compressed(file, **arrays)  # pyright: ignore[reportArgumentType]
            write_json(self._path(name, "json"), numbers)

    def _path(self, name: str, ending: str) -> Path:
        return self.directory / CELLS / f"{name}.{ending}"


def _article(noun: str) -> str:
    return f"an {noun}" if noun[0] in "aeiou" else f"a {noun}"
