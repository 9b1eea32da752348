"""Many files: a bad one is left out, a run goes on where it was killed, and other options are refused."""

import json
import os
import re
import shutil
import signal
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile

from ddsprl import match
from ddsprl.fitting.findings.topk import AUDIBLE_DB, LEAST_KNOBS
from ddsprl.matching.stored import StoredFindings
from synth_jax import load_preset

RATE, NAMES = 8_000, ("a", "b", "c", "d")
OPTIONS = ("--method", "random", "--start", "random", "--budget", "576", "--sample-rate", "8000")
OPTIONS += ("--max-seconds", "0.25", "--midi", "60", "--seed", "3")


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """Four decaying tones, and a file between them that is no audio."""
    place = tmp_path_factory.mktemp("sounds")
    t = np.arange(1_800) / RATE
    for name, pitch_hz in zip(NAMES, (220, 262, 330, 440), strict=True):
        tone = 0.4 * np.sin(2 * np.pi * pitch_hz * t) * np.exp(-9 * t) * np.minimum(1, 200 * t)
        soundfile.write(place / f"{name}.wav", tone, RATE)
    (place / "broken.wav").write_text("this is no audio")
    return place


@pytest.fixture(scope="module")
def whole(start, folder, tmp_path_factory) -> tuple[Path, subprocess.CompletedProcess]:
    """A run that nobody disturbs."""
    out = tmp_path_factory.mktemp("whole") / "out"
    process = start(folder, "--out", out, *OPTIONS, "--top", "3")
    stdout, stderr = process.communicate(timeout=280)
    return out, subprocess.CompletedProcess(process.args, process.returncode, stdout, stderr)


def head(out: Path) -> dict:
    return json.loads((out / "manifest.json").read_text())


def entries(out: Path) -> list[dict]:
    return [json.loads(line) for line in (out / "manifest.jsonl").read_text().splitlines()]


def findings(out: Path, name: str) -> dict:
    """What must not depend on when, where or beside whom a target was matched."""
    result = json.loads((out / name / "result.json").read_text())
    for varying in ("seconds", "run", "library_renders"):
        del result[varying]
    presets = {path.name: path.read_text() for path in (out / name).glob("preset*.json")}
    return {
        **result,
        "files": presets,
        "sound": soundfile.read(out / name / "match.wav", dtype="float32")[0].tolist(),
    }


def stamps(folder: Path) -> dict[str, int]:
    return {str(path): path.stat().st_mtime_ns for path in folder.rglob("*")}


def test_a_bad_file_is_left_out_and_the_rest_is_matched(whole, folder):
    out, done = whole
    assert done.returncode == 1, done.stderr
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("error: 1 of 5 targets could not be matched")
    assert "Traceback" not in done.stderr
    assert sum("broken.wav" in line for line in done.stderr.splitlines()) == 1
    assert sorted(path.name for path in out.iterdir()) == [*NAMES, "manifest.json", "manifest.jsonl"]


def test_the_manifest_says_what_was_done_with_what(whole, folder):
    out, _ = whole
    record = head(out)
    assert record["options"]["method"] == "random"
    assert record["options"]["budget"] == 576
    assert record["targets"] == {"done": 4, "partial": 0, "failed": 1}
    assert {"ddsprl", "jax", "numpy", "python"} <= set(record["versions"])
    session = record["sessions"][0]
    assert session["targets"] == 4
    assert session["after_first_groups"]["targets"] == 3
    assert session["targets_per_minute"] > 0 < session["renders_per_s"]
    assert 0 <= session["outside_share"] <= 1
    by_name = {entry["name"]: entry for entry in entries(out)}
    assert set(by_name) == {*NAMES, "broken"}
    assert "is not audio" in by_name["broken"]["reason"]
    assert by_name["a"]["bytes"] == (folder / "a.wav").stat().st_size
    assert by_name["a"]["sha256"] != by_name["b"]["sha256"]


def test_throughput_is_said_at_the_end(whole):
    line = whole[1].stdout.splitlines()[-1]
    assert "targets a minute" in line
    assert "renders a second" in line
    assert "outside compiled programs" in line


def test_the_best_distinct_presets_are_written(whole):
    for name in NAMES:
        place = whole[0] / name
        result = json.loads((place / "result.json").read_text())
        files = [preset["file"] for preset in result["presets"]]
        assert files == ["preset.json", "preset_2.json", "preset_3.json"][: len(files)]
        assert sorted(path.name for path in place.glob("preset*")) == sorted(files)
        losses = [preset["loss"] for preset in result["presets"]]
        assert losses == sorted(losses)
        assert losses[0] == result["loss"]
        assert result["distinct"]["least_sound_db"] >= AUDIBLE_DB
        knobs = np.stack([load_preset(place / file).to_unit() for file in files])
        for i in range(len(files)):
            for j in range(i):
                assert np.sqrt(np.mean((knobs[i] - knobs[j]) ** 2)) >= 0.99 * LEAST_KNOBS
        # Three searches, and what was heard of their finalists.
        assert (result["renders"], result["gradients"], result["judge_renders"]) == (3 * 576, 0, 3 * 72)
        assert result["analysis_renders"] == 51 + 3 * 9
    assert max(len(list((whole[0] / name).glob("preset*"))) for name in NAMES) == 3


