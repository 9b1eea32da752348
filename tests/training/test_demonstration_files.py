"""Files of demonstrations: what was saved comes back, and what is damaged or of something else is refused."""

import io
import json
import zipfile

import jax
import numpy as np
import pytest

from ddsprl.io import UserError
from ddsprl.training.demonstrations.files import load_demonstrations, save_demonstrations
from tests.training.warm import made, recorded


def test_a_file_gives_back_what_was_saved(tmp_path):
    demos, m, path = recorded(), made(), tmp_path / "demos.npz"
    save_demonstrations(path, demos)
    again = load_demonstrations(path, env=m.env, params=m.params)
    pairs = zip(
        jax.tree.leaves((demos.rows, demos.labels)), jax.tree.leaves((again.rows, again.labels)), strict=True
    )
    for a, b in pairs:
        assert (a.dtype, a.shape) == (b.dtype, b.shape)
        np.testing.assert_array_equal(a, b)
    np.testing.assert_array_equal(again.episode, demos.episode)
    assert again.about == demos.about
    assert [entry.name for entry in tmp_path.iterdir()] == ["demos.npz"]


def rewritten(source, destination, /, **changes):
    """A copy of a file with some arrays, or fields of its header, changed; None removes one."""
    with np.load(source, allow_pickle=False) as stored:
        arrays = {name: stored[name] for name in stored.files}
    header = json.loads(arrays["about"].tobytes().decode())
    for name, value in changes.items():
        place = header if name in header else arrays
        place[name] = value
    arrays["about"] = np.frombuffer(json.dumps(header).encode(), np.uint8)
    np.savez(destination, **{name: x for name, x in arrays.items() if x is not None})


def test_files_that_cannot_be_used_are_refused_in_one_line(tmp_path):
    demos, m, path, bad = recorded(), made(), tmp_path / "demos.npz", tmp_path / "bad.npz"
    save_demonstrations(path, demos)
    delta, setup = demos.rows.delta, demos.about.setup
    assert demos.rows.target is not None
    wrong = [
        ({"format": "something"}, "format is 'something'"),
        ({"version": 99}, "version is 99"),
        ({"solver": 3}, "solver is 3"),
        ({"instrument": "serum_lite"}, "instrument is \"serum_lite\", here it is \"toy\""),
        ({"table": "0"}, "table is"),
        ({"setup": setup | {"delta_max": 0.1}}, "delta_max is 0.1"),
        ({"rest": ["knobs"]}, "rest is"),
        ({"reward": None}, "array reward is missing"),
        ({"extra": delta}, "array extra is not expected"),
        ({"delta": delta[:-1]}, "array delta is float32"),
        ({"delta": delta.astype(np.float64)}, "array delta is float64"),
        ({"delta": 3.0 * delta}, "beyond -1 to 1"),
        ({"reward": np.full_like(demos.rows.reward, np.nan)}, "not finite"),
        ({"label_module": np.full_like(demos.labels.module, 4)}, "none of 0 to 3"),
        ({"episode": np.zeros_like(demos.episode)}, "episode"),
        ({"target": demos.rows.target[:, :, :-1]}, "array away is"),
    ]  # fmt: skip
    for changes, words in wrong:
        rewritten(path, bad, **changes)
        with pytest.raises(UserError, match=words) as caught:
            load_demonstrations(bad, env=m.env, params=m.params)
        assert "\n" not in str(caught.value)
        assert "bad.npz" in str(caught.value)


def test_knobs_that_are_locked_now_are_refused(tmp_path):
    m, path = made(), tmp_path / "demos.npz"
    save_demonstrations(path, recorded())
    narrow = m.params._replace(free=m.params.free.at[m.index("tilt")].set(0.0))
    with pytest.raises(UserError, match="tilt, which is locked here"):
        load_demonstrations(path, env=m.env, params=narrow)


def test_damaged_files_are_refused(tmp_path):
    m, path, bad = made(), tmp_path / "demos.npz", tmp_path / "bad.npz"
    save_demonstrations(path, recorded())
    whole = path.read_bytes()
    claim = io.BytesIO()
    with zipfile.ZipFile(claim, "w") as file, zipfile.ZipFile(path) as stored:
        for name in stored.namelist():
            content = stored.read(name)
            if name == "reward.npy":
                shape = f"({recorded().count},)".encode()
                content = content.replace(shape, b"(" + b"9" * (len(shape) - 3) + b",)")
            file.writestr(name, content)
    flipped = bytearray(whole)
    flipped[len(whole) // 2] ^= 0xFF
    for damage in (
        b"",
        b"no archive",
        whole[:-100],
        whole[: len(whole) // 2],
        bytes(flipped),
        claim.getvalue(),
    ):
        bad.write_bytes(damage)
        with pytest.raises(UserError) as caught:
            load_demonstrations(bad, env=m.env, params=m.params)
        assert "\n" not in str(caught.value)
    with pytest.raises(UserError, match="cannot be read"):
        load_demonstrations(tmp_path / "missing.npz", env=m.env, params=m.params)
