"""What an evaluation has finished, on disk: a file for every stage and method, so that it can go on.

DIR/evaluation.json       what is evaluated; another run into DIR must ask for the same
DIR/cells/NAME.json       numbers of a piece, DIR/cells/NAME.npz its arrays
"""

import functools
import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ddsprl.comparison.cells import REMEDY
from ddsprl.comparison.run import GuardedCells
from ddsprl.io import UserError, write_json
from ddsprl.io.json_files import as_stored, first_difference, read_object

IDENTITY = "evaluation.json"
# What numbers depend on.
SOURCES = (
    "synth_jax",
    "ddsprl/agents",
    "ddsprl/env",
    "ddsprl/evaluation",
    "ddsprl/features",
    "ddsprl/fitting",
    "ddsprl/losses",
    "ddsprl/plant.py",
)
# Of the evaluation only what is measured counts, not how it is shown.
SHOWN = ("page.py", "pictures.py", "tables.py", "options.py")


class EvaluationCells(GuardedCells):
    """Pieces of an evaluation in one directory; writing them is not interrupted."""

    def claim(self, identity: Mapping[str, Any]) -> None:
        """Make the directory this evaluation's, or find that it is.

        Raises:
            UserError: it holds another evaluation, or something else.
        """
        path, wanted = self.directory / IDENTITY, as_stored(identity)
        if path.is_file():
            difference = first_difference(read_object(path, remedy=REMEDY), wanted)
            if difference is not None:
                name, was, now = difference
                raise UserError(
                    f"{self.directory}: holds an evaluation with {name} {was}, asked for is {now}; "
                    "choose another --out, or the same options to go on"
                )
            return
        if self.directory.exists() and (not self.directory.is_dir() or any(self.directory.iterdir())):
            raise UserError(f"{self.directory}: exists already and holds no evaluation; choose another --out")
        try:
            self.directory.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UserError(f"{self.directory}: cannot be created ({error.strerror})") from error
        write_json(path, wanted)


@functools.cache
def source_digest() -> str:
    """A fingerprint of the code that the numbers depend on."""
    root, digest = Path(__file__).resolve().parents[2], hashlib.sha256()
    for place in SOURCES:
        path = root / place
        for file in [path] if path.is_file() else sorted(path.rglob("*.py")):
            if file.name not in SHOWN:
                digest.update(file.relative_to(root).as_posix().encode() + b"\0" + file.read_bytes())
    return digest.hexdigest()[:16]
