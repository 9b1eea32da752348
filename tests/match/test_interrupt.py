"""Ctrl-C keeps the best so far; a second one stops at once and leaves nothing half-written."""

import json
import signal
import time
from pathlib import Path

import pytest

from ddsprl.fitting.core.budget import GRADIENT_COST

TARGETS = Path(__file__).resolve().parents[1] / "data" / "targets"
# Same rate and length as in the other runs, so that compiled code is shared; more than can be done.
LONG = ("--sample-rate", "8000", "--max-seconds", "0.25", "--midi", "67", "--budget", "5000000")


def first_line(process) -> str:
    """The first line of progress, printed after the first iterations."""
    for line in process.stderr:
        if "best loss" in line:
            return line
    raise AssertionError("the run ended before its first iteration")


@pytest.fixture(autouse=True)
def compiled_before(matched):
    """These runs wait for the first iterations; with the code compiled they wait for nothing else."""
    assert matched[1].returncode == 0, matched[1].stderr


def test_the_best_so_far_is_written(start, tmp_path):
    out = tmp_path / "out"
    process = start(TARGETS / "gm_trumpet_67.wav", TARGETS / "gm_piano_60.wav", "--out", out, *LONG)
    assert "1/" in first_line(process)
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=120)
    assert process.returncode == 130, stderr
    assert "interrupted: 1 of 2 targets" in stderr
    assert "Traceback" not in stderr
    assert sorted(path.name for path in out.iterdir()) == ["gm_trumpet_67", "manifest.json", "manifest.jsonl"]
    # Not finished: the same command would match it again, from the beginning.
    assert json.loads((out / "manifest.jsonl").read_text())["status"] == "partial"
    folder = out / "gm_trumpet_67"
    assert len(list(folder.iterdir())) == 5
    result = json.loads((folder / "result.json").read_text())
    assert result["renders"] + GRADIENT_COST * result["gradients"] < 1_000_000
    assert result["loss"] > 0
    assert result["interrupted"]


def test_a_second_one_stops_at_once(start, tmp_path):
    out = tmp_path / "out"
    process = start(TARGETS / "gm_trumpet_67.wav", "--out", out, *LONG)
    first_line(process)
    process.send_signal(signal.SIGINT)
    time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == 130, stderr
    assert "Traceback" not in stderr
    assert not list(out.rglob("*"))
