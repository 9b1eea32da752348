"""What a run over several targets has done, so that it can go on, and so that no other run mixes with it.

    OUT/manifest.json     format, id of the run, its options, one entry a session (versions, throughput)
    OUT/manifest.jsonl    one line a target when it is over: name, size, hash, `done`, `partial` or `failed`
    OUT/.findings/        what was found and is still to be written; see `ddsprl.matching.stored`

A target is done when its directory is there, which appears whole; its line comes after that. Lines are only
ever added, so a process that is killed leaves at most one torn line at the end, which is cut off.
"""

import contextlib
import json
import os
import shutil
import threading
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

from ddsprl.io import UserError, versions, write_json
from ddsprl.io.json_files import as_stored, first_difference, read_object

try:
    import fcntl
except ImportError:  # where there are no such locks, nobody is kept out
    fcntl = None

FORMAT = 1
HEAD, LINES = "manifest.json", "manifest.jsonl"
DONE, PARTIAL, FAILED = "done", "partial", "failed"
REMEDY = "choose another directory"


class Manifest:
    """The manifest of one output directory."""

    def __init__(self, out: Path) -> None:
        """Nothing is read or written yet."""
        self.out = out
        self.run = ""
        self.entries: dict[str, dict[str, Any]] = {}
        self._head: dict[str, Any] = {}
        self._file: IO[bytes] | None = None
        self._lock = threading.Lock()

    def read(self, options: Mapping[str, Any]) -> None:
        """Look whether the directory holds a run that these options continue; writes nothing.

        Raises:
            UserError: it holds a run with other options (naming the first that differs), or a manifest that
                cannot be read.
        """
        wanted = as_stored(options)
        head = self.out / HEAD
        if not head.is_file():
            if (self.out / LINES).exists():
                raise UserError(f"{self.out / LINES}: belongs to no {HEAD}; choose another directory")
            self.run = uuid.uuid4().hex
            self._head = {"format": FORMAT, "run": self.run, "options": wanted, "sessions": []}
            self._head["versions"] = versions()
            return
        self._head = read_object(head, remedy=REMEDY)
        if self._head.get("format") != FORMAT:
            found = self._head.get("format")
            raise UserError(f"{head}: has format {found!r}, only {FORMAT} is known; choose another directory")
        difference = first_difference(self._head.get("options", {}), wanted)
        if difference is not None:
            name, was, now = difference
            raise UserError(
                f"{self.out}: holds a run with {name or 'options'} {was}, asked for is {now}; "
                "choose another directory, or the same options to go on"
            )
        self.run = str(self._head.get("run"))
        self.entries = {str(entry["name"]): entry for entry in _lines(self.out / LINES)}

    def open(self) -> None:
        """Make the directory this run's, and keep other processes out of it.

        Raises:
            UserError: it cannot be written, or another process writes there.
        """
        path = self.out / LINES
        try:
            self.out.mkdir(parents=True, exist_ok=True)
            if not (self.out / HEAD).exists():
                write_json(self.out / HEAD, self._head)
            self._file = open(path, "ab")  # noqa: SIM115 (open for as long as the run)
        except OSError as error:
            raise UserError(f"{path}: cannot be written ({error.strerror})") from error
        if fcntl is not None:
            try:
                fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                self._file.close()
                raise UserError(f"{self.out}: another process is writing there") from None
        _cut_torn_line(path)
        # Once more: until now somebody else may have added to it.
        self.entries = {str(entry["name"]): entry for entry in _lines(path)}
        for left in self.out.glob(".*.partial"):  # of a process that was killed; nobody else writes here
            if left.is_dir():
                shutil.rmtree(left, ignore_errors=True)
            else:
                left.unlink(missing_ok=True)

    def status(self, name: str) -> str | None:
        """How a target ended, if it did."""
        return self.entries.get(name, {}).get("status")

    def add(self, entry: Mapping[str, Any]) -> None:
        """Record that a target is over; on disk when this returns."""
        assert self._file is not None
        with self._lock:
            self.entries[entry["name"]] = dict(entry)
            self._file.write(json.dumps(entry, ensure_ascii=True, allow_nan=False).encode() + b"\n")
            self._file.flush()
            os.fsync(self._file.fileno())

    def close(self, figures: Mapping[str, Any]) -> None:
        """Record how this session went."""
        counts = {status: 0 for status in (DONE, PARTIAL, FAILED)}
        for entry in self.entries.values():
            counts[entry["status"]] += 1
        self._head["sessions"].append({"versions": versions(), **figures})
        write_json(self.out / HEAD, self._head | {"targets": counts})
        if self._file is not None:
            self._file.close()


def made_by(directory: Path, run: str) -> dict[str, Any] | None:
    """The numbers of a result that a run wrote; None if it did not write it."""
    with contextlib.suppress(UserError):
        found = read_object(directory / "result.json", remedy="it is made again")
        if run and found.get("run") == run:
            return found
    return None


def _lines(path: Path) -> list[dict[str, Any]]:
    try:
        rows = path.read_bytes().split(b"\n") if path.exists() else [b""]
        # What comes after the last line break is empty, or torn.
        entries = [json.loads(row) for row in rows[:-1]]
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: cannot be read ({error}); choose another directory") from error
    for number, entry in enumerate(entries, start=1):
        if not isinstance(entry, dict) or not {"name", "status"} <= set(entry):
            raise UserError(f"{path}: line {number} is no entry of a target; choose another directory")
        if entry["status"] not in (DONE, PARTIAL, FAILED):
            raise UserError(f"{path}: line {number} has status {entry['status']!r}; choose another directory")
    return entries


def _cut_torn_line(path: Path) -> None:
    content = path.read_bytes()
    whole = content.rfind(b"\n") + 1
    if whole < len(content):
        os.truncate(path, whole)
