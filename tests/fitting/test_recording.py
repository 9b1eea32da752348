"""From a recording to a target: pitch, gate, length, and what is hidden of a recording that was cut off."""

from pathlib import Path

import jax
import numpy as np
import pytest

from ddsprl.fitting import Library, LibraryConfig
from ddsprl.fitting.inversion.recording import GUESSES, choose_pitch, pitch_hypotheses, ready
from ddsprl.io import load_audio
from ddsprl.io.audio import Clip
from synth_jax import Note

RATE = 16_000
TARGETS = Path(__file__).resolve().parents[1] / "data" / "targets"


def clip_of(samples, rate: int = RATE) -> Clip:
    samples = np.asarray(samples, np.float32)
    return Clip(samples, rate, Path("made.wav"), rate, 1, len(samples) / rate)


def saw(midi: float, seconds: float, rate: int = RATE) -> np.ndarray:
    f0_hz = 440 * 2 ** ((midi - 69) / 12)
    t = np.arange(round(seconds * rate)) / rate
    partials = range(1, int(0.45 * rate / f0_hz) + 1)
    return 0.2 * np.sum([np.sin(2 * np.pi * k * f0_hz * t) / k for k in partials], axis=0)


def note_of(midi: float, gate_s: float, seconds: float) -> np.ndarray:
    t = np.arange(round(seconds * RATE)) / RATE
    level = np.minimum(t / 0.01, 1.0) * np.clip(1 - (t - gate_s) / 0.05, 0, 1) ** (t > gate_s)
    return saw(midi, seconds) * level


@pytest.mark.parametrize("midi", [40.0, 52.3, 60.0, 69.47, 84.0])
def test_a_periodic_sound_has_one_hypothesis_to_the_cent(midi):
    hypotheses, strength = pitch_hypotheses(saw(midi, 0.8), RATE)
    assert len(hypotheses) == 1
    assert hypotheses[0] == pytest.approx(midi, abs=0.05)
    assert strength > 0.8


@pytest.mark.parametrize("seconds", [0.1, 0.25, 3.0])
def test_length_does_not_matter(seconds):
    hypotheses, _ = pitch_hypotheses(saw(60.0, seconds), RATE)
    assert hypotheses[0] == pytest.approx(60.0, abs=0.1)


def test_noise_has_plain_guesses():
    hypotheses, strength = pitch_hypotheses(np.random.default_rng(0).standard_normal(RATE), RATE)
    assert hypotheses == GUESSES
    assert strength < 0.2


def test_a_noisy_tone_has_its_octaves_among_the_hypotheses():
    noise = np.random.default_rng(1).standard_normal(RATE)
    for gain in np.geomspace(0.05, 1.0, 12):
        hypotheses, strength = pitch_hypotheses(saw(57.0, 1.0) + gain * noise, RATE)
        if 0.3 < strength < 0.7:
            break
    else:
        pytest.fail("no mixture is half periodic")
    assert hypotheses[0] == pytest.approx(57.0, abs=0.2)
    assert hypotheses[1:3] == (hypotheses[0] + 12.0, hypotheses[0] - 12.0)
    assert set(GUESSES) <= set(hypotheses)
    assert all(12.0 <= midi <= 120.0 for midi in hypotheses)


def test_a_note_is_trimmed_measured_and_padded():
    silence = 1e-5 * np.random.default_rng(2).standard_normal(RATE // 5)
    samples = np.concatenate([silence, note_of(64.0, 0.3, 0.42)])
    found = ready(clip_of(samples))
    assert found.onset_s == pytest.approx(0.2, abs=0.006)
    assert found.midi == (pytest.approx(64.0, abs=0.05),)
    assert found.gate_s == pytest.approx(0.3, abs=0.05)
    assert found.duration_s == 0.5
    assert found.audio.shape == found.window.shape == (RATE // 2,)
    assert (found.window == 1).all()
    assert found.audio.dtype == np.float32
    start = round(found.onset_s * RATE)
    np.testing.assert_array_equal(found.audio[:6000], np.float32(samples[start : start + 6000]))


def test_what_is_given_is_taken():
    found = ready(clip_of(note_of(64.0, 0.3, 0.42)), midi=31.25, gate_s=0.2)
    assert (found.midi, found.gate_s, found.strength) == ((31.25,), 0.2, 1.0)
    assert ready(clip_of(note_of(64.0, 0.3, 0.42)), gate_s=9.0).gate_s == 0.5


@pytest.mark.parametrize(("seconds", "max_s"), [(0.3, 4.0), (0.8, 0.5)])
def test_a_recording_that_was_cut_off_is_hidden_after_its_end(seconds, max_s):
    samples = saw(60.0, seconds)
    found = ready(clip_of(samples), max_s=max_s)
    n = len(found.audio)
    known = min(len(samples) - round(found.onset_s * RATE), n)
    assert n == RATE // 2
    assert (found.window[: known - 128] == 1).all()
    assert (np.diff(found.window) <= 0).all()
    assert (found.window[known:] == 0).all()
    assert found.window[known - 1] < 0.01
    assert (found.audio[known:] == 0).all()


def test_a_recording_that_has_died_away_is_known_to_be_silent():
    found = ready(clip_of(note_of(60.0, 0.2, 0.3)))
    assert found.duration_s * RATE > 0.3 * RATE or found.duration_s == 0.25
    assert (found.window == 1).all()


@pytest.mark.parametrize(
    ("name", "midi"), [("gm_trumpet_67", 67), ("gm_piano_60", 60), ("gm_fingerbass_40", 40)]
)
def test_shipped_recordings_are_heard_right(name, midi):
    found = ready(load_audio(TARGETS / f"{name}.wav", sample_rate=RATE))
    assert found.midi[0] == pytest.approx(midi, abs=0.5)
    assert 0 < found.gate_s <= found.duration_s


@pytest.fixture
def large_library(tiny):
    """Presets enough for one to come close at any pitch."""
    before = tiny.inverter.library
    tiny.inverter.library = Library(tiny.synth, LibraryConfig(size=1024))
    yield
    tiny.inverter.library = before


@pytest.mark.usefixtures("large_library")
def test_the_right_octave_is_chosen_by_synthesis(tiny):
    u = np.asarray(tiny.synth.default).copy()
    u[[tiny.index("osc1_wave_morph"), tiny.index("osc2_wave_morph")]] = 1 / 3
    u[tiny.index("filter_cutoff")] = 0.9
    audio = tiny.sound(u, Note(60.0, 0.2, 1.0), seed=1)
    found = ready(clip_of(audio, 8_000), gate_s=0.2, max_s=0.25)
    right = 0
    for hypotheses in ((48.0, 60.0, 72.0), (72.0, 48.0, 60.0), (36.0, 60.0)):
        unsure = type(found)(**{**vars(found), "midi": hypotheses, "audio": audio})
        right += choose_pitch(unsure, tiny.inverter, jax.random.key(0)) == 60.0
    assert right == 3


def test_a_sure_pitch_is_not_questioned():
    found = ready(clip_of(note_of(64.0, 0.3, 0.42)), midi=50.0)
    assert choose_pitch(found, None, jax.random.key(0)) == 50.0
