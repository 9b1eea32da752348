"""RUN/log.jsonl: one record a line, and the same numbers for TensorBoard and Weights & Biases.

The file is the truth, and what else is drawn follows it. When a run goes on from a checkpoint its log is cut
back to the bytes that the checkpoint knew of, so that it reads as if nothing had been interrupted.
"""

import dataclasses
import json
import math
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ddsprl.io.errors import UserError
from ddsprl.io.tensorboard import TensorBoard, WeightsAndBiases, tensorboard_installed

LOG, TENSORBOARD = "log.jsonl", "tensorboard"
KIND, ITERATION = "kind", "iteration"
# Where the end of the last record is looked for, from the file's end.
TAIL_BYTES = 1 << 20


class RunLog:
    """The log of a run, open for writing; use as a context manager or `close` it."""

    def __init__(
        self,
        folder: Path,
        *,
        position: int | None = None,
        tensorboard: bool | None = None,
        wandb: bool = False,
        name: str | None = None,
        config: Mapping[str, Any] | None = None,
    ) -> None:
        """Open, and cut what is beyond `position`.

        Args:
            folder: RUN, existing.
            position: bytes of log.jsonl that stay (from a checkpoint's notes); None for a run that begins,
                whose log must not exist or be empty.
            tensorboard: to RUN/tensorboard; None where the package is installed.
            wandb: to Weights & Biases.
            name: of the run, for W&B; None for the folder's.
            config: resolved settings, for W&B.

        Raises:
            UserError: an asked-for package is missing, the log is shorter than `position`, has no line end
                there or cannot be opened.
        """
        folder = Path(folder)
        self._path = folder / LOG
        self._drawings: list[TensorBoard | WeightsAndBiases] = []
        self._file = _opened(self._path, 0 if position is None else position, new=position is None)
        try:
            if tensorboard or (tensorboard is None and tensorboard_installed()):
                follows = None if position is None else _iteration_after(self._path)
                self._drawings.append(TensorBoard(folder / TENSORBOARD, purge_from=follows))
            if wandb:
                self._drawings.append(WeightsAndBiases(folder, name=name or folder.name, config=config or {}))
        except BaseException:
            self.close()
            raise

    def write(self, record: Mapping[str, Any]) -> None:
        """Append a record: one JSON line, flushed.

        Numbers that are NaN or infinite become null. `kind` (text) and `iteration` (int) name the scalars in
        the drawn logs: KIND/FIELD at ITERATION, nested objects KIND/FIELD/NAME, lists KIND/FIELD/0 and so on.

        Raises:
            UserError: it cannot be written.
        """
        line = json_line(record)
        try:
            # One unbuffered call, so that a process that is killed leaves at most this line unfinished.
            written = self._file.write(line)
            if written != len(line):
                raise OSError(f"{written} of {len(line)} bytes")
        except OSError as error:
            raise UserError(f"{self._path}: cannot be written ({error.strerror or error})") from error
        iteration = record.get(ITERATION)
        if self._drawings and iteration is not None:
            values = dict(scalars_of(record))
            for drawing in self._drawings:
                drawing.scalars(values, int(iteration))

    def position(self) -> int:
        """Bytes of log.jsonl so far, all of them on disk after this; for a checkpoint's notes."""
        try:
            os.fsync(self._file.fileno())
            for drawing in self._drawings:
                drawing.flush()
            return self._file.tell()
        except OSError as error:
            raise UserError(f"{self._path}: cannot be written ({error.strerror or error})") from error

    def close(self) -> None:
        """End all logs; a second time does nothing."""
        self._file.close()
        while self._drawings:
            self._drawings.pop().close()

    def __enter__(self) -> "RunLog":
        """Itself."""
        return self

    def __exit__(self, *exception: object) -> None:
        """Closes."""
        self.close()


def read_log(path: Path) -> list[dict[str, Any]]:
    """Records of a log.jsonl; a last line that was cut off is left out.

    Raises:
        UserError: it cannot be read, or a line is no record.
    """
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror or error})") from error
    records = []
    # What follows the last line end is empty, or the beginning of a line.
    for number, line in enumerate(data.split(b"\n")[:-1], start=1):
        try:
            record = json.loads(line)
        except ValueError as error:
            raise UserError(f"{path}: line {number} is not JSON ({error})") from error
        if not isinstance(record, dict):
            raise UserError(f"{path}: line {number} is not an object")
        records.append(record)
    return records


def json_line(record: Mapping[str, Any]) -> bytes:
    """A record as one line of strict JSON; what is no finite number becomes null.

    Raises:
        TypeError: something cannot be written as JSON.
    """
    text = json.dumps(_plain(record), allow_nan=False, ensure_ascii=False, separators=(", ", ": "))
    return text.encode() + b"\n"


def scalars_of(record: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
    """Named numbers of a record, `kind` and `iteration` aside; truth values count as 0 and 1."""
    fields = {name: value for name, value in record.items() if name not in (KIND, ITERATION)}
    yield from _named(_plain(fields, keep=True), str(record.get(KIND, "")))


def _named(value: Any, where: str) -> Iterator[tuple[str, float]]:
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from _named(inner, f"{where}/{name}" if where else name)
    elif isinstance(value, list):
        for i, inner in enumerate(value):
            yield from _named(inner, f"{where}/{i}")
    elif isinstance(value, int | float):
        yield where, float(value)


def _plain(value: Any, *, keep: bool = False) -> Any:
    """In plain Python types; NaN and infinities become None unless they are to be kept."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        value = dataclasses.asdict(value)
    if isinstance(value, Mapping):
        return {str(name): _plain(x, keep=keep) for name, x in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(x, keep=keep) for x in value]
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if hasattr(value, "__array__"):  # arrays and scalars of NumPy and JAX
        return _plain(np.asarray(value).tolist(), keep=keep)
    if isinstance(value, float) and not keep and not math.isfinite(value):
        return None
    return value


def _opened(path: Path, position: int, *, new: bool) -> Any:
    """The log for appending, cut to `position` bytes."""
    try:
        file = open(path, "ab", buffering=0)  # noqa: SIM115 (closed by the log)
        try:
            _check_length(path, file.tell(), position, new=new)
            file.truncate(position)
            file.seek(position)
        except BaseException:
            file.close()
            raise
    except OSError as error:
        raise UserError(f"{path}: cannot be opened ({error.strerror or error})") from error
    return file


def _check_length(path: Path, length: int, position: int, *, new: bool) -> None:
    if new and length:
        raise UserError(f"{path}: holds records already; a new run begins with an empty log")
    if length < position:
        raise UserError(
            f"{path}: has {length} bytes, the checkpoint knows of {position}; was it cut or replaced?"
        )
    if position:
        with open(path, "rb") as file:
            file.seek(position - 1)
            if file.read(1) != b"\n":
                raise UserError(
                    f"{path}: no line ends at byte {position}, where the checkpoint says; was it edited?"
                )


def _iteration_after(path: Path) -> int | None:
    """The iteration after the last one that the log tells of."""
    with open(path, "rb") as file:
        length = file.seek(0, os.SEEK_END)
        file.seek(max(0, length - TAIL_BYTES))
        lines = file.read().split(b"\n")
    for line in reversed(lines):
        try:
            iteration = json.loads(line)[ITERATION]
        except (ValueError, KeyError, TypeError):
            continue  # empty, or the first one, which may begin in the middle
        if isinstance(iteration, int):
            return iteration + 1
    return 0
