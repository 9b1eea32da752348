"""Checkpoints: pytrees of arrays with notes in JSON, whole or not there, checked by sums when they are read.

    FOLDER/000123/ITEM/...            arrays of one item, written by Orbax
    FOLDER/000123/manifest.json       names, sizes and sums of all files, shapes of all leaves, notes
    FOLDER/.000123.*.partial          being written, or left by a process that was ended: the next save
                                      removes it

A checkpoint appears by one rename, after all of it is on disk, and goes by one too. So whatever ends a
process, the checkpoints that are there are whole, and what a disk or a copy did to them since is found by the
sums.
"""

import contextlib
import os
import re
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from ddsprl.io.checkpoints.arrays import (
    PyTree,
    check_fits,
    named_leaves,
    read_arrays,
    rebuild,
    stored_form,
    write_arrays,
)
from ddsprl.io.checkpoints.manifest import (
    FORMAT,
    DamagedError,
    check_files,
    describe_files,
    read_manifest,
    sync,
    write_manifest,
)
from ddsprl.io.errors import UserError, did_you_mean
from ddsprl.io.output import sibling

_NAME = re.compile(r"\d{6,}")
_ITEM = re.compile(r"[A-Za-z0-9_-]+")
_LEFTOVERS = ".*.partial"


class Restored(NamedTuple):
    """What a checkpoint gives back.

    Attributes:
        step: of the checkpoint.
        items: the pytrees asked for, of the structure of `like`.
        notes: as saved, JSON types (tuples are lists, names are texts).
        damaged: one line for every newer checkpoint that could not be used, with its path and what is wrong.
    """

    step: int
    items: dict[str, PyTree]
    notes: dict[str, Any]
    damaged: tuple[str, ...]


