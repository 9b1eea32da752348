"""Spectral flatness: geometric over arithmetic mean of the power spectrum, 1 for white noise."""

import jax
import jax.numpy as jnp

from ddsprl.features.framing import default_hop
from ddsprl.features.stft import DEFAULT_N_FFT, stft_power_frames
from synth_jax.numerics import safe_log

POWER_FLOOR = 1e-10


def flatness_from_power(power_frames: jax.Array) -> jax.Array:
    """Flatness of each frame.

    Args:
        power_frames: [frames, bins].

    Returns:
        [frames], 0..1; 1 where every bin lies below the floor of 1e-10.
    """
    floored = jnp.maximum(power_frames, POWER_FLOOR)
    return jnp.exp(jnp.mean(safe_log(floored, POWER_FLOOR), axis=-1)) / jnp.mean(floored, axis=-1)


def flatness(
    audio: jax.Array, sample_rate: int, *, n_fft: int = DEFAULT_N_FFT, hop: int | None = None
) -> jax.Array:
    """Spectral flatness of a clip (Gray and Markel 1974; MPEG-7 AudioSpectrumFlatness, one band).

    Args:
        audio: [n].
        sample_rate: Hz.
        n_fft: window and transform length in samples.
        hop: samples between frame centres; `default_hop(sample_rate)` if None.

    Returns:
        [1 + n // hop], 0 (one partial) to 1 (white, or silent).
    """
    hop = default_hop(sample_rate) if hop is None else hop
    return flatness_from_power(stft_power_frames(audio, n_fft=n_fft, hop=hop))
