"""Mel spectrum: power in bands that are linear in frequency below 1 kHz and logarithmic above.

The scale and the filter normalisation are those of Slaney's Auditory Toolbox (1998, Technical Report
1998-010, Interval Research): 3 mel per 200 Hz up to 1 kHz, then 27 mel per factor 6.4; triangles of
unit area in Hz. They agree with librosa's defaults.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np

from ddsprl.features.framing import default_hop
from ddsprl.features.sound import DEFAULT_N_FFT, Sound
from ddsprl.features.stft import bin_frequencies_hz, power, stft_power_frames
from synth_jax.units import power_to_db

DEFAULT_N_MELS = 64
POWER_FLOOR = 1e-10

_HZ_PER_MEL = 200.0 / 3.0
_BREAK_HZ = 1000.0
_BREAK_MEL = _BREAK_HZ / _HZ_PER_MEL
_LOG_STEP = float(np.log(6.4)) / 27.0


def hz_to_mel(hz: np.ndarray | float) -> np.ndarray:
    """Frequency in Hz to Slaney's mel scale (NumPy)."""
    hz = np.asarray(hz, np.float64)
    above = _BREAK_MEL + np.log(np.maximum(hz, _BREAK_HZ) / _BREAK_HZ) / _LOG_STEP
    return np.where(hz < _BREAK_HZ, hz / _HZ_PER_MEL, above)


def mel_to_hz(mel: np.ndarray | float) -> np.ndarray:
    """Slaney's mel scale to frequency in Hz (NumPy)."""
    mel = np.asarray(mel, np.float64)
    above = _BREAK_HZ * np.exp(_LOG_STEP * np.maximum(mel - _BREAK_MEL, 0.0))
    return np.where(mel < _BREAK_MEL, mel * _HZ_PER_MEL, above)


@functools.lru_cache(maxsize=32)
def mel_filterbank(
    sample_rate: int,
    n_fft: int,
    n_mels: int = DEFAULT_N_MELS,
    fmin_hz: float = 0.0,
    fmax_hz: float | None = None,
) -> np.ndarray:
    """Triangular mel filters over the bins of a real FFT.

    Args:
        sample_rate: Hz.
        n_fft: transform length in samples.
        n_mels: number of bands.
        fmin_hz: lower edge of the first band.
        fmax_hz: upper edge of the last band; half the sample rate if None.

    Returns:
        float64 [n_mels, n_fft // 2 + 1], read-only, each triangle scaled to unit area in Hz.
    """
    top_hz = sample_rate / 2 if fmax_hz is None else fmax_hz
    edges_hz = mel_to_hz(np.linspace(hz_to_mel(fmin_hz), hz_to_mel(top_hz), n_mels + 2))
    lower, centre, upper = (edges_hz[i : i + n_mels, None] for i in range(3))
    bins_hz = bin_frequencies_hz(sample_rate, n_fft)
    rising = (bins_hz - lower) / (centre - lower)
    falling = (upper - bins_hz) / (upper - centre)
    filters = np.maximum(0.0, np.minimum(rising, falling)) * (2.0 / (upper - lower))
    filters.setflags(write=False)
    return filters


def mel_from_power(
    power_frames: jax.Array, sample_rate: int, n_fft: int, n_mels: int = DEFAULT_N_MELS
) -> jax.Array:
    """Mel power from a power spectrum that is already there.

    Args:
        power_frames: [frames, n_fft // 2 + 1], from `stft_power_frames`.
        sample_rate: Hz.
        n_fft: transform length behind `power_frames`.
        n_mels: number of bands, from 0 Hz to half the sample rate.

    Returns:
        [n_mels, frames].
    """
    filters = jnp.asarray(mel_filterbank(sample_rate, n_fft, n_mels), power_frames.dtype)
    # Full precision: reduced-precision matrix units would cost more than the 1e-4 that is allowed.
    return jnp.einsum("mb,fb->mf", filters, power_frames, precision=jax.lax.Precision.HIGHEST)


def mel_power(
    audio: jax.Array,
    sample_rate: int,
    *,
    n_mels: int = DEFAULT_N_MELS,
    n_fft: int = DEFAULT_N_FFT,
    hop: int | None = None,
) -> jax.Array:
    """Mel power spectrum.

    Args:
        audio: [n].
        sample_rate: Hz.
        n_mels: number of bands.
        n_fft: window and transform length in samples.
        hop: samples between frame centres; `default_hop(sample_rate)` if None.

    Returns:
        [n_mels, 1 + n // hop].
    """
    hop = default_hop(sample_rate) if hop is None else hop
    return mel_from_power(stft_power_frames(audio, n_fft=n_fft, hop=hop), sample_rate, n_fft, n_mels)


def log_mel_db(sound: Sound) -> jax.Array:
    """Mel power in dB, floored at -100 dB, [64, frames]."""
    mel = mel_from_power(sound[power], sound.sample_rate, sound.n_fft)
    return power_to_db(mel, POWER_FLOOR)
