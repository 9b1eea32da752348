"""The commands play another instrument than the default one, of which nothing is known."""

import json

import jax
import numpy as np
import pytest

import ddsprl
import ddsprl.compare
import ddsprl.match
import ddsprl.train
from ddsprl.training.restore import load_agent
from synth_jax import Note, load_preset, sine
from tests.match.conftest import TRUMPET

NOTE = Note(60.0, 0.05, 1.0)
COMPARE = """
defaults: {suite: random, targets: 2, seeds: 1, budgets: [64], sample_rate: 8000, seconds: 0.1, players: 1}
methods:
  - {label: random, solver: random, start: random, count: 16, settings: {population: 8}}
  - {label: guessed, solver: random, start: guess, count: 16, settings: {population: 8}}
"""
TRAIN = """
agent: {network: {width: 8, blocks: 1, patch_features: 4, patch_summary: 2}, batch: 8, capacity: 256}
env: {instrument: sine, sample_rate: 8000, duration_s: 0.125, steps: 6, bucket: 8, epsilon: 0.5,
  history: false, objective: {terms: [mr, loud], n_ffts: [256], mel_n_fft: 256}}
loop: {n_envs: 4, iterations: 12, learn_after: 12, chunk: 3}
warm: {demonstrations: 2, solver: cma_es, budget: 64, clone_steps: 2, clone_batch: 8}
curriculum: {evaluate_every: 6, evaluate_episodes: 4, threshold: 100.0, evaluate_all: true}
log: {name: sine, every: 3, checkpoint_every: 12, tensorboard: false, snapshots_every: 12}
"""


def test_a_match(tmp_path):
    small = ["--sample-rate", "8000", "--max-seconds", "0.25", "--budget", "64", "--quiet", "--no-report"]
    out = tmp_path / "out"
    assert ddsprl.match.main([str(TRUMPET), "--out", str(out), "--instrument", "sine", *small]) == 0
    result = json.loads((out / TRUMPET.stem / "result.json").read_text())
    assert (result["instrument"], result["start"]) == ("sine", "best")
    assert result["start_note"] == "no guess is trained for sine"
    assert result["reach"]["verdict"] == "reach unknown" and not result["reach"]["applies"]
    preset = load_preset(out / TRUMPET.stem / "preset.json")
    assert preset.instrument == "sine" and set(preset.values) == {"frequency", "level"}


def test_a_match_with_an_unknown_instrument(tmp_path, capsys):
    out = tmp_path / "out"
    assert ddsprl.match.main([str(TRUMPET), "--out", str(out), "--instrument", "snie"]) != 0
    assert "--instrument is 'snie'; did you mean 'sine'?" in capsys.readouterr().err
    assert not out.exists()


def test_an_inversion_in_memory():
    """Of the positions that are given, one is nearly the sound's own: it is kept."""
    synth = sine(8_000, 0.1)
    u = np.array([0.5, 0.8], np.float32)
    sounds = np.asarray(synth.render(jax.numpy.asarray(u), NOTE, jax.random.key(0)))[None]
    near = np.array([[0.1, 0.9], [0.5, 0.79], [0.9, 0.2]], np.float32)
    settings = {"midi": 60.0, "gate_s": 0.05, "budget": 67, "key": jax.random.key(1), "given": near}
    found = ddsprl.invert(sounds, 8_000, instrument="sine", method="random", **settings)
    assert found.u.shape == (1, 2)
    np.testing.assert_allclose(found.u[0], u, atol=0.02)
    with pytest.raises(ValueError, match="no instrument 'snie'; did you mean 'sine'"):
        ddsprl.invert(sounds, 8_000, instrument="snie", **settings)


def test_a_comparison(tmp_path, capsys):
    (tmp_path / "compare.yaml").write_text(COMPARE)
    given = ["--config", str(tmp_path / "compare.yaml"), "--out", str(tmp_path / "out"), "--quiet"]
    assert ddsprl.compare.main([*given, "--instrument", "sine"]) == 0
    said = capsys.readouterr().err
    assert "method 'guessed': no guess is trained for sine; it starts from 'best' instead" in said
    results = json.loads((tmp_path / "out" / "results.json").read_text())
    assert results["options"]["instrument"] == "sine"
    assert results["methods"]["guessed"]["start"] == "best"
    assert all(0.0 <= run["parameter_error"] <= 1.0 for run in results["runs"])
    assert ddsprl.compare.main(given) != 0
    assert 'holds a comparison with instrument "sine"' in capsys.readouterr().err


def test_a_training(tmp_path):
    (tmp_path / "train.yaml").write_text(TRAIN)
    given = ["--config", str(tmp_path / "train.yaml"), "--out", str(tmp_path), "--quiet"]
    assert ddsprl.train.main(given) == 0
    agent = load_agent(tmp_path / "sine-001")
    assert agent.env.instrument.name == "sine"
    assert agent.config.last_stage == agent.stage == 1
    assert agent.env.action.groups == 1
