"""Run directories: numbered and never overwritten, opened with errors at the door, written by one process."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import jax
import pytest

from ddsprl.io import UserError
from ddsprl.io.runs import new_run, open_run, runs_in


@dataclass(frozen=True)
class Settings:
    rate: float = 0.5
    sizes: tuple[int, ...] = (64, 44)
    place: Path = Path("a")


def made(parent, name="quick"):
    return new_run(parent, name, config=Settings(), seed=3, command=["train", "--seed", "3"], source="abc")


def test_a_new_run_says_how_it_was_made(tmp_path):
    run = made(tmp_path / "runs")
    assert run.path == tmp_path / "runs" / "quick-001" and os.listdir(run.path) == ["config.json"]
    record = json.loads((run.path / "config.json").read_text())
    assert record == run.record == open_run(run.path).record
    assert run.config == {"rate": 0.5, "sizes": [64, 44], "place": "a"}
    assert (record["seed"], record["command"], record["source"]) == (3, ["train", "--seed", "3"], "abc")
    assert record["versions"]["jax"] == jax.__version__ and "orbax-checkpoint" in record["versions"]
    assert run.checkpoints.parent == run.audio.parent == run.path and run.changed_versions() == {}


def test_nothing_is_overwritten(tmp_path):
    assert [made(tmp_path).path.name for _ in range(2)] == ["quick-001", "quick-002"]
    (tmp_path / "quick-0041").touch()
    (tmp_path / "quick-best-099").mkdir()
    assert made(tmp_path).path.name == "quick-042"
    assert made(tmp_path, "quick-best").path.name == "quick-best-100"


@pytest.mark.parametrize("name", ["", "a/b", "..", "a b", ".hidden", "x" * 200])
def test_names_are_file_names(tmp_path, name):
    with pytest.raises(UserError, match="name "):
        made(tmp_path, name)
    assert not list(tmp_path.iterdir())


def test_a_place_where_none_can_be_made(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="a run cannot be made in it"):
        made(tmp_path / "file")


def test_what_is_no_run_is_told(tmp_path):
    run = made(tmp_path)
    for path, message in (
        (tmp_path / "quick-01", r"no such run; did you mean 'quick-001'"),
        (tmp_path, r"is not a run, it has no config.json; runs in it: quick-001"),
        (run.path / "config.json", "is a file"),
    ):
        with pytest.raises(UserError, match=message):
            open_run(path)
    config = run.path / "config.json"
    for text, message in (
        ("{", "cannot be read"),
        ("[]", "is not an object"),
        ('{"format": 1, "name": "x", "config": {}, "versions": {}}', "seed is missing or no int"),
        (config.read_text().replace('"format": 1', '"format": 2'), "is of format 2, this program reads 1"),
    ):
        config.write_text(text)
        with pytest.raises(UserError, match=message):
            open_run(run.path)


def test_other_versions_are_told(tmp_path):
    run = made(tmp_path)
    path = run.path / "config.json"
    path.write_text(path.read_text().replace(f'"jax": "{jax.__version__}"', '"jax": "0.0.1"'))
    assert open_run(run.path).changed_versions() == {"jax": ("0.0.1", jax.__version__)}


def test_settings_changed_on_the_way_are_kept_beside_those_before(tmp_path):
    run = made(tmp_path)
    text = (run.path / "config.json").read_text()
    same = run.go_on(run.config, ["train", "--resume", "x"])
    assert same is run and (run.path / "config.json").read_text() == text
    longer = run.go_on({**run.config, "rate": 0.25}, ["train", "--rate", "0.25"])
    assert longer == open_run(run.path)
    assert (longer.config["rate"], longer.record["command"]) == (0.25, run.record["command"])
    assert longer.record["changes"] == [{"command": ["train", "--rate", "0.25"], "before": run.config}]
    back = longer.go_on(run.config, ["train", "--rate", "0.5"])
    assert back.config == run.config and len(back.record["changes"]) == 2


def test_other_code_is_told(tmp_path):
    run = made(tmp_path)
    assert run.changed_source("abcd") and not run.changed_source("abc")
    unknown = new_run(tmp_path, "old", config={}, seed=0, command=[])
    assert not unknown.changed_source("abc")


def test_runs_are_listed_by_age(tmp_path):
    for name in ("b", "a"):
        run = made(tmp_path, name)
        os.utime(run.path / "config.json", (1_000 + len(runs_in(tmp_path)), 1_000 + len(runs_in(tmp_path))))
    assert runs_in(tmp_path) == ["b-001", "a-001"] and runs_in(tmp_path / "none") == []


HOLD = """
import fcntl, sys, time
with open(sys.argv[1], "w") as file:
    fcntl.flock(file, fcntl.LOCK_EX)
    print("4711", file=file, flush=True)
    print("held", flush=True)
    time.sleep(60.0)
"""


def test_one_process_writes_and_a_killed_one_lets_go(tmp_path):
    run = made(tmp_path)
    command = [sys.executable, "-c", HOLD, str(run.path / ".writing")]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None and child.stdout.readline() == b"held\n"
        with pytest.raises(UserError, match=r"is being written by another process \(4711\)"), run.held():
            pass
        child.kill()
    with run.held(), pytest.raises(UserError, match=f"process .{os.getpid()}."), open_run(run.path).held():
        pass
    with run.held():
        pass
