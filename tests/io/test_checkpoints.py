"""Checkpoints: every kind of leaf bit for bit, whole or not there, damage named, misfits in one line."""

import errno
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from ddsprl.io import UserError
from ddsprl.io.checkpoints import Checkpoints
from ddsprl.io.checkpoints import store as stores
from ddsprl.io.checkpoints.manifest import write_manifest


class Ring(NamedTuple):
    pictures: jax.Array
    target: jax.Array | None
    filled: jax.Array


def agent(scale: float = 1.0) -> dict[str, Any]:
    params = {"Dense_0": {"kernel": jnp.arange(6.0).reshape(2, 3) * scale, "bias": jnp.zeros(3)}}
    return {"params": params, "optimizer": optax.adam(1e-3).init(params), "temperature": jnp.float32(scale)}


def rest(seed: int = 0) -> dict[str, Any]:
    return {
        "ring": Ring(jnp.arange(60, dtype=jnp.uint8).reshape(5, 4, 3), None, jnp.int32(seed - 3)),
        "odd": jnp.array([jnp.nan, -0.0, jnp.inf, 1e-45], jnp.float32),
        "ended": jnp.array([[True, False, True]]),
        "half": jnp.arange(3, dtype=jnp.bfloat16) / 7,
        "key_data": jax.random.key_data(jax.random.key(seed)),
        "keys": jax.random.split(jax.random.key(seed), (2, 3)),
        "other_key": jax.random.key(seed, impl="rbg"),
        "empty": jnp.zeros((0, 4), jnp.int32),
        "no_keys": jax.random.split(jax.random.key(0), 3)[:0],
        "host": np.array([2**53 + 1, -1], np.int64),
    }


def bits(tree) -> list[tuple[str, tuple[int, ...], bytes]]:
    def one(x):
        data = jax.random.key_data(x) if jnp.issubdtype(x.dtype, jax.dtypes.prng_key) else x
        return str(x.dtype), x.shape, np.asarray(data).tobytes()

    return [one(x) for x in jax.tree.leaves(tree)]


def saved(folder: Path, *steps: int, keep: int = 2) -> Checkpoints:
    store = Checkpoints(folder, keep=keep)
    for step in steps:
        store.save(step, {"agent": agent(step), "rest": jnp.arange(step)}, {"iteration": step})
    return store


def test_everything_comes_back_bit_for_bit(tmp_path, capfd):
    store = Checkpoints(tmp_path / "new" / "checkpoints")
    notes = {"stage": (1, 2), "loss": np.float32(0.5), "names": {10: "é", 9: None}}
    items = {"agent": agent(), "rest": rest()}
    store.save(7, items, notes)
    like = {"agent": jax.eval_shape(agent), "rest": rest(99)}
    found = store.restore(like)
    assert (found.step, found.damaged) == (7, ())
    assert found.notes == {"stage": [1, 2], "loss": 0.5, "names": {"10": "é", "9": None}}
    for name, tree in items.items():
        assert jax.tree.structure(found.items[name]) == jax.tree.structure(tree)
        assert bits(found.items[name]) == bits(tree)
    # A key goes on where it was; what was NumPy is.
    again = found.items["rest"]
    assert jnp.array_equal(jax.random.normal(again["keys"][1, 2]), jax.random.normal(rest()["keys"][1, 2]))
    assert isinstance(again["host"], np.ndarray) and isinstance(again["odd"], jax.Array)
    assert jax.tree.leaves(found.items["agent"])[0].devices() == {jax.devices()[0]}
    assert store.steps() == (7,) and os.listdir(tmp_path / "new" / "checkpoints") == ["000007"]
    assert capfd.readouterr() == ("", "")


def test_shapes_alone_do_for_keys_too(tmp_path):
    Checkpoints(tmp_path).save(0, {"keys": jax.random.split(jax.random.key(1), 4)}, {})
    like = jax.eval_shape(lambda: jax.random.split(jax.random.key(0), 4))
    assert bits(Checkpoints(tmp_path).restore({"keys": like}).items["keys"]) == bits(
        jax.random.split(jax.random.key(1), 4)
    )


