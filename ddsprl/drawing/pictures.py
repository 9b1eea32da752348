"""Pictures by name, drawn here or by other processes, so that drawing does not hold up a search.

    with Drawers(4) as drawers:
        content = drawers.draw("match", {...})     # bytes of a PNG; each thread waits for a process

A drawing process is `draw_worker.py`: it reads jobs from its input, answers with PNGs, and ends when its
input does, so that it outlives nobody, however the parent ended. Jobs are NumPy's own files without pickle.
"""

import contextlib
import io
import json
import queue
import struct
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

import numpy as np

from ddsprl.drawing.edits import edits_png
from ddsprl.drawing.knobs import posterior_png
from ddsprl.drawing.match import match_png

PICTURES = {"match": match_png, "posterior": posterior_png, "edits": edits_png}
WORKER = Path(__file__).with_name("draw_worker.py")
SIZE = struct.Struct("<Q")
TEXT = "text"


def draw(kind: str, contents: Mapping[str, Any]) -> bytes:
    """A picture of `PICTURES`, drawn here."""
    return PICTURES[kind](**contents)


class Drawers:
    """Drawing processes, started when they are first needed."""

    def __init__(self, count: int) -> None:
        """At most `count` processes; with 0 everything is drawn here."""
        self._count = count
        self._idle: queue.SimpleQueue[subprocess.Popen | None] = queue.SimpleQueue()
        for _ in range(count):
            self._idle.put(None)

    def __enter__(self) -> "Drawers":
        """Nothing is started yet."""
        return self

    def __exit__(self, *_) -> None:
        """End the processes; nobody may be drawing any more."""
        for _ in range(self._count):
            _end(self._idle.get())

    def draw(self, kind: str, contents: Mapping[str, Any]) -> bytes:
        """A picture of `PICTURES`; waits for an idle process, and draws here if that one fails."""
        if not self._count:
            return draw(kind, contents)
        worker = self._idle.get()
        try:
            worker = _started() if worker is None else worker
            assert worker.stdin is not None and worker.stdout is not None
            send(worker.stdin, packed(kind, contents))
            return receive(worker.stdout)
        except (OSError, EOFError):
            _end(worker)
            worker = None
        finally:
            self._idle.put(worker)
        return draw(kind, contents)


def packed(kind: str, contents: Mapping[str, Any]) -> bytes:
    """A job as bytes: arrays by their dotted places, and everything else as JSON."""
    arrays: dict[str, np.ndarray] = {}
    rest = _without_arrays(contents, "", arrays)
    text = np.frombuffer(json.dumps([kind, rest]).encode(), np.uint8)
    file = io.BytesIO()
    np.savez(file, allow_pickle=False, **arrays, **{TEXT: text})
    return file.getvalue()


def unpacked(job: bytes) -> tuple[str, dict[str, Any]]:
    """Kind and contents of a job."""
    with np.load(io.BytesIO(job), allow_pickle=False) as stored:
        arrays = {name: stored[name] for name in stored.files}
    kind, contents = json.loads(arrays.pop(TEXT).tobytes().decode())
    for place, array in arrays.items():
        *groups, name = place.split(".")
        inside = contents
        for group in groups:
            inside = inside[group]
        inside[name] = array
    return kind, contents


def _without_arrays(contents: Mapping[str, Any], above: str, arrays: dict[str, np.ndarray]) -> dict[str, Any]:
    """Contents but for the arrays in them, which are put aside."""
    rest = {}
    for name, value in contents.items():
        if isinstance(value, np.ndarray):
            arrays[f"{above}{name}"] = value
        else:
            inner = isinstance(value, Mapping)
            rest[name] = _without_arrays(value, f"{above}{name}.", arrays) if inner else value
    return rest


def send(stream: IO[bytes], message: bytes) -> None:
    """Write one message."""
    stream.write(SIZE.pack(len(message)) + message)
    stream.flush()


def receive(stream: IO[bytes]) -> bytes:
    """Read one message.

    Raises:
        EOFError: there is none any more, or only part of one.
    """
    head = stream.read(SIZE.size)
    if len(head) < SIZE.size:
        raise EOFError
    size = SIZE.unpack(head)[0]
    message = stream.read(size)
    if len(message) < size:
        raise EOFError
    return message


def _started() -> subprocess.Popen:
    # A session of its own: Ctrl-C in the terminal is for the search, whose result is still to be drawn.
    return subprocess.Popen(
        [sys.executable, str(WORKER)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def _end(worker: subprocess.Popen | None) -> None:
    if worker is None:
        return
    with contextlib.suppress(OSError):
        worker.kill()
    for stream in (worker.stdin, worker.stdout):
        # What a dead process did not read cannot be flushed; the other stream is to be closed nevertheless.
        with contextlib.suppress(OSError):
            if stream is not None:
                stream.close()
    worker.wait()
