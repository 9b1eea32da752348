"""Files and directories of results: made out of sight beside their place, and there only when complete."""

import contextlib
import dataclasses
import json
import math
import os
import platform
import shutil
import uuid
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

from ddsprl.io.errors import UserError

VERSIONED = ("ddsprl", "jax", "jaxlib", "numpy")


def sibling(path: Path) -> Path:
    """Returns an unused hidden name in the directory of `path`, so that a rename stays on one file system."""
    return path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.partial")


@contextlib.contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yields a temporary path to write to; it becomes `path` if the block succeeds and is removed if not.

    Args:
        path: the destination; an earlier file there stays intact until the new one is complete.

    Raises:
        UserError: the destination cannot be written.
    """
    path = Path(path)
    temporary = sibling(path)
    try:
        yield temporary
        os.replace(temporary, path)
    except OSError as error:
        raise UserError(f"{path}: cannot be written ({error.strerror or error})") from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def ensure_output(path: str | os.PathLike[str], *, overwrite: bool = False) -> Path:
    """Checks, before any work is done, that results may be written to a path.

    Nothing is created or removed.

    Args:
        path: the result directory (or file) to be.
        overwrite: whether something that exists there may be replaced; an empty directory always may.

    Returns:
        The path.

    Raises:
        UserError: the path exists, or it cannot be created (not writable, below a file, name not allowed).
    """
    path = Path(path)
    try:
        is_directory = path.is_dir() and not path.is_symlink()
        occupied = any(path.iterdir()) if is_directory else os.path.lexists(path)
        parent = path.absolute().parent
        while not parent.exists():
            parent = parent.parent
    except OSError as error:
        raise UserError(f"{path}: cannot be used for output ({error.strerror})") from error
    if occupied and not overwrite:
        raise UserError(f"{path}: exists already, and nothing is overwritten; choose another or remove it")
    if not parent.is_dir():
        raise UserError(f"{path}: cannot be created, {parent} is not a directory")
    for directory in (parent, path) if path.is_dir() else (parent,):
        if not os.access(directory, os.W_OK | os.X_OK):
            raise UserError(f"{path}: cannot be written, no permission to write in {directory}")
    return path


def write_json(path: str | os.PathLike[str], obj: Any) -> None:
    """Writes strict JSON (sorted, indented, ending in a line break), whole or not at all.

    NumPy and JAX scalars and arrays become numbers and lists, paths become strings.

    Args:
        path: the file; replaced if it exists.
        obj: what to write.

    Raises:
        ValueError: a number is NaN or infinite, which JSON cannot hold; the message says where.
        TypeError: something cannot be written as JSON.
        UserError: the file cannot be written.
    """
    text = json_text(obj)
    with replacing(path) as temporary:
        temporary.write_text(text + "\n", encoding="utf-8")


def json_text(obj: Any) -> str:
    """What `write_json` writes, without the line break; arguments and errors as there."""
    return json.dumps(_plain(obj, ""), indent=2, sort_keys=True, allow_nan=False, ensure_ascii=False)


def versions() -> dict[str, str]:
    """Returns what a result depended on: Python, the packages' versions, the platform and the machine."""
    found = {name: version_of(name) for name in VERSIONED}
    return {
        "python": platform.python_version(),
        **found,
        "platform": platform.platform(),
        "machine": platform.machine(),
    }


@contextlib.contextmanager
def staged_directory(final_path: str | os.PathLike[str], *, overwrite: bool = False) -> Iterator[Path]:
    """Yields an empty directory to fill; it becomes `final_path` if the block succeeds, and vanishes if not.

    Args:
        final_path: where the complete directory is to appear; parents are created.
        overwrite: whether an earlier result there may be replaced (only at the end, by a rename).

    Raises:
        UserError: as `ensure_output`, or the directory cannot be put in place.
    """
    final = ensure_output(final_path, overwrite=overwrite)
    staged = sibling(final)
    try:
        try:
            staged.mkdir(parents=True)
        except OSError as error:
            raise UserError(f"{final}: cannot be created ({error.strerror})") from error
        yield staged
        # Looked at again: another process may have finished first.
        ensure_output(final, overwrite=overwrite)
        _move_into_place(staged, final)
    finally:
        shutil.rmtree(staged, ignore_errors=True)


def _move_into_place(staged: Path, final: Path) -> None:
    earlier = sibling(final)
    try:
        if os.path.lexists(final):
            os.rename(final, earlier)
        try:
            os.rename(staged, final)
        except OSError:
            if os.path.lexists(earlier):
                os.rename(earlier, final)
            raise
    except OSError as error:
        raise UserError(f"{final}: cannot be put in place ({error.strerror})") from error
    if earlier.is_dir() and not earlier.is_symlink():
        shutil.rmtree(earlier, ignore_errors=True)
    else:
        earlier.unlink(missing_ok=True)


def version_of(name: str) -> str:
    """Version of an installed package, in words where it is not there."""
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "not installed"


def _plain(obj: Any, where: str) -> Any:
    """Returns `obj` in plain Python types, or raises with the place of what cannot be written."""
    if dataclasses.is_dataclass(obj) and not isinstance(obj, type):
        obj = dataclasses.asdict(obj)
    if isinstance(obj, dict):
        prefix = f"{where}." if where else ""
        return {str(key): _plain(value, f"{prefix}{key}") for key, value in obj.items()}
    if isinstance(obj, list | tuple):
        return [_plain(value, f"{where}[{i}]") for i, value in enumerate(obj)]
    if isinstance(obj, os.PathLike):
        return os.fspath(obj)
    if isinstance(obj, np.ndarray | np.generic) or hasattr(obj, "__array__"):
        return _plain(np.asarray(obj).tolist(), where)
    if isinstance(obj, float) and not math.isfinite(obj):
        raise ValueError(f"{where or 'the value'} is {obj}, which JSON cannot hold; numbers must be finite")
    if obj is None or isinstance(obj, str | int | float):
        return obj
    raise TypeError(f"{where or 'the value'} is a {type(obj).__name__}, which cannot be written as JSON")