def test_what_was_saved_or_restored_may_be_donated(tmp_path):
    step = jax.jit(lambda x: x + 1.0, donate_argnums=0)
    x = jnp.arange(4096.0)
    store = Checkpoints(tmp_path)
    store.save(1, {"x": x}, {})
    x = step(x)
    found = store.restore({"x": x})
    assert jnp.array_equal(step(step(found.items["x"])), jnp.arange(4096.0) + 2.0)
    assert jnp.array_equal(store.restore({"x": x}).items["x"], jnp.arange(4096.0))


def test_only_the_items_asked_for_are_read(tmp_path):
    saved(tmp_path, 1)
    for path in (tmp_path / "000001" / "rest").rglob("*"):
        if path.is_file():
            path.unlink()
    found = Checkpoints(tmp_path).restore({"agent": agent()})
    assert list(found.items) == ["agent"] and bits(found.items["agent"]) == bits(agent(1))
    with pytest.raises(UserError, match=r"no checkpoint can be used: .*000001: rest/.* is missing"):
        Checkpoints(tmp_path).restore({"rest": jnp.arange(1)})


def largest(folder: Path) -> Path:
    return max((path for path in folder.rglob("*") if path.is_file()), key=lambda path: path.stat().st_size)


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


DAMAGES = {
    "truncated": (lambda path: os.truncate(largest(path / "agent"), 1), "has 1 bytes instead of"),
    "flipped": (lambda path: flip(largest(path / "agent")), "has changed since it was written"),
    "missing file": (lambda path: largest(path / "agent").unlink(), "is missing"),
    "no manifest": (lambda path: (path / "manifest.json").unlink(), "manifest.json is missing"),
    "half a manifest": (lambda path: os.truncate(path / "manifest.json", 90), "is cut off or changed"),
    "changed notes": (
        lambda path: (path / "manifest.json").write_text(
            (path / "manifest.json").read_text().replace('"iteration":2', '"iteration":3')
        ),
        "manifest.json has changed",
    ),
    "newer format": (
        lambda path: write_manifest(path, {"format": 99}),
        "is of format 99, this program reads 1",
    ),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_newest_one_is_named_and_the_one_before_used(tmp_path, damage):
    saved(tmp_path, 1, 2)
    harm, message = DAMAGES[damage]
    harm(tmp_path / "000002")
    store = Checkpoints(tmp_path)
    found = store.restore({"agent": agent()})
    assert found.step == 1 and found.notes == {"iteration": 1}
    assert bits(found.items["agent"]) == bits(agent(1))
    assert len(found.damaged) == 1 and "000002: " in found.damaged[0] and message in found.damaged[0]
    with pytest.raises(UserError, match=message):
        store.restore({"agent": agent()}, step=2)
    # It does not push out the whole one when the run goes on, wherever its next checkpoint is.
    store.save(3, {"agent": agent(3)}, {})
    assert store.steps() == (1, 3)


def test_nothing_whole_names_all(tmp_path):
    with pytest.raises(UserError, match="holds no checkpoint"):
        Checkpoints(tmp_path / "none").restore({"agent": agent()})
    saved(tmp_path, 1, 2)
    for step in ("000001", "000002"):
        (tmp_path / step / "manifest.json").unlink()
    with pytest.raises(UserError, match=r"no checkpoint can be used: .*000002: .*; .*000001: "):
        Checkpoints(tmp_path).restore({"agent": agent()})


def changed(**leaves):
    return agent() | leaves


@pytest.mark.parametrize(
    ("like", "message"),
    [
        (changed(temperature=jnp.zeros(2)), r"temperature is float32\[\] in it, float32\[2\] is wanted$"),
        (changed(temperature=jnp.int32(0)), r"temperature is float32\[\] in it, int32\[\] is wanted$"),
        (changed(temperatur=jnp.zeros(2)), r"temperatur \(float32\[2\]\) is not in it; did you mean 'temp"),
        (changed(temperature=None), r"it has a leaf temperature \(float32\[\]\), which is not wanted$"),
        (
            jax.tree.map(lambda x: jnp.zeros(7), agent()),
            r" float32\[7\] is wanted \(and \d+ more leaves differ",
        ),
    ],
)
def test_misfits_are_one_clear_line(tmp_path, like, message):
    saved(tmp_path, 1)
    with pytest.raises(UserError, match=r"000001, agent: does not fit the settings: .*" + message):
        Checkpoints(tmp_path).restore({"agent": like})


def test_unknown_items_and_steps(tmp_path):
    store = saved(tmp_path, 1, 2)
    with pytest.raises(UserError, match="holds no 'agents'; did you mean 'agent'"):
        store.restore({"agents": agent()})
    with pytest.raises(UserError, match="holds no checkpoint of step 3; there are 1, 2"):
        store.restore({"agent": agent()}, step=3)
    assert store.restore({"agent": agent()}, step=1).step == 1
    with pytest.raises(UserError, match="keep is 0"):
        Checkpoints(tmp_path, keep=0)


def test_the_newest_stay_and_going_back_removes_later_ones(tmp_path):
    store = saved(tmp_path, 5, 10, 1_000_000, keep=2)
    assert store.steps() == (10, 1_000_000)
    store.save(10, {"agent": agent(-1)}, {"again": True})
    found = store.restore({"agent": agent()})
    assert store.steps() == (10,) and found.notes == {"again": True}
    assert bits(found.items["agent"]) == bits(agent(-1))
    assert os.listdir(tmp_path) == ["000010"]


@pytest.mark.parametrize("where", ["write_arrays", "describe_files", "write_manifest", "sync"])
def test_a_full_disk_costs_nothing_but_the_new_one(tmp_path, monkeypatch, where):
    store = saved(tmp_path, 1)

    def full(*args):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(stores, where, full)
    with pytest.raises(UserError, match=r"000002: cannot be written \(No space left on device\)"):
        store.save(2, {"agent": agent(2)}, {})
    assert os.listdir(tmp_path) == ["000001"] and store.restore({"agent": agent()}).step == 1


def test_a_place_that_cannot_be_written_and_notes_that_cannot(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="cannot be written"):
        Checkpoints(tmp_path / "file" / "checkpoints").save(1, {"agent": agent()}, {})
    with pytest.raises(ValueError, match="notes.loss is nan"):
        Checkpoints(tmp_path).save(1, {"agent": agent()}, {"loss": float("nan")})
    with pytest.raises(TypeError, match="a leaf is a float"):
        Checkpoints(tmp_path).save(1, {"agent": {"x": 1.0}}, {})
    assert os.listdir(tmp_path) == ["file"]


SAVE_FOR_EVER = """
import sys, jax.numpy as jnp
from pathlib import Path
from ddsprl.io.checkpoints import Checkpoints
store = Checkpoints(Path(sys.argv[1]))
for step in range(1, 1000):
    store.save(step, {"x": {str(i): jnp.full(50_000, float(step)) for i in range(20)}}, {"step": step})
    print(step, flush=True)
"""


def test_killed_while_saving(tmp_path):
    command = [sys.executable, "-c", SAVE_FOR_EVER, str(tmp_path)]
    child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert child.stdout is not None
    assert child.stdout.readline() == "1\n"
    deadline = time.monotonic() + 60.0
    # In the middle of a save: something of it is there, its manifest is not.
    while not any(path.glob("x*") for path in tmp_path.glob(".*.partial")):
        assert time.monotonic() < deadline
    child.send_signal(signal.SIGKILL)
    assert child.communicate()[1] == ""
    store = Checkpoints(tmp_path)
    like = {"x": {str(i): jnp.zeros(50_000) for i in range(20)}}
    found = store.restore(like)
    assert found.damaged == () and found.notes == {"step": found.step}
    assert all(jnp.all(x == found.step) for x in jax.tree.leaves(found.items))
    (tmp_path / ".000099.0.partial").mkdir()
    store.save(found.step + 1, like, {})
    assert {path.name for path in tmp_path.iterdir()} == {f"{found.step + i:06d}" for i in (0, 1)}


def test_nothing_on_disk_is_code(tmp_path):
    saved(tmp_path, 1)
    assert json.loads((tmp_path / "000001" / "manifest.json").read_text())["content"]["step"] == 1
    assert not [path for path in tmp_path.rglob("*") if path.suffix in {".pkl", ".pickle"}]