class Checkpoints:
    """The checkpoints in a folder, FOLDER/000123; one process writes, any may read."""

    def __init__(self, folder: Path, *, keep: int = 2) -> None:
        """Nothing is read or written yet.

        Args:
            folder: of the checkpoints; made by the first `save`.
            keep: newest checkpoints that stay, at least 1. With 1 there is none to fall back on.
        """
        if keep < 1:
            raise UserError(f"keep is {keep}; at least 1 checkpoint must stay")
        self._folder = Path(folder)
        self._keep = keep
        # Steps found damaged: they are not counted among those that stay.
        self._damaged: set[int] = set()

    def steps(self) -> tuple[int, ...]:
        """Steps of the checkpoints that are there, damaged or not, oldest first."""
        try:
            names = os.listdir(self._folder)
        except FileNotFoundError:
            return ()
        except OSError as error:
            raise UserError(f"{self._folder}: cannot be listed ({error.strerror})") from error
        return tuple(sorted(int(name) for name in names if _NAME.fullmatch(name)))

    def save(self, step: int, items: Mapping[str, PyTree], notes: Mapping[str, Any]) -> None:
        """Store a checkpoint; it is on disk when this returns, and the arrays are no longer needed.

        A checkpoint of the same step is replaced; those of later steps are deleted, as they belong to a
        course that was gone back on.

        Args:
            step: iteration, not negative.
            items: pytrees of arrays (JAX or NumPy, typed keys too) by name; names are file names.
            notes: JSON-able; NaN and infinities are a ValueError.

        Raises:
            UserError: it cannot be written; earlier checkpoints are as they were.
        """
        if step < 0 or not all(_ITEM.fullmatch(name) for name in items):
            raise ValueError(f"step {step}, items {sorted(items)}: not names of files")
        final = self._path(step)
        with _written_in(final):
            self._folder.mkdir(parents=True, exist_ok=True)
            self._remove_leftovers()
            staged = sibling(final)
            try:
                staged.mkdir()
                write_manifest(staged, self._write_items(staged, step, items, notes))
                sync(staged)
                self._put_in_place(staged, final)
            finally:
                shutil.rmtree(staged, ignore_errors=True)
        self._damaged.discard(step)
        self._delete_old(step)

    def restore(self, like: Mapping[str, PyTree], step: int | None = None) -> Restored:
        """The newest whole checkpoint, or the one of a step.

        Args:
            like: structure, shapes and dtypes of the items that are wanted, arrays or what `jax.eval_shape`
                gives (without values); other items of the checkpoint are not read. A leaf that is a NumPy
                array comes back as one, others as JAX arrays, with the sharding of `like` where it has one.
            step: must be whole.

        Raises:
            UserError: there is none, none is whole, or an item does not fit `like`.
        """
        there = self.steps()
        if not there:
            raise UserError(f"{self._folder}: holds no checkpoint")
        if step is not None and step not in there:
            known = ", ".join(map(str, there))
            raise UserError(f"{self._folder}: holds no checkpoint of step {step}; there are {known}")
        damaged = []
        for candidate in reversed(there) if step is None else (step,):
            path = self._path(candidate)
            try:
                found, notes = _read(path, like)
            except DamagedError as error:
                if path.exists():  # else another process deleted it, having written newer ones
                    damaged.append(f"{path}: {error}")
                    self._damaged.add(candidate)
                continue
            return Restored(candidate, found, notes, tuple(damaged))
        raise UserError(f"{self._folder}: no checkpoint can be used: " + "; ".join(damaged))

    def _path(self, step: int) -> Path:
        return self._folder / f"{step:06d}"

    def _write_items(
        self, staged: Path, step: int, items: Mapping[str, PyTree], notes: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Write all arrays; returns what the manifest says."""
        described = {}
        for name, tree in items.items():
            leaves = named_leaves(tree)
            form = stored_form(leaves)
            write_arrays(staged / name, leaves, form)
            described[name] = {"leaves": form, "files": describe_files(staged / name)}
        return {"format": FORMAT, "step": step, "items": described, "notes": notes}

    def _put_in_place(self, staged: Path, final: Path) -> None:
        replaced = sibling(final) if final.exists() else None
        if replaced is not None:
            os.rename(final, replaced)
        try:
            os.rename(staged, final)
        except OSError:
            if replaced is not None:
                os.rename(replaced, final)
            raise
        sync(self._folder)

    def _delete_old(self, newest: int) -> None:
        """What is not to stay; a failure here costs disk space only."""
        sound = [step for step in self.steps() if step <= newest and step not in self._damaged]
        for step in set(self.steps()) - set(sound[-self._keep :]):
            path = self._path(step)
            with contextlib.suppress(OSError):
                # First out of sight in one go: half deleted it would look damaged.
                os.rename(path, sibling(path))
            self._damaged.discard(step)
        self._remove_leftovers()

    def _remove_leftovers(self) -> None:
        for path in self._folder.glob(_LEFTOVERS):
            shutil.rmtree(path, ignore_errors=True)


def _read(path: Path, like: Mapping[str, PyTree]) -> tuple[dict[str, PyTree], dict[str, Any]]:
    """Items and notes of one checkpoint."""
    content = read_manifest(path)
    items = content["items"]
    for name, tree in like.items():
        if name not in items:
            known = ", ".join(items)
            raise UserError(f"{path}: holds no {name!r}{did_you_mean(name, items)}; there is {known}")
        check_fits(f"{path}, {name}", tree, items[name]["leaves"])
    # All is checked before anything is made of it.
    for name in like:
        check_files(path / name, items[name]["files"])
    found = {}
    for name, tree in like.items():
        form = items[name]["leaves"]
        try:
            found[name] = rebuild(tree, read_arrays(path / name, form), form)
        except OSError as error:
            raise DamagedError(f"{name} cannot be read ({error.strerror or error})") from error
    return found, content["notes"]


@contextlib.contextmanager
def _written_in(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise UserError(f"{path}: cannot be written ({error.strerror or error})") from error
