"""Pitch: cents on clean tones at two rates, octaves, noise, moving pitch, recordings."""

import functools
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import soundfile

from ddsprl.features import periodicity

DATA = Path(__file__).parent.parent / "data"
F0_HZ = (35.0, 41.2, 55.0, 98.7, 261.6, 440.0, 1046.5, 1987.3, 2000.0)
RECORDED_NOTES = ("gm_epiano_60", "gm_fingerbass_40", "gm_piano_60", "gm_trumpet_67", "amsynth_0_60")
SHAPES = ("sine", "saw", "square", "weak_fundamental", "missing_fundamental")


@functools.lru_cache
def compiled(rate: int):
    """Batched estimator at one rate."""
    return jax.jit(jax.vmap(lambda audio: periodicity(audio, rate)))


def tone(f0_hz: float, shape: str, rate: int, seconds: float = 0.5) -> np.ndarray:
    """A band-limited harmonic tone, float32 [n]."""
    k = np.arange(1, max(1, int(0.47 * rate / f0_hz)) + 1)
    amplitudes = {
        "sine": k == 1,
        "saw": 1.0 / k,
        "square": (k % 2) / k,
        "weak_fundamental": np.where(k == 1, 0.3, 1.0 / k),
        "missing_fundamental": np.where((k == 1) & (k.size >= 4), 0.0, 1.0 / k),
    }[shape]
    phase = 2.0 * np.pi * f0_hz * k[:, None] * np.arange(int(seconds * rate)) / rate
    audio = amplitudes @ np.sin(phase + 0.7 * k[:, None])
    return (0.5 * audio / np.abs(audio).max()).astype(np.float32)


def cents(measured_hz: Any, expected_hz: Any) -> Any:
    """Interval in cents."""
    return 1200.0 * np.log2(np.asarray(measured_hz) / expected_hz)


@pytest.mark.parametrize("rate", [16_000, 44_100])
def test_clean_tones_within_two_cents(rate):
    cases = [(f0_hz, shape) for f0_hz in F0_HZ for shape in SHAPES]
    found = compiled(rate)(np.stack([tone(f0_hz, shape, rate) for f0_hz, shape in cases]))
    expected = np.array([f0_hz for f0_hz, _ in cases])
    error = dict(zip(cases, np.abs(cents(found.f0_hz, expected)), strict=True))
    assert max(error.values()) < 2.0, error
    assert np.all(np.asarray(found.strength) > 0.95)
    inner = np.asarray(found.track_f0_hz)[:, 3:-3]
    assert np.abs(cents(inner, expected[:, None])).max() < 2.0


@pytest.mark.parametrize("rate", [16_000, 44_100])
def test_noise_is_not_periodic(rate):
    noise = np.random.default_rng(0).standard_normal((4, rate // 2)).astype(np.float32)
    found = compiled(rate)(noise)
    assert np.all(np.asarray(found.strength) < 0.15)
    assert np.mean(found.track_strength) < 0.2


def test_strength_falls_as_noise_rises():
    clean = tone(220.0, "saw", 16_000)
    noise = np.random.default_rng(1).standard_normal(clean.size).astype(np.float32)
    found = compiled(16_000)(np.stack([clean + gain * noise for gain in (0.0, 0.1, 0.3)]))
    clean_strength, some, much = (float(strength) for strength in found.strength)
    assert clean_strength > some > much
    assert np.abs(cents(found.f0_hz, 220.0)).max() < 5.0


def test_a_pitch_that_moves_is_followed_by_the_track():
    time_s = np.arange(16_000) / 16_000
    f0_hz = 220.0 * 2.0 ** (0.5 * np.sin(2.0 * np.pi * time_s))
    phase = 2.0 * np.pi * np.cumsum(f0_hz) / 16_000
    k = np.arange(1, 12)[:, None]
    audio = (np.sin(k * phase) / k).sum(axis=0).astype(np.float32)
    found = compiled(16_000)(audio[None])
    frames = found.track_f0_hz.shape[1]
    centre = np.minimum(np.arange(frames) * (len(audio) // (frames - 1)), len(audio) - 1)
    assert np.abs(cents(found.track_f0_hz[0], f0_hz[centre]))[4:-4].max() < 60.0


def test_silence_and_dc_have_no_pitch():
    found = compiled(16_000)(np.stack([np.zeros(8000), np.full(8000, 0.5)]).astype(np.float32))
    assert np.all(np.asarray(found.f0_hz) == 0.0)
    assert np.all(np.asarray(found.strength) == 0.0)


def test_a_clip_shorter_than_a_frame_has_a_pitch():
    found = compiled(16_000)(tone(440.0, "saw", 16_000, 0.05)[None])
    assert abs(cents(found.f0_hz[0], 440.0)) < 20.0


@pytest.mark.parametrize("note", RECORDED_NOTES)
def test_recordings_within_15_cents(note):
    path = DATA / "targets" / f"{note}.wav"
    if not path.exists():
        pytest.skip(f"{path.name} is not shipped")
    audio, rate = soundfile.read(path, dtype="float32")
    found = compiled(rate)(audio[None])
    expected_hz = 440.0 * 2.0 ** ((int(note[-2:]) - 69) / 12)
    assert abs(cents(found.f0_hz[0], expected_hz)) < 15.0
    assert found.strength[0] > 0.6


def test_gradient_of_f0_follows_a_change_of_pitch():
    time_s = jnp.arange(4000) / 16_000

    def f0(frequency_hz):
        k = np.arange(1, 4)[:, None]
        return periodicity(jnp.sum(jnp.sin(2 * np.pi * k * frequency_hz * time_s) / k, axis=0), 16_000).f0_hz

    np.testing.assert_allclose(jax.jit(jax.grad(f0))(220.0), 1.0, atol=0.05)
