"""Spectral rolloff: the frequency below which most of the magnitude lies.

The value is a bin frequency, so it moves in steps and its true slope is zero almost everywhere. The
gradient given here is that of the line through the cumulative spectrum between the bin and its lower
neighbour: the crossing point of that line moves smoothly, stays within one bin of the value, and
pulls in the right direction.
"""

import jax
import jax.numpy as jnp

from ddsprl.features.framing import default_hop
from ddsprl.features.stft import DEFAULT_N_FFT, magnitude_from_power, stft_power_frames
from synth_jax.numerics import safe_divide

DEFAULT_SHARE = 0.85


def rolloff_from_magnitude(
    magnitude_frames: jax.Array, sample_rate: int, n_fft: int, share: float = DEFAULT_SHARE
) -> jax.Array:
    """Frequency of the first bin at which the cumulative magnitude reaches `share` of its total.

    Args:
        magnitude_frames: [frames, n_fft // 2 + 1].
        sample_rate: Hz.
        n_fft: transform length behind the magnitudes.
        share: 0..1.

    Returns:
        [frames], Hz, a multiple of the bin width; 0 on silence. The gradient is the one described
        above.
    """
    cumulative = jnp.cumsum(magnitude_frames, axis=-1)
    target = share * cumulative[:, -1:]
    reached = jnp.sum(cumulative < target, axis=-1, keepdims=True)
    at_bin = jnp.take_along_axis(cumulative, reached, axis=-1)
    step = jnp.take_along_axis(magnitude_frames, reached, axis=-1)
    # The line through (reached - 1, at_bin - step) and (reached, at_bin).
    crossing = -safe_divide(at_bin - target, step)
    value = reached.astype(magnitude_frames.dtype) + crossing - jax.lax.stop_gradient(crossing)
    return value[:, 0] * (sample_rate / n_fft)


def rolloff_hz(
    audio: jax.Array,
    sample_rate: int,
    *,
    n_fft: int = DEFAULT_N_FFT,
    hop: int | None = None,
    share: float = DEFAULT_SHARE,
) -> jax.Array:
    """Spectral rolloff of a clip (Peeters 2004, CUIDADO project report; on magnitudes, as in librosa).

    Args:
        audio: [n].
        sample_rate: Hz.
        n_fft: window and transform length in samples.
        hop: samples between frame centres; `default_hop(sample_rate)` if None.
        share: part of the summed magnitude that lies below, 0..1.

    Returns:
        [1 + n // hop], Hz; 0 on silence.
    """
    hop = default_hop(sample_rate) if hop is None else hop
    power = stft_power_frames(audio, n_fft=n_fft, hop=hop)
    return rolloff_from_magnitude(magnitude_from_power(power), sample_rate, n_fft, share)
