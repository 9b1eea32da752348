"""Demonstrations on disk: one `.npz` with the arrays and, as text of JSON, where they come from.

    save_demonstrations(path, demos)
    demos = load_demonstrations(path, env=env, params=params)

Nothing is unpickled. A file appears whole or not at all. Reading believes nothing: format and version first,
then the shape and kind of every array before its contents are read, then the contents, then whether they were
recorded in the environment at hand; what is wrong is one line.
"""

import dataclasses
import json
import math
import os
import zipfile
import zlib
from pathlib import Path
from typing import Any, get_origin

import numpy as np

from ddsprl.agents import Sight, sight_of
from ddsprl.agents.replay import Rows
from ddsprl.agents.types import Labels
from ddsprl.env import EnvParams, MatchEnv
from ddsprl.io import UserError
from ddsprl.io.json_files import first_difference
from ddsprl.io.output import replacing
from ddsprl.training.demonstrations.recording import About, Demonstrations, setup_for
from synth_jax.params import table_digest

FORMAT = "ddsprl-demonstrations"
# Counted up when rows, labels or the observation change: older files then mean nothing.
VERSION = 2
ABOUT, MOST_ABOUT_BYTES = "about", 1 << 20
# What NumPy and zipfile raise for archives that are cut, altered, or claim what is not there.
_DAMAGED = (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error, NotImplementedError)

# Kind and shape of every array; letters stand for numbers that must agree.
_KINDS: dict[str, tuple[type, tuple[str, ...]]] = {
    "target": (np.uint8, ("n", "bands", "frames")),
    "away": (np.int8, ("n", "bands", "frames")),
    "next_away": (np.int8, ("n", "bands", "frames")),
    "rest": (np.float32, ("n", "r")),
    "next_rest": (np.float32, ("n", "r")),
    "module": (np.int32, ("n",)),
    "delta": (np.float32, ("n", "d")),
    "reward": (np.float32, ("n",)),
    "terminated": (np.bool_, ("n",)),
    "label_module": (np.int32, ("n",)),
    "label_delta": (np.float32, ("n", "d")),
    "episode": (np.int32, ("n",)),
}

# What a field of `About` is in JSON.
_JSON_KINDS: dict[Any, tuple[type, ...]] = {
    int: (int,),
    float: (int, float),
    str: (str,),
    tuple: (list,),
    dict: (dict,),
}


def save_demonstrations(path: str | os.PathLike[str], demos: Demonstrations) -> None:
    """Write demonstrations, whole or not at all.

    Raises:
        UserError: the file cannot be written.
    """
    header = {"format": FORMAT, "version": VERSION} | dataclasses.asdict(demos.about)
    text = np.frombuffer(json.dumps(header, sort_keys=True).encode(), np.uint8)
    labels = {f"label_{name}": x for name, x in demos.labels._asdict().items()}
    rows = {name: x for name, x in demos.rows._asdict().items() if name in _KINDS}
    arrays = rows | labels | {"episode": demos.episode}
    plain = {name: np.asarray(x, _KINDS[name][0]) for name, x in arrays.items()}
    with replacing(path) as temporary, open(temporary, "wb") as file:
        np.savez_compressed(file, allow_pickle=False, **{ABOUT: text}, **plain)


def load_demonstrations(
    path: str | os.PathLike[str],
    *,
    env: MatchEnv,
    params: EnvParams,
    sight: Sight | None = None,
) -> Demonstrations:
    """Read demonstrations for an environment.

    Args:
        path: of the file.
        env: in which they are to be used.
        params: likewise; its unlocked knobs must include those of the file.
        sight: what is read of an observation; by default what the environment offers.

    Raises:
        UserError: the file cannot be read, is damaged, or was recorded in another environment.
    """
    path, sight = Path(path), sight_of(env.observation) if sight is None else sight
    try:
        with zipfile.ZipFile(path) as stored:
            about = _read_about(stored, path)
            arrays = _read_arrays(stored, path)
    except FileNotFoundError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from error
    except _DAMAGED as error:
        raise UserError(f"{path}: is not a file of demonstrations, or is damaged") from error
    _check_fit(about, env, params, sight.vectors, path)
    _check_sizes(arrays, env, sight.vectors, path)
    _check_contents(arrays, about, len(env.instrument.modules), path)
    labels: dict[str, Any] = {name: arrays[f"label_{name}"] for name in Labels._fields}
    rows: dict[str, Any] = {name: arrays[name] for name in Rows._fields if name in _KINDS}
    return Demonstrations(Rows(**rows, labels=Labels(**labels)), arrays["episode"], about)


