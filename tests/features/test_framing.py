"""Framing, the STFT's edge cases, deltas, peakiness and the rolloff's gradient."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ddsprl.features import (
    Sound,
    default_hop,
    frame,
    frame_count,
    stft_power_frames,
)
from ddsprl.features.deltas import deltas
from ddsprl.features.mel import hz_to_mel, mel_filterbank, mel_to_hz
from ddsprl.features.mfcc import dct_matrix
from ddsprl.features.peakiness import peakiness_db
from ddsprl.features.rolloff import rolloff_hz
from ddsprl.features.stft import magnitude_from_power, stft_magnitude


def short_frames(audio):
    return Sound(audio, 16_000, n_fft=256, hop=64)


@pytest.mark.parametrize(
    ("n", "frame_length", "hop"),
    [(1000, 256, 64), (1000, 256, 100), (50, 256, 64), (999, 7, 10), (64, 64, 64), (1, 8, 4)],
)
def test_frames_are_centred_slices_of_the_padded_clip(n, frame_length, hop):
    audio = np.arange(1.0, n + 1.0, dtype=np.float32)
    padded = np.concatenate([np.zeros(frame_length // 2), audio, np.zeros(frame_length + hop)])
    expected = np.stack([padded[i * hop : i * hop + frame_length] for i in range(1 + n // hop)])
    np.testing.assert_array_equal(frame(jnp.asarray(audio), frame_length, hop), expected)
    assert frame_count(n, hop) == expected.shape[0]


@pytest.mark.parametrize("rate", [16_000, 22_050, 44_100, 48_000])
def test_default_hop_gives_43_hops_in_half_a_second(rate):
    assert (rate // 2) // default_hop(rate) == 43


def test_a_window_longer_than_the_clip_sees_zeros():
    audio = jax.random.normal(jax.random.key(0), (100,))
    power = stft_power_frames(audio, n_fft=512, hop=128)
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(512) / 512)
    framed = np.zeros(512)
    framed[256:356] = np.asarray(audio)
    np.testing.assert_allclose(power[0], np.abs(np.fft.rfft(framed * window)) ** 2, rtol=1e-3, atol=1e-4)


def test_power_floor_raises_silent_bins_only():
    np.testing.assert_allclose(magnitude_from_power(jnp.zeros(3), 1e-8), 1e-4, rtol=1e-5)
    assert float(jnp.max(stft_magnitude(short_frames(jnp.zeros(600))))) == 0.0


def test_double_precision_stays_double():
    with jax.enable_x64(True):
        audio = jnp.asarray(np.random.default_rng(0).standard_normal(600))
        magnitude = stft_magnitude(short_frames(audio))
        assert magnitude.dtype == jnp.float64
        window = 0.5 - 0.5 * np.cos(np.pi * np.arange(256) / 128)
        expected = np.abs(np.fft.rfft(np.asarray(audio[:256]) * window))
        np.testing.assert_allclose(magnitude[:, 2], expected, rtol=1e-9)


def test_single_precision_stays_single_when_double_is_enabled():
    with jax.enable_x64(True):
        audio = jnp.ones(600, jnp.float32)
        assert stft_magnitude(short_frames(audio)).dtype == jnp.float32
        assert rolloff_hz(Sound(audio, 16_000)).dtype == jnp.float32


def test_mel_scale_inverts_and_filters_have_unit_area():
    hz = np.array([0.0, 50.0, 999.0, 1000.0, 4321.0])
    np.testing.assert_allclose(mel_to_hz(hz_to_mel(hz)), hz, atol=1e-9)
    np.testing.assert_allclose(hz_to_mel(1000.0), 15.0)
    area_hz = mel_filterbank(16_000, 16_384, 64).sum(axis=1) * 16_000 / 16_384
    np.testing.assert_allclose(area_hz, 1.0, rtol=2e-3)


def test_no_band_is_empty_at_the_default_settings():
    for rate in (16_000, 22_050, 44_100, 48_000):
        assert np.all(mel_filterbank(rate, 1024).sum(axis=1) > 0.0)


def test_dct_is_orthonormal():
    np.testing.assert_allclose(dct_matrix(64, 64) @ dct_matrix(64, 64).T, np.eye(64), atol=1e-12)


def test_deltas_start_at_zero_and_sum_to_the_change():
    track = jnp.array([[1.0, 3.0, 2.0], [0.0, 0.0, 5.0]])
    np.testing.assert_array_equal(deltas(track), [[0.0, 2.0, -1.0], [0.0, 0.0, 5.0]])
    np.testing.assert_array_equal(deltas(track[:, :1]), [[0.0], [0.0]])


def test_peakiness_is_high_for_a_line_and_low_for_an_impulse():
    n = np.arange(4096)
    line = peakiness_db(Sound(jnp.asarray(np.sin(2 * np.pi * 64 / 1024 * n), jnp.float32), 16_000))
    # A Hann line on a bin holds powers 1/4, 1, 1/4 of its peak.
    np.testing.assert_allclose(line[10], 10 * np.log10(513 / 1.5), atol=0.01)
    impulse = peakiness_db(Sound(jnp.zeros(4096).at[1860].set(1.0), 16_000))
    np.testing.assert_allclose(impulse[10], 0.0, atol=0.01)


def test_rolloff_gradient_points_to_more_treble():
    n = np.arange(4096)
    low, high = (jnp.asarray(np.sin(2 * np.pi * f / 16_000 * n), jnp.float32) for f in (400.0, 5000.0))
    noise = 0.01 * jax.random.normal(jax.random.key(1), (4096,))

    def rolloff(gain):
        return jnp.mean(rolloff_hz(Sound(low + gain * high + noise, 16_000)))

    slope = jax.jit(jax.grad(rolloff))(0.3)
    assert np.isfinite(slope)
    assert slope > 0.0
