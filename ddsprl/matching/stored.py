"""Findings on disk before they are drawn, so that a process that is killed loses only what it searches for.

OUT/.findings/GROUP.npz    one file a group, atomic, without pickle; gone when all its targets are written
"""

import contextlib
import io
import json
import os
import uuid
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ddsprl.io.output import replacing
from ddsprl.matching.results import Finding

FOLDER = ".findings"
FORMAT = 2
ARRAYS = ("knobs", "target", "match")


class Kept(NamedTuple):
    """A file of findings.

    Attributes:
        path: of the file.
        findings: of its targets.
    """

    path: Path
    findings: list[Finding]


class StoredFindings:
    """The findings of one run that are still to be written."""

    def __init__(self, out: Path, run: str) -> None:
        """Nothing is read or written yet; `run` is the manifest's."""
        self._folder, self._run = out / FOLDER, run

    def keep(self, findings: Sequence[Finding]) -> Path:
        """Store the findings of a group; on disk when this returns.

        Raises:
            UserError: they cannot be written.
        """
        about = {"format": FORMAT, "run": self._run, "findings": [[x.name, x.numbers] for x in findings]}
        text = np.frombuffer(json.dumps(about).encode(), np.uint8)
        arrays = {f"{i}.{name}": getattr(x, name) for i, x in enumerate(findings) for name in ARRAYS}
        path = self._folder / f"{uuid.uuid4().hex}.npz"
        with replacing(path) as temporary:
            self._folder.mkdir(exist_ok=True)
            with open(temporary, "wb") as file:
                np.savez(file, allow_pickle=False, about=text, **arrays)
                file.flush()
                os.fsync(file.fileno())
        return path

    def found(self) -> list[Kept]:
        """What an earlier session of this run left; what cannot be read, or is another run's, is removed."""
        kept = []
        for path in sorted(self._folder.glob("*")):
            findings = self._read(path)
            if findings is None:
                self.drop(path)
            else:
                kept.append(Kept(path, findings))
        return kept

    def drop(self, path: Path) -> None:
        """Forget a file, and the folder with the last one."""
        with contextlib.suppress(OSError):
            path.unlink(missing_ok=True)
            self._folder.rmdir()

    def _read(self, path: Path) -> list[Finding] | None:
        try:
            with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as stored:
                about = json.loads(stored["about"].tobytes().decode())
                if (about["format"], about["run"]) != (FORMAT, self._run):
                    return None
                rows = enumerate(about["findings"])
                return [
                    Finding(name, numbers, *(stored[f"{i}.{part}"] for part in ARRAYS))
                    for i, (name, numbers) in rows
                ]
        except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile):
            return None
