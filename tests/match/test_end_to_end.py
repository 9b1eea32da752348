"""The main job, once as a user runs it: the five files, and that they agree with each other."""

import json
from pathlib import Path

import jax
import numpy as np
import pytest
import soundfile
from matplotlib.image import imread

from ddsprl.fitting.core.budget import GRADIENT_COST
from ddsprl.io import load_audio
from ddsprl.losses.objective import Objective, ObjectiveConfig
from ddsprl.plant import make_instrument
from synth_jax import load_preset

TRUMPET = Path(__file__).resolve().parents[1] / "data" / "targets" / "gm_trumpet_67.wav"
FILES = ["match.wav", "preset.json", "report.png", "result.json", "target.wav"]
NUMBERS = "loss relaxed_loss yardstick midi gate_s renders gradients seconds seed library_renders duration_s"


def strict(text: str):
    def refuse(name):
        raise AssertionError(f"{name} is not JSON")

    return json.loads(text, parse_constant=refuse)


@pytest.fixture(scope="module")
def folder(matched):
    out, done = matched
    assert done.returncode == 0, done.stderr
    return out / "gm_trumpet_67"


@pytest.fixture(scope="module")
def result(folder) -> dict:
    return strict((folder / "result.json").read_text())


def test_five_files_are_there_and_nothing_else(matched, folder):
    out, done = matched
    assert sorted(path.name for path in folder.iterdir()) == FILES
    assert [path.name for path in out.iterdir()] == ["gm_trumpet_67"]
    assert "best loss" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_numbers_are_named_and_add_up(result, folder):
    for name in NUMBERS.split():
        assert isinstance(result[name], int | float), name
    assert result["loss"] == pytest.approx(sum(result["terms"].values()), rel=1e-3)
    assert result["renders"] + GRADIENT_COST * result["gradients"] <= 400
    assert result["renders"] > 0 < result["gradients"]
    assert (result["midi"], result["seed"], result["sample_rate"]) == (67.0, 5, 8000)
    assert 0 < result["gate_s"] <= result["duration_s"] == 0.25
    assert (result["library_renders"], result["pitch_renders"]) == (0, 0)
    assert {"ddsprl", "jax", "numpy", "python"} <= set(result["versions"])
    assert result["random_reference"]["count"] == 512
    assert min(result["curve"]["loss"]) >= 0
    assert set(result["monitor"]["verdict"]) <= {"stable", "plateau", "diverging"}
    assert {"failures", "restored", "backed_off"} <= set(result["counts"])


def test_which_knobs_matter_and_whether_it_is_within_reach(result):
    rises = result["sensitivity"]["rise"]
    assert len(rises) == 25
    assert rises["filter_cutoff"] == rises["osc1_unison"] == 0.0  # locked
    assert max(rises.values()) > 0.01
    assert result["analysis_renders"] == 51
    reach = result["reach"]
    assert 0 < reach["false_alarm"] <= 1
    assert reach["verdict"] in reach["sentence"]
    assert not reach["applies"]
    assert "16,000 Hz, not 8,000" in reach["differs"]
    assert "0 locked knobs, not 2" in reach["differs"]
    assert result["posterior"] is None


def test_the_match_is_better_than_random(result):
    assert result["loss"] < result["random_reference"]["loss"]


def test_the_preset_gives_the_match(result, folder):
    preset = load_preset(folder / "preset.json")
    assert preset.note is not None
    assert (preset.note.midi, preset.note.gate_s) == (result["midi"], pytest.approx(result["gate_s"]))
    synth = make_instrument("serum_lite", 8_000, 0.25)
    sound = jax.jit(synth.render)(preset.to_unit(), preset.note, jax.random.key(77))
    match, rate = soundfile.read(folder / "match.wav", dtype="float32")
    assert (rate, match.shape) == (8_000, (2_000,))
    objective = Objective(ObjectiveConfig(), 8_000)
    distance = jax.jit(lambda a, b: objective(a, objective.prepare(b)).total)
    target = soundfile.read(folder / "target.wav", dtype="float32")[0]
    # Another noise key: nearly the same sound, and the loss that is reported.
    assert float(distance(sound, match)) < 0.5 * result["loss"]
    assert float(distance(sound, target)) == pytest.approx(result["loss"], rel=0.1)
    assert float(distance(match, target)) == pytest.approx(result["loss"], rel=0.1)


def test_the_target_is_the_recording_from_its_onset(folder, result):
    target, rate = soundfile.read(folder / "target.wav", dtype="float32")
    recording = load_audio(TRUMPET, sample_rate=rate).samples
    assert target.shape == (2_000,)
    onset = round(result["onset_s"] * rate)
    np.testing.assert_allclose(target[:1_900], recording[onset : onset + 1_900], atol=1e-6)


def test_locked_knobs_are_in_the_preset(result, folder):
    values = load_preset(folder / "preset.json").values
    assert values["filter_cutoff"] == pytest.approx(800.0, rel=1e-5)
    assert values["osc1_unison"] == 3
    assert sorted(result["locked"]) == ["filter_cutoff", "osc1_unison"]


def test_the_report_is_a_picture(folder):
    assert imread(folder / "report.png").shape[:2] == (1160, 1600)


def test_a_second_run_refuses_and_leaves_everything(start, folder):
    before = {path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in folder.iterdir()}
    process = start(TRUMPET, "--out", folder.parent)
    stdout, stderr = process.communicate(timeout=100)
    assert process.returncode == 2
    assert len(stderr.strip().splitlines()) == 1
    assert "exists already" in stderr
    assert not stdout
    after = {path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in folder.iterdir()}
    assert after == before
