"""Spectral peakiness (crest): how far the strongest bin stands above the mean of the spectrum.

The crest factor of the power spectrum, `max(P) / mean(P)` (Peeters 2004, "A large set of audio
features for sound description", CUIDADO project report), in dB: 0 dB where all bins are equal,
`10 log10(bins)` for a single line. Flatness reads the valleys of a spectrum, peakiness its highest peak.
"""

import jax
import jax.numpy as jnp

from ddsprl.features.framing import default_hop
from ddsprl.features.stft import DEFAULT_N_FFT, stft_power_frames
from synth_jax.units import power_to_db

POWER_FLOOR = 1e-10


def peakiness_from_power(power_frames: jax.Array) -> jax.Array:
    """Crest of each frame's power spectrum.

    Args:
        power_frames: [frames, bins].

    Returns:
        [frames], dB, 0 to `10 log10(bins)`; 0 where every bin lies below the floor of 1e-10.
    """
    floored = jnp.maximum(power_frames, POWER_FLOOR)
    peak_db = power_to_db(jnp.max(floored, axis=-1), POWER_FLOOR)
    return peak_db - power_to_db(jnp.mean(floored, axis=-1), POWER_FLOOR)


def peakiness_db(
    audio: jax.Array, sample_rate: int, *, n_fft: int = DEFAULT_N_FFT, hop: int | None = None
) -> jax.Array:
    """Spectral crest of a clip.

    Args:
        audio: [n].
        sample_rate: Hz.
        n_fft: window and transform length in samples.
        hop: samples between frame centres; `default_hop(sample_rate)` if None.

    Returns:
        [1 + n // hop], dB.
    """
    hop = default_hop(sample_rate) if hop is None else hop
    return peakiness_from_power(stft_power_frames(audio, n_fft=n_fft, hop=hop))
