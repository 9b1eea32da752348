"""Short-time Fourier transform: power and magnitude of centred, Hann-windowed frames.

`stft_power_frames` is the one transform under every spectral feature. It keeps time first (`[frames, bins]`),
as the FFT leaves it, so that a reduction over bins costs no transposition; `stft_magnitude` gives the usual
`[bins, frames]`.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np

from ddsprl.features.framing import frame
from ddsprl.features.sound import Sound
from synth_jax.numerics import safe_sqrt

# Below this power a magnitude counts as zero: the slope of sqrt stays finite in float32.
_TINY_POWER = 1e-30


@functools.lru_cache(maxsize=32)
def hann_window(n_fft: int) -> np.ndarray:
    """Periodic Hann window, `0.5 - 0.5 cos(2 pi k / n_fft)`, float64 [n_fft] (read-only)."""
    window = 0.5 - 0.5 * np.cos(2.0 * np.pi * np.arange(n_fft) / n_fft)
    window.setflags(write=False)
    return window


def bin_frequencies_hz(sample_rate: int, n_fft: int) -> np.ndarray:
    """Centre frequencies of the bins of a real FFT in Hz, float64 [n_fft // 2 + 1]."""
    return np.arange(n_fft // 2 + 1) * (sample_rate / n_fft)


def stft_power_frames(audio: jax.Array, *, n_fft: int, hop: int) -> jax.Array:
    """Squared STFT magnitude, time first.

    Args:
        audio: [n]; a clip shorter than the window is extended by zeros.
        n_fft: window and transform length in samples.
        hop: samples between frame centres.

    Returns:
        [1 + n // hop, n_fft // 2 + 1], `|X|^2`, no scaling.
    """
    windowed = frame(audio, n_fft, hop) * jnp.asarray(hann_window(n_fft), audio.dtype)
    spectrum = jnp.fft.rfft(windowed, axis=-1)
    return jnp.square(spectrum.real) + jnp.square(spectrum.imag)


def magnitude_from_power(power: jax.Array, power_floor: float = 0.0) -> jax.Array:
    """Square root of a power spectrum with finite gradients where it is silent.

    Args:
        power: any shape, non-negative.
        power_floor: powers below it are raised to it first (auraloss: 1e-8). 0 leaves silence at
            exactly 0.

    Returns:
        Magnitudes, same shape; zero gradient at and below the floor.
    """
    if power_floor > 0.0:
        return safe_sqrt(power, power_floor)
    return jnp.where(power > _TINY_POWER, safe_sqrt(power, _TINY_POWER), 0.0)


def power(sound: Sound) -> jax.Array:
    """Squared magnitude, [frames, bins]: the one transform that the spectral features share."""
    return stft_power_frames(sound.audio, n_fft=sound.n_fft, hop=sound.hop)


def magnitude(sound: Sound) -> jax.Array:
    """Magnitude, [frames, bins], exactly 0 where it is silent."""
    return magnitude_from_power(sound[power])


def stft_magnitude(sound: Sound) -> jax.Array:
    """STFT magnitude with a periodic Hann window, centred frames and zero padding.

    Returns:
        [n_fft // 2 + 1, frames]; equals librosa's `abs(stft(..., pad_mode="constant"))`.
    """
    return sound[magnitude].T
