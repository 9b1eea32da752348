"""The frames and decibels under the published metrics: windows in milliseconds, 80 dB below the loudest.

The published evaluation runs at 44.1 kHz. Its windows and hops are whole milliseconds, rounded down to
samples, so the same durations are taken at any sample rate.
"""

import jax
import jax.numpy as jnp

from ddsprl.features.mel import POWER_FLOOR, mel_from_power
from ddsprl.features.stft import stft_power_frames
from synth_jax.units import power_to_db

DYNAMIC_RANGE_DB = 80.0


def samples(duration_ms: int, sample_rate: int) -> int:
    """Whole samples in `duration_ms`, rounded down, at least 1."""
    return max(1, duration_ms * sample_rate // 1000)


def centred_frame_count(n: int, window: int, hop: int) -> int:
    """Frames of a clip extended by `window // 2` zeros on both sides.

    With an odd window that is one sample less than the window needs, so a last frame that would start
    exactly at the end is not there; with an even one it is `1 + n // hop`.
    """
    return 1 + (n - window % 2) // hop


def power_frames(audio: jax.Array, *, window: int, hop: int) -> jax.Array:
    """Squared STFT magnitude of centred, Hann-windowed frames.

    Args:
        audio: [n].
        window: window and transform length in samples.
        hop: samples between frame centres.

    Returns:
        [centred_frame_count(n, window, hop), window // 2 + 1].
    """
    count = centred_frame_count(audio.shape[-1], window, hop)
    return stft_power_frames(audio, n_fft=window, hop=hop)[:count]


def mel_db(audio: jax.Array, sample_rate: int, *, window: int, hop: int, n_mels: int) -> jax.Array:
    """Mel power in dB, floored at -100 dB and at 80 dB below the clip's loudest cell.

    Args:
        audio: [n].
        sample_rate: Hz.
        window: window and transform length in samples.
        hop: samples between frame centres.
        n_mels: number of mel bands from 0 Hz to half the sample rate, on Slaney's scale, of unit area.

    Returns:
        [n_mels, frames], dB.
    """
    power = power_frames(audio, window=window, hop=hop)
    db = power_to_db(mel_from_power(power, sample_rate, window, n_mels), POWER_FLOOR)
    return jnp.maximum(db, jnp.max(db) - DYNAMIC_RANGE_DB)
