"""What a comparison has finished, on disk: one small file for every piece of work, so that it can go on.

    DIR/comparison.json           what is compared; another run into DIR must ask for the same
    DIR/cells/NAME.json           numbers of one piece
    DIR/cells/NAME.npz            its arrays (knob positions, sounds), written before the numbers

A piece is there when its JSON is: both appear by renaming, the arrays first.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ddsprl.io import UserError, write_json
from ddsprl.io.atomic import replacing
from ddsprl.io.json_files import as_stored, first_difference, read_object
from ddsprl.io.sources import digest_of

IDENTITY, CELLS = "comparison.json", "cells"
REMEDY = "remove it to have it made again"
# What numbers depend on: everything but this package's tables and pages.
SOURCES = (
    "synth_jax",
    "ddsprl/features",
    "ddsprl/fitting",
    "ddsprl/losses",
    "ddsprl/metrics",
    "ddsprl/plant.py",
)


class Cells:
    """Pieces of work in one directory; a subclass may be of something else than comparisons."""

    identity_file = IDENTITY
    holds = "comparison"

    def __init__(self, directory: Path) -> None:
        """Nothing is read or written yet."""
        self.directory = directory

    def claim(self, identity: Mapping[str, Any]) -> None:
        """Make the directory this work's, or find that it is.

        Raises:
            UserError: it holds other work of this kind, or something else.
        """
        path = self.directory / self.identity_file
        wanted = as_stored(identity)
        if path.is_file():
            earlier = read_object(path, remedy=REMEDY)
            difference = first_difference(earlier, wanted)
            if difference is not None:
                name, was, now = difference
                raise UserError(
                    f"{self.directory}: holds {_article(self.holds)} with {name} {was}, asked for is {now}; "
                    "choose another directory, or the same options to go on"
                )
            return
        if self.directory.exists() and (not self.directory.is_dir() or any(self.directory.iterdir())):
            raise UserError(f"{self.directory}: exists already and holds no {self.holds}; choose another")
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
        (self.directory / CELLS).mkdir(exist_ok=True)
        if arrays is not None:
            with replacing(self._path(name, "npz")) as temporary, open(temporary, "wb") as file:
                np.savez_compressed(file, **arrays)  # pyright: ignore[reportArgumentType]
        write_json(self._path(name, "json"), numbers)

    def _path(self, name: str, ending: str) -> Path:
        return self.directory / CELLS / f"{name}.{ending}"


def _article(noun: str) -> str:
    return f"an {noun}" if noun[0] in "aeiou" else f"a {noun}"


def source_digest() -> str:
    """A fingerprint of the code that the numbers depend on."""
    return digest_of(SOURCES)
