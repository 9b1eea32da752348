"""The manifest of a checkpoint: which files belong to it, their sizes and sums, and what was noted.

It is the last file that is written, and it holds a sum of itself: a folder whose manifest can be read was
complete once, and every byte of it can be checked.
"""

import json
import os
import zlib
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from ddsprl.io.output import json_text

MANIFEST = "manifest.json"
FORMAT = 1
BLOCK_BYTES = 1 << 22
# Sums are taken without Python's lock; more than a few threads only wait for the disk.
THREADS = min(4, os.cpu_count() or 1)


class DamagedError(Exception):
    """A checkpoint is not whole; the message says what is wrong, without its path."""


def write_manifest(folder: Path, content: Mapping[str, Any]) -> None:
    """Write a checkpoint's manifest and see that it is on disk.

    Raises:
        ValueError: a number is NaN or infinite.
        TypeError: something cannot be written as JSON.
        OSError: it cannot be written.
    """
    # In the types that reading gives: whole numbers as names, for one, are sorted as texts then.
    text = _canonical(json.loads(json_text(content)))
    with open(folder / MANIFEST, "w", encoding="utf-8") as file:
        file.write(f'{{"crc32": {zlib.crc32(text.encode())}, "content": {text}}}\n')
        file.flush()
        os.fsync(file.fileno())


def read_manifest(folder: Path) -> dict[str, Any]:
    """The content of a checkpoint's manifest.

    Raises:
        DamagedError: it is missing, changed, or of another format.
    """
    try:
        stored = json.loads((folder / MANIFEST).read_bytes())
        content, crc = stored["content"], stored["crc32"]
    except FileNotFoundError:
        raise DamagedError(f"{MANIFEST} is missing") from None
    except OSError as error:
        raise DamagedError(f"{MANIFEST} cannot be read ({error.strerror or error})") from error
    except (ValueError, KeyError, TypeError, RecursionError):
        raise DamagedError(f"{MANIFEST} is cut off or changed") from None
    if crc != zlib.crc32(_canonical(content).encode()):
        raise DamagedError(f"{MANIFEST} has changed since it was written")
    if content["format"] != FORMAT:
        raise DamagedError(f"{MANIFEST} is of format {content['format']}, this program reads {FORMAT}")
    return content


def describe_files(folder: Path) -> dict[str, list[int]]:
    """Size and sum of every file below a folder, by relative name; all are on disk afterwards.

    Raises:
        OSError: a file cannot be read or synchronized.
    """
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    with ThreadPoolExecutor(THREADS) as pool:
        described = list(pool.map(_sum_and_sync, paths))
    for directory in [folder, *(path for path in folder.rglob("*") if path.is_dir())]:
        sync(directory)
    return {path.relative_to(folder).as_posix(): found for path, found in zip(paths, described, strict=True)}


def check_files(folder: Path, files: Mapping[str, list[int]]) -> None:
    """See that files are as they were described.

    Raises:
        DamagedError: one is missing, of another size, or changed.
    """
    for name, (size, _) in files.items():
        try:
            found = (folder / name).stat().st_size
        except OSError as error:
            raise DamagedError(f"{folder.name}/{name} is missing") from error
        if found != size:
            raise DamagedError(f"{folder.name}/{name} has {found} bytes instead of {size}")
    try:
        with ThreadPoolExecutor(THREADS) as pool:
            sums = list(pool.map(_sum, (folder / name for name in files)))
    except OSError as error:
        raise DamagedError(f"{folder.name}: cannot be read ({error.strerror or error})") from error
    for (name, (_, crc)), found in zip(files.items(), sums, strict=True):
        if found != crc:
            raise DamagedError(f"{folder.name}/{name} has changed since it was written")


def sync(path: Path) -> None:
    """See that a file, or the names in a directory, are on disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _sum(path: Path) -> int:
    crc, block = 0, bytearray(BLOCK_BYTES)
    with open(path, "rb", buffering=0) as file:
        while count := file.readinto(block):
            crc = zlib.crc32(memoryview(block)[:count], crc)
    return crc


def _sum_and_sync(path: Path) -> list[int]:
    sync(path)
    described = [path.stat().st_size, _sum(path)]
    if hasattr(os, "posix_fadvise"):
        # It will hardly be read soon; its pages in memory are better used for the next one.
        with open(path, "rb") as file:
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    return described


def _canonical(content: Any) -> str:
    return json.dumps(content, sort_keys=True, allow_nan=False, ensure_ascii=False, separators=(",", ":"))