def test_a_finished_run_is_left_alone(start, whole, folder):
    before = stamps(whole[0] / "a") | stamps(whole[0] / "d")
    process = start(folder, "--out", whole[0], *OPTIONS, "--top", "3")
    _, stderr = process.communicate(timeout=100)
    assert process.returncode == 1  # the bad file is still bad
    assert "best loss" not in stderr
    assert before == stamps(whole[0] / "a") | stamps(whole[0] / "d")
    assert len(head(whole[0])["sessions"]) == 2


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        (("--budget", "577"), "budget 576, asked for is 577"),
        (("--seed", "4"), "seed 3, asked for is 4"),
        (("--start", "neutral"), 'start "random", asked for is "neutral"'),
        (("--lock", "filter_cutoff=800"), 'lock [], asked for is ["filter_cutoff=800"]'),
    ],
)
def test_other_options_are_refused_by_name(capsys, whole, folder, changed, named):
    before = stamps(whole[0])
    code = match.main([str(folder), "--out", str(whole[0]), *OPTIONS, "--top", "3", *changed])
    line = capsys.readouterr().err
    assert code == 2
    assert named in line
    assert len(line.splitlines()) == 1
    assert stamps(whole[0]) == before


def test_a_result_of_somebody_else_is_refused(capsys, tmp_path, folder):
    (tmp_path / "c").mkdir()
    (tmp_path / "c" / "precious.txt").write_text("precious")
    assert match.main([str(folder), "--out", str(tmp_path), *OPTIONS]) == 2
    assert "exists already" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["c"]


@pytest.mark.slow
def test_killed_and_continued_only_what_was_searched_for_is_lost(start, whole, folder, tmp_path):
    """Killed when something is found and nothing drawn; `benchmarks/batch_match.py` kills at any moment."""
    out = tmp_path / "out"
    process = start(folder, "--out", out, *OPTIONS, "--top", "3")
    until = time.monotonic() + 200
    while not list(out.glob(".findings/[!.]*.npz")):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < until
        time.sleep(0.001)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    finished = [name for name in NAMES if (out / name).exists()]
    stored = StoredFindings(out, head(out)["run"]).found()
    searched = {finding.name for kept in stored for finding in kept.findings} | set(finished)
    before = [stamps(out / name) for name in finished]
    assert 1 <= len(searched) < 4
    with (out / "manifest.jsonl").open("ab") as file:
        file.write(b'{"name": "torn')
    process = start(folder, "--out", out, *OPTIONS, "--top", "3")
    _, stderr = process.communicate(timeout=200)
    assert process.returncode == 1, stderr
    # What was found before the end is not searched for again, whether it was drawn or not.
    again = set(re.findall(r"/\d ([a-d]): \d+/", stderr))
    assert again == set(NAMES) - searched, stderr
    assert [stamps(out / name) for name in finished] == before
    assert sorted(path.name for path in out.iterdir()) == sorted(p.name for p in whole[0].iterdir())
    for name in NAMES:
        assert findings(out, name) == findings(whole[0], name), name
    done = [entry["name"] for entry in entries(out) if entry["status"] == "done"]
    assert sorted(done) == list(NAMES)


@pytest.mark.slow
def test_what_was_cut_short_is_done_again_and_what_was_not_listed_is_known(start, whole, folder, tmp_path):
    out = tmp_path / "out"
    shutil.copytree(whole[0], out)
    rows = entries(out)
    kept = [row | {"status": "partial"} if row["name"] == "b" else row for row in rows if row["name"] != "c"]
    (out / "manifest.jsonl").write_text("".join(json.dumps(row) + "\n" for row in kept))
    before = {name: stamps(out / name) for name in NAMES}
    process = start(folder, "--out", out, *OPTIONS, "--top", "3")
    _, stderr = process.communicate(timeout=200)
    assert process.returncode == 1, stderr
    assert [name for name in NAMES if stamps(out / name) != before[name]] == ["b"]
    assert findings(out, "b") == findings(whole[0], "b")
    assert {row["name"]: row["status"] for row in entries(out) if row["name"] in "bc"} == {
        "b": "done",
        "c": "done",
    }
