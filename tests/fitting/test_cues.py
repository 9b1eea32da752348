"""Cues of synthetic notes whose ADSR is known, and of noise through a filter whose cutoff is."""

import numpy as np
import pytest
from scipy import signal

from ddsprl.fitting.starts.cues import envelope_cues, spectral_cues, with_cues
from synth_jax.instruments.serum_lite import TABLE
from synth_jax.knowledge import EnvelopeKnobs, FilterKnobs

RATE = 16_000
KNOBS = EnvelopeKnobs("amp_attack", "amp_decay", "amp_sustain", "amp_release")
FILTER = FilterKnobs("filter_cutoff", "filter_resonance")


def adsr_tone(attack, decay, sustain, release, gate_s, *, duration_s=2.0, f0_hz=523.25, gain=0.3):
    t = np.arange(int(RATE * duration_s)) / RATE
    fall = sustain + (1 - sustain) * (1 - np.clip((t - attack) / decay, 0, 1)) ** 2
    held = np.where(t < attack, t / attack, fall)
    level = held * (1 - np.clip((t - gate_s) / release, 0, 1)) ** 2
    level_at_gate = np.interp(gate_s, t, held)
    level = np.where(t < gate_s, held, level_at_gate * (1 - np.clip((t - gate_s) / release, 0, 1)) ** 2)
    return (gain * level * np.sin(2 * np.pi * f0_hz * t)).astype(np.float32)


@pytest.mark.parametrize(
    ("attack", "decay", "sustain", "release", "gate_s"),
    [
        (0.05, 0.2, 0.5, 0.3, 0.8),
        (0.3, 0.3, 0.3, 0.5, 1.0),
        (0.02, 0.6, 0.1, 0.2, 1.2),
        (0.01, 0.1, 0.8, 0.8, 0.6),
    ],
)
@pytest.mark.parametrize("gain", [0.9, 0.01])
def test_cues_are_close_to_the_truth(attack, decay, sustain, release, gate_s, gain):
    found = envelope_cues(KNOBS, adsr_tone(attack, decay, sustain, release, gate_s, gain=gain), RATE, gate_s)
    assert found["amp_attack"] == pytest.approx(attack, rel=0.25, abs=0.004)
    assert found["amp_decay"] == pytest.approx(decay, rel=0.25)
    assert found["amp_sustain"] == pytest.approx(sustain, abs=0.05)
    assert found["amp_release"] == pytest.approx(release, rel=0.25)


def test_a_low_note_has_no_ripple_in_its_cues():
    found = envelope_cues(
        KNOBS, adsr_tone(0.05, 0.4, 0.5, 0.4, 1.0, f0_hz=55.0), RATE, 1.0, period_s=1 / 55.0
    )
    assert found["amp_attack"] == pytest.approx(0.05, rel=0.4)
    assert found["amp_decay"] == pytest.approx(0.4, rel=0.4)
    assert found["amp_sustain"] == pytest.approx(0.5, abs=0.15)


def test_an_organ_has_full_sustain_and_no_release_seen():
    found = envelope_cues(KNOBS, adsr_tone(0.005, 0.1, 1.0, 0.1, 5.0), RATE, 2.0)
    assert found["amp_sustain"] > 0.95
    assert found["amp_attack"] < 0.02


@pytest.mark.parametrize("samples", [np.zeros(4000), np.ones(10), np.zeros(0), np.full(4000, 1e-7)])
def test_odd_sounds_give_finite_cues(samples):
    found = envelope_cues(KNOBS, samples.astype(np.float32), RATE, 0.1)
    assert np.isfinite(list(found.values())).all()
    placed = with_cues(np.full((2, len(TABLE)), 0.5, np.float32), found, TABLE)
    assert placed.min() >= 0
    assert placed.max() <= 1


def test_cues_are_put_in_place_in_a_copy():
    u = np.full((3, len(TABLE)), 0.25, np.float32)
    placed = with_cues(u, {"amp_attack": 0.5, "amp_decay": 99.0, "amp_sustain": -1.0, "nobody": 1.0}, TABLE)
    assert (u == 0.25).all()
    names = [spec.name for spec in TABLE]
    where = [names.index(name) for name in ("amp_attack", "amp_decay", "amp_sustain")]
    assert TABLE[where[0]].to_physical(placed[0, where[0]]) == pytest.approx(0.5, rel=1e-4)
    np.testing.assert_array_equal(placed[:, where[1:]], [[1.0, 0.0]] * 3)
    assert (np.delete(placed, where, axis=1) == 0.25).all()


@pytest.mark.parametrize("cutoff_hz", [300.0, 1_000.0, 4_000.0])
@pytest.mark.parametrize("gain", [1.0, 1e-3])
def test_the_cutoff_is_where_the_spectrum_ends(cutoff_hz, gain):
    """A steep low-pass: scipy's Butterworth of order 8."""
    sections = signal.butter(8, cutoff_hz, fs=RATE, output="sos")
    noise = signal.sosfilt(sections, np.random.default_rng(0).normal(size=RATE))
    found = spectral_cues(FILTER, (gain * noise).astype(np.float32), RATE)
    assert found == {"filter_cutoff": pytest.approx(cutoff_hz, rel=0.15)}


def test_silence_has_no_cutoff():
    assert spectral_cues(FILTER, np.zeros(RATE, np.float32), RATE) == {}
