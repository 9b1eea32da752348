"""Result directories: refused early, never half written, JSON without NaN."""

import json
import os
import platform
from pathlib import Path

import numpy as np
import pytest

from ddsprl.io import UserError, ensure_output, output, staged_directory, versions, write_json


def test_ensure_output_accepts_new_and_empty_and_creates_nothing(tmp_path):
    (tmp_path / "empty").mkdir()
    assert ensure_output(tmp_path / "new" / "deeper") == tmp_path / "new" / "deeper"
    assert ensure_output(tmp_path / "empty") == tmp_path / "empty"
    assert [path.name for path in tmp_path.iterdir()] == ["empty"]


def test_ensure_output_refuses_what_exists(tmp_path):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "result.json").write_text("{}")
    (tmp_path / "file").write_text("precious")
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    for name in ("full", "file", "dangling"):
        with pytest.raises(UserError, match=f"{name}: exists already"):
            ensure_output(tmp_path / name)
        assert ensure_output(tmp_path / name, overwrite=True) == tmp_path / name
    assert (tmp_path / "file").read_text() == "precious"


def test_ensure_output_refuses_what_cannot_be_written(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="out: "):
        ensure_output(tmp_path / "file" / "out")
    with pytest.raises(UserError, match="cannot be used for output"):
        ensure_output(tmp_path / ("x" * 300))
    # By permission; told by the system's answer, because root may write anywhere.
    monkeypatch.setattr(output.os, "access", lambda path, mode: Path(path) != tmp_path)
    with pytest.raises(UserError, match=r"out: cannot be written, no permission to write in"):
        ensure_output(tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_write_json_is_sorted_indented_and_plain(tmp_path):
    path = tmp_path / "a.json"
    value = {"b": np.float32(0.5), "a": (1, None, True), "c": {"x": np.arange(2)}, "path": Path("é.wav")}
    write_json(path, value)
    text = path.read_text(encoding="utf-8")
    assert text.startswith('{\n  "a": [\n    1,') and text.endswith("}\n")
    assert json.loads(text) == {"a": [1, None, True], "b": 0.5, "c": {"x": [0, 1]}, "path": "é.wav"}
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("value", "error", "message"),
    [
        ({"terms": {"mfcc": float("nan")}}, ValueError, "terms.mfcc is nan"),
        ({"losses": [1.0, np.float32("inf")]}, ValueError, r"losses\[1\] is inf"),
        (np.array([1.0, np.nan]), ValueError, r"\[1\] is nan"),
        ({"x": object()}, TypeError, "x is a object"),
    ],
)
def test_write_json_refuses_and_keeps_the_old_file(tmp_path, value, error, message):
    path = tmp_path / "a.json"
    write_json(path, {"old": 1})
    with pytest.raises(error, match=message):
        write_json(path, value)
    assert json.loads(path.read_text()) == {"old": 1}
    assert list(tmp_path.iterdir()) == [path]


def test_versions_are_the_installed_ones():
    found = versions()
    assert found["python"] == platform.python_version()
    assert found["numpy"] == np.__version__
    assert {"ddsprl", "jax", "jaxlib", "platform", "machine"} <= set(found)
    assert all(isinstance(value, str) and value for value in found.values())


def test_staged_directory_appears_only_when_complete(tmp_path):
    final = tmp_path / "out" / "kick"
    with staged_directory(final) as staged:
        assert staged.parent == final.parent
        (staged / "a.txt").write_text("a")
        assert not final.exists()
    assert [path.name for path in final.iterdir()] == ["a.txt"]
    assert list(final.parent.iterdir()) == [final]
    umask = os.umask(0)
    os.umask(umask)
    assert final.stat().st_mode & 0o777 == 0o777 & ~umask


@pytest.mark.parametrize("failure", [ValueError, KeyboardInterrupt])
def test_staged_directory_failing_midway_leaves_nothing(tmp_path, failure):
    final = tmp_path / "kick"
    with pytest.raises(failure), staged_directory(final) as staged:
        (staged / "a.txt").write_text("a")
        raise failure
    assert list(tmp_path.iterdir()) == []


def test_staged_directory_never_replaces_unasked(tmp_path):
    final = tmp_path / "kick"
    final.mkdir()
    (final / "old.txt").write_text("old")
    with pytest.raises(UserError, match="exists already"), staged_directory(final):
        pytest.fail("no work may be done")
    final2 = tmp_path / "snare"
    with pytest.raises(UserError, match="snare: exists already"), staged_directory(final2) as staged:
        (staged / "mine.txt").touch()
        final2.mkdir()
        (final2 / "theirs.txt").touch()
    assert sorted(p.relative_to(tmp_path).as_posix() for p in tmp_path.rglob("*.txt")) == [
        "kick/old.txt",
        "snare/theirs.txt",
    ]
    assert len(list(tmp_path.iterdir())) == 2


def test_staged_directory_overwrites_when_asked_and_only_on_success(tmp_path):
    final = tmp_path / "kick"
    final.mkdir()
    (final / "old.txt").write_text("old")
    with pytest.raises(ValueError, match="midway"), staged_directory(final, overwrite=True):
        raise ValueError("midway")
    assert [path.name for path in final.iterdir()] == ["old.txt"]
    with staged_directory(final, overwrite=True) as staged:
        (staged / "new.txt").touch()
    assert [path.name for path in final.iterdir()] == ["new.txt"]
    assert list(tmp_path.iterdir()) == [final]


def test_staged_directory_puts_the_old_one_back_if_the_rename_fails(tmp_path, monkeypatch):
    final = tmp_path / "kick"
    final.mkdir()
    (final / "old.txt").touch()
    rename, calls = os.rename, []

    def second_fails(source, destination):
        calls.append(source)
        if len(calls) == 2:
            raise OSError(5, "Input/output error")
        rename(source, destination)

    monkeypatch.setattr(output.os, "rename", second_fails)
    with (
        pytest.raises(UserError, match="kick: cannot be put in place"),
        staged_directory(final, overwrite=True),
    ):
        pass
    assert [path.name for path in final.iterdir()] == ["old.txt"]
    assert list(tmp_path.iterdir()) == [final]


def test_staged_directory_below_a_file(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="out: "), staged_directory(tmp_path / "file" / "out"):
        pytest.fail("no work may be done")
