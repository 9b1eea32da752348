"""Pytrees as named arrays, and named arrays on disk.

Leaves are named by their path in the tree (`replay.rows.reward`). Typed random keys are stored as their data.
Arrays without elements are described and not stored. On disk an item is a database of Orbax with few files,
where arrays lie in pieces of at most 64 MiB, uncompressed: a ring of pictures does not become much smaller,
and writing it would wait for the processor instead of the disk. Orbax sees host arrays only, in one flat
record: so it neither copies them nor notes on which devices they were.
"""

import contextlib
import logging
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np

from ddsprl.io.errors import UserError, did_you_mean

PyTree = Any
Form = Mapping[str, Mapping[str, Any]]
LONGEST_NAME = 80
# Read as a whole, so this is also what reading needs beside the arrays, a few times over.
PIECE_BYTES = 1 << 26
# Host memory that may be in flight while an item is read, beyond the arrays themselves.
READING_GB = 1


def named_leaves(tree: PyTree) -> dict[str, Any]:
    """Leaves by name, in the tree's order; `None` is no leaf."""
    flat, _ = jax.tree_util.tree_flatten_with_path(tree)
    named = {jax.tree_util.keystr(path, simple=True, separator=".") or "value": x for path, x in flat}
    if len(named) != len(flat):
        raise ValueError("two leaves have the same name; names in the tree must not hold dots")
    return named


def describe(leaf: Any) -> dict[str, Any]:
    """Shape and dtype of an array, a typed key or a `ShapeDtypeStruct`, as JSON holds them."""
    if not hasattr(leaf, "shape") or not hasattr(leaf, "dtype"):
        raise TypeError(f"a leaf is a {type(leaf).__name__}; checkpoints hold arrays")
    return {"shape": list(leaf.shape), "dtype": str(leaf.dtype)}


