"""Spectral centroid: the centre of gravity of the magnitude spectrum, heard as brightness."""

import jax
import jax.numpy as jnp

from ddsprl.features.sound import Sound
from ddsprl.features.stft import bin_frequencies_hz, magnitude
from synth_jax.numerics import safe_divide

# A spectrum whose magnitudes sum to less than this (about -140 dBFS) is silent; it fades to 0 Hz.
_SILENT_SUM = 1e-5


def centroid_from_magnitude(magnitude_frames: jax.Array, sample_rate: int, n_fft: int) -> jax.Array:
    """Magnitude-weighted mean frequency of each frame.

    Args:
        magnitude_frames: [frames, n_fft // 2 + 1].
        sample_rate: Hz.
        n_fft: transform length behind the magnitudes.

    Returns:
        [frames], Hz.
    """
    bins_hz = jnp.asarray(bin_frequencies_hz(sample_rate, n_fft), magnitude_frames.dtype)
    weighted = jnp.sum(magnitude_frames * bins_hz, axis=-1)
    return safe_divide(weighted, jnp.sum(magnitude_frames, axis=-1), _SILENT_SUM)


def centroid_hz(sound: Sound) -> jax.Array:
    """Spectral centroid, `sum(f |X|) / sum(|X|)` (Peeters 2004, CUIDADO project report).

    Returns:
        [frames], Hz; 0 on silence.
    """
    return centroid_from_magnitude(sound[magnitude], sound.sample_rate, sound.n_fft)
