"""Run directories: who made a run and how, and the places of what it writes.

Everything of a run lies in one folder:

    RUN/config.json      name, settings, seed, command, versions, source; before anything else. Settings that
                         were changed when the run was gone on with are told in `changes`
    RUN/log.jsonl        see `run_log`                  RUN/checkpoints/   see `checkpoints`
    RUN/tensorboard/     the same numbers               RUN/audio/         sounds
    RUN/cloned/          the agent before it learned by itself
    RUN/.writing         locked by the process that writes to the run
"""

import contextlib
import datetime
import fcntl
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ddsprl.io.errors import UserError, did_you_mean
from ddsprl.io.json_files import as_stored, read_object
from ddsprl.io.output import version_of, versions, write_json

CONFIG, LOCK = "config.json", ".writing"
FORMAT = 1
# Of the record, what must be there to go on.
FIELDS: dict[str, type] = {"format": int, "name": str, "config": dict, "seed": int, "versions": dict}
# Beside those of every result, what an agent's numbers depend on.
LEARNING_PACKAGES = ("flax", "optax", "distrax", "orbax-checkpoint")
SHOWN_RUNS = 5
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,99}")


@dataclass(frozen=True)
class RunDirectory:
    """A run on disk.

    Attributes:
        path: RUN.
        record: content of config.json: name, config (resolved), seed, command, versions, source, started,
            and perhaps changes, each a command with the settings before it.
    """

    path: Path
    record: dict[str, Any]

    @property
    def checkpoints(self) -> Path:
        """Folder for `Checkpoints`."""
        return self.path / "checkpoints"

    @property
    def cloned(self) -> Path:
        """Folder for the agent as it was after cloning, before it learned by itself."""
        return self.path / "cloned"

    @property
    def audio(self) -> Path:
        """Folder for `Snapshots`."""
        return self.path / "audio"

    @property
    def config(self) -> dict[str, Any]:
        """The resolved settings."""
        return self.record["config"]

    def changed_versions(self) -> dict[str, tuple[str, str]]:
        """What is of another version now: name to (then, now). Results may differ in rounding."""
        now, then = run_versions(), self.record["versions"]
        return {
            name: (str(then[name]), now[name]) for name in now if name in then and then[name] != now[name]
        }

    def changed_source(self, source: str) -> bool:
        """Whether the code that the run was begun with was other than this."""
        return self.record.get("source") not in (None, source)

    def go_on(self, config: Mapping[str, Any], command: Sequence[str]) -> "RunDirectory":
        """The run with other settings from now on; config.json keeps those before."""
        record = as_stored({**self.record, "config": config})
        if record == self.record:
            return self
        change = {"command": list(command), "before": self.config}
        record["changes"] = [*self.record.get("changes", []), change]
        write_json(self.path / CONFIG, record)
        return open_run(self.path)

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """While in the block, no other process writes to the run. Reading it is free.

        The hold ends with the process, whatever ends it.

        Raises:
            UserError: another process writes to it, or the folder cannot be written.
        """
        path = self.path / LOCK
        try:
            handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        except OSError as error:
            raise UserError(f"{self.path}: cannot be written ({error.strerror or error})") from error
        try:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                owner = os.pread(handle, 32, 0).decode(errors="replace").strip()
                raise UserError(
                    f"{self.path}: is being written by another process ({owner or '?'})"
                ) from None
            except OSError:
                pass  # a file system without locks, as some shared ones are
            os.ftruncate(handle, 0)
            os.pwrite(handle, f"{os.getpid()}\n".encode(), 0)
            yield
        finally:
            os.close(handle)


def new_run(
    parent: Path,
    name: str,
    *,
    config: Any,
    seed: int,
    command: Sequence[str],
    source: str | None = None,
) -> RunDirectory:
    """A new folder PARENT/NAME-001 (the number after the highest there), with its config.json.

    Args:
        parent: of all runs; created.
        name: short, a plain file name.
        config: resolved settings, a mapping or a dataclass; tuples, paths and arrays in it are made plain.
        seed: of the run.
        command: program and arguments as typed.
        source: fingerprint of the code.

    Raises:
        UserError: the name is no file name, or the folder cannot be made.
    """
    if not _NAME.fullmatch(name):
        raise UserError(f"name {name!r}: letters, digits, . _ + and - are allowed, a letter or digit first")
    path = _numbered(Path(parent), name)
    record = {
        "format": FORMAT,
        "name": path.name,
        "config": config,
        "seed": seed,
        "command": list(command),
        "versions": run_versions(),
        "source": source,
        "started": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
    }
    write_json(path / CONFIG, record)
    return open_run(path)


def open_run(path: Path) -> RunDirectory:
    """An existing run.

    Raises:
        UserError: it is missing (with the nearest name), a file, not a run (lists the runs in it, if any),
            or its config.json cannot be used.
    """
    path = Path(path)
    if not path.exists():
        raise UserError(f"{path}: no such run{did_you_mean(path.name, runs_in(path.parent))}")
    if not path.is_dir():
        raise UserError(f"{path}: is a file; a run is a directory")
    if not (path / CONFIG).is_file():
        inside = runs_in(path)
        hint = f"; runs in it: {', '.join(inside[-SHOWN_RUNS:])}" if inside else ""
        raise UserError(f"{path}: is not a run, it has no {CONFIG}{hint}")
    remedy = "the run cannot be used without it"
    record = read_object(path / CONFIG, remedy=remedy)
    for field, kind in FIELDS.items():
        if not isinstance(record.get(field), kind):
            raise UserError(f"{path / CONFIG}: {field} is missing or no {kind.__name__}; {remedy}")
    if record["format"] != FORMAT:
        raise UserError(f"{path / CONFIG}: is of format {record['format']}, this program reads {FORMAT}")
    return RunDirectory(path, record)


def run_versions() -> dict[str, str]:
    """What a run depends on, as installed here."""
    return versions() | {name: version_of(name) for name in LEARNING_PACKAGES}


def runs_in(parent: Path) -> list[str]:
    """Names of the runs in a folder, the one begun last at the end."""
    found = []
    with contextlib.suppress(OSError):
        for entry in Path(parent).iterdir():
            config = entry / CONFIG
            if config.is_file():
                found.append((config.stat().st_mtime, entry.name))
    return [name for _, name in sorted(found)]


def _numbered(parent: Path, name: str) -> Path:
    """A new folder with the next number; two processes get two."""
    pattern = re.compile(re.escape(name) + r"-(\d+)")
    try:
        parent.mkdir(parents=True, exist_ok=True)
        while True:
            taken = [int(found[1]) for entry in os.listdir(parent) if (found := pattern.fullmatch(entry))]
            path = parent / f"{name}-{max(taken, default=0) + 1:03d}"
            with contextlib.suppress(FileExistsError):
                path.mkdir()
                return path
    except OSError as error:
        raise UserError(f"{parent}: a run cannot be made in it ({error.strerror or error})") from error