def stored_form(leaves: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """How leaves are stored: shape, dtype, file (None without elements) and kind of key (None for no key)."""
    form = {}
    for i, (name, leaf) in enumerate(leaves.items()):
        shown = describe(leaf)
        file = f"{i:03d}.{re.sub('[^A-Za-z0-9_.-]', '_', name)[:LONGEST_NAME]}"
        key = str(jax.random.key_impl(leaf)) if _is_key(leaf) else None
        form[name] = {**shown, "file": file if 0 not in leaf.shape else None, "key": key}
    return form


def write_arrays(folder: Path, leaves: Mapping[str, Any], form: Form) -> None:
    """Store leaves in a folder that does not exist yet.

    Raises:
        OSError: they cannot be written.
    """
    arrays = {form[name]["file"]: _on_host(leaf) for name, leaf in leaves.items() if form[name]["file"]}
    if not arrays:
        folder.mkdir()
        return
    ocp = _orbax()
    try:
        with _quiet(), _checkpointer() as checkpointer:
            pieces = {file: ocp.SaveArgs(chunk_byte_size=PIECE_BYTES) for file in arrays}
            checkpointer.save(folder.absolute(), args=ocp.args.PyTreeSave(arrays, save_args=pieces))
    except ValueError as error:  # what its storage layer makes of a full disk
        raise _as_os_error(error) from error


def read_arrays(folder: Path, form: Form) -> dict[str, np.ndarray]:
    """Stored arrays by leaf name; of keys their data.

    Raises:
        OSError: they cannot be read.
    """
    names = {name: leaf["file"] for name, leaf in form.items() if leaf["file"]}
    if not names:
        return {}
    ocp = _orbax()
    wanted = {file: ocp.RestoreArgs(restore_type=np.ndarray) for file in names.values()}
    try:
        with _quiet(), _checkpointer() as checkpointer:
            found = checkpointer.restore(folder.absolute(), args=ocp.args.PyTreeRestore(restore_args=wanted))
    except (ValueError, KeyError) as error:
        raise _as_os_error(error) from error
    return {name: found.pop(file) for name, file in names.items()}


def rebuild(like: PyTree, arrays: dict[str, np.ndarray], form: Form) -> PyTree:
    """A tree as `like`, whose leaves have been checked to fit; empties `arrays` as it goes."""
    named = named_leaves(like)
    leaves = [_as_wanted(x, arrays.pop(name, None), form[name]["key"]) for name, x in named.items()]
    return jax.tree.unflatten(jax.tree.structure(like), leaves)


def check_fits(where: str, like: PyTree, form: Form) -> None:
    """See that a stored item has the leaves of `like`.

    Raises:
        UserError: a leaf is missing, too many, or of another shape or dtype.
    """
    wanted = {name: describe(leaf) for name, leaf in named_leaves(like).items()}
    stored = {name: {"shape": leaf["shape"], "dtype": leaf["dtype"]} for name, leaf in form.items()}
    wrong = [_misfit(name, wanted.get(name), stored.get(name), stored) for name in [*wanted, *stored]]
    wrong = [text for text in dict.fromkeys(wrong) if text]
    if wrong:
        more = f" (and {len(wrong) - 1} more leaves differ)" if len(wrong) > 1 else ""
        raise UserError(f"{where}: does not fit the settings: {wrong[0]}{more}")


def _misfit(
    name: str, wanted: Mapping[str, Any] | None, stored: Mapping[str, Any] | None, names: Mapping[str, Any]
) -> str | None:
    if stored is None and wanted is not None:
        return f"leaf {name} ({_shown(wanted)}) is not in it{did_you_mean(name, names)}"
    if wanted is None and stored is not None:
        return f"it has a leaf {name} ({_shown(stored)}), which is not wanted"
    if wanted is None or stored is None or wanted == stored:
        return None
    return f"leaf {name} is {_shown(stored)} in it, {_shown(wanted)} is wanted"


def _shown(leaf: Mapping[str, Any]) -> str:
    return f"{leaf['dtype']}{leaf['shape']}"


def _is_key(leaf: Any) -> bool:
    return jax.numpy.issubdtype(leaf.dtype, jax.dtypes.prng_key)


def _on_host(leaf: Any) -> np.ndarray:
    """In host memory; on the CPU a view."""
    array = np.asarray(jax.random.key_data(leaf) if _is_key(leaf) else leaf)
    # Axes of length 1 may have any stride, with some of which the storage layer copies the whole array.
    return array.ravel().reshape(array.shape)


def _as_wanted(like: Any, array: np.ndarray | None, key: str | None) -> Any:
    """The array as the leaf in `like` is: typed key, NumPy, or JAX with its sharding."""
    if key is not None:
        width = jax.random.key_data(jax.random.key(0, impl=key)).shape
        data = np.zeros((*like.shape, *width), np.uint32) if array is None else array
        return _placed(jax.random.wrap_key_data(jax.numpy.asarray(data), impl=key), like)
    if array is None:
        array = np.zeros(like.shape, like.dtype)
    return array if isinstance(like, np.ndarray | np.generic) else _placed(array, like)


def _placed(value: Any, like: Any) -> jax.Array:
    return jax.device_put(value, getattr(like, "sharding", None))


def _orbax() -> Any:
    # Seconds and a hundred modules: only for those who save or restore.
    import orbax.checkpoint

    return orbax.checkpoint


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without Orbax's own messages.

    It warns of parts that are left out on purpose, and shows what its threads raise, which also ends up
    here.
    """
    logger = logging.getLogger("absl")
    level = logger.level
    logger.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        logger.setLevel(level)


def _checkpointer() -> Any:
    ocp = _orbax()
    types = ocp.type_handlers
    # By default every host array is copied first, in case it changes while it is written in the background.
    handler = types.NumpyHandler(deepcopy_host_arrays=False)
    return ocp.Checkpointer(
        ocp.PyTreeCheckpointHandler(
            use_ocdbt=True,
            use_compression=False,
            restore_concurrent_gb=READING_GB,
            type_handler_registry=types.create_type_handler_registry((np.ndarray, handler)),
        )
    )


def _as_os_error(error: Exception) -> OSError:
    code = re.search(r"os_error_code='(\d+)'", str(error))
    if code is None:
        return OSError(str(error).partition(" [")[0])
    return OSError(int(code[1]), os.strerror(int(code[1])))