def _read_about(stored: zipfile.ZipFile, path: Path) -> About:
    if stored.getinfo(f"{ABOUT}.npy").file_size > MOST_ABOUT_BYTES:
        raise UserError(f"{path}: its header is longer than {MOST_ABOUT_BYTES} bytes")
    with stored.open(f"{ABOUT}.npy") as file:
        given = json.loads(np.lib.format.read_array(file, allow_pickle=False).tobytes().decode())
    if not isinstance(given, dict):
        raise UserError(f"{path}: its header is no JSON object")
    for name, only in (("format", FORMAT), ("version", VERSION)):
        if (found := given.pop(name, None)) != only:
            raise UserError(f"{path}: {name} is {found!r}, only {only!r} can be read")
    kinds = {x.name: _JSON_KINDS[get_origin(x.type) or x.type] for x in dataclasses.fields(About)}
    for name in [*given, *kinds]:
        if name not in kinds or name not in given:
            raise UserError(f"{path}: header field {name} is {'missing' if name in kinds else 'unknown'}")
        if type(given[name]) not in kinds[name]:
            raise UserError(f"{path}: header field {name} is {given[name]!r}, which is of another kind")
    fields: dict[str, Any] = {name: tuple(x) if isinstance(x, list) else x for name, x in given.items()}
    return About(**fields)


def _read_arrays(stored: zipfile.ZipFile, path: Path) -> dict[str, np.ndarray]:
    names = {name.removesuffix(".npy") for name in stored.namelist()} - {ABOUT}
    for name in sorted(names | _KINDS.keys()):
        if name not in names or name not in _KINDS:
            raise UserError(f"{path}: array {name} is {'missing' if name in _KINDS else 'not expected'}")
    sizes: dict[str, int] = {}
    for name in _KINDS:
        _check_header(stored, name, sizes, path)
    found = {}
    for name in _KINDS:
        with stored.open(f"{name}.npy") as file:
            found[name] = np.lib.format.read_array(file, allow_pickle=False)
    return found


def _check_header(stored: zipfile.ZipFile, name: str, sizes: dict[str, int], path: Path) -> None:
    """An array's kind and shape, before anything of the size that it claims is made."""
    kind, letters = _KINDS[name]
    with stored.open(f"{name}.npy") as file:
        if np.lib.format.read_magic(file) != (1, 0):
            raise UserError(f"{path}: array {name} is of a version that cannot be read")
        shape, _, dtype = np.lib.format.read_array_header_1_0(file)
        begun = file.tell()
    same = len(shape) == len(letters) and all(
        sizes.setdefault(letter, size) == size for letter, size in zip(letters, shape, strict=True)
    )
    if dtype != kind or not same:
        expected = ", ".join(f"{letter} = {sizes[letter]}" for letter in letters if letter in sizes)
        wanted = f"{np.dtype(kind)} [{', '.join(letters)}] with {expected}"
        raise UserError(f"{path}: array {name} is {dtype} {shape}, expected {wanted}")
    if stored.getinfo(f"{name}.npy").file_size != begun + dtype.itemsize * math.prod(shape):
        raise UserError(f"{path}: array {name} is not as long as its shape says")


def _check_fit(about: About, env: MatchEnv, params: EnvParams, rest: tuple[str, ...], path: Path) -> None:
    """Whether what was recorded would happen in this environment too."""
    have = about.setup | {"instrument": about.instrument, "table": about.table, "rest": list(about.rest)}
    named = {"instrument": env.instrument.name, "table": table_digest(env.instrument.table)}
    now = setup_for(env, params) | named | {"rest": list(rest)}
    if (differs := first_difference(have, now)) is not None:
        field, recorded, wanted = differs
        raise UserError(f"{path}: {field} is {recorded}, here it is {wanted}; record demonstrations anew")
    free = np.asarray(params.free) > 0
    moved = np.asarray(about.free, object) == 1
    if moved.shape != free.shape:
        raise UserError(f"{path}: header field free has {len(moved)} knobs, expected {len(free)}")
    if (beyond := np.flatnonzero(moved & ~free)).size:
        name = env.instrument.table[int(beyond[0])].name
        raise UserError(f"{path}: demonstrations of stage {about.stage} move {name}, which is locked here")


def _check_sizes(arrays: dict[str, np.ndarray], env: MatchEnv, rest: tuple[str, ...], path: Path) -> None:
    """Whether observations and actions have the environment's shapes."""
    fields = {field.name: field for field in env.observation.fields}
    wanted = {
        "target": fields["target"].shape,
        "rest": (sum(fields[name].size for name in rest),),
        "delta": (env.n_params,),
    }
    for name, shape in wanted.items():
        if arrays[name].shape[1:] != shape:
            raise UserError(f"{path}: array {name} has rows of {arrays[name].shape[1:]}, expected {shape}")


def _check_contents(arrays: dict[str, np.ndarray], about: About, modules: int, path: Path) -> None:
    """Whether the numbers can be what they are said to be."""
    for name in ("rest", "next_rest", "delta", "reward", "label_delta"):
        if not np.isfinite(arrays[name]).all():
            raise UserError(f"{path}: array {name} holds values that are not finite")
    for name in ("delta", "label_delta"):
        if np.abs(arrays[name]).max(initial=0.0) > 1.0:
            raise UserError(f"{path}: array {name} has a delta beyond -1 to 1")
    for name in ("module", "label_module"):
        if not np.isin(arrays[name], np.arange(modules)).all():
            raise UserError(f"{path}: array {name} has a module that is none of 0 to {modules - 1}")
    counted = np.unique(arrays["episode"])
    if np.any(np.diff(arrays["episode"]) < 0) or not np.array_equal(counted, np.arange(about.episodes)):
        raise UserError(f"{path}: array episode does not count {about.episodes} episodes, one after another")
