"""Spectral rolloff: the frequency below which most of the magnitude lies.

The value is a bin frequency, so it moves in steps and its true slope is zero almost everywhere. The
gradient given here is that of the line through the cumulative spectrum between the bin and its lower
neighbour: the crossing point of that line moves smoothly, stays within one bin of the value, and
pulls in the right direction.
"""

import jax
import jax.numpy as jnp

from ddsprl.features.sound import Sound
from ddsprl.features.stft import magnitude
from synth_jax.numerics import safe_divide

SHARE = 0.85


def rolloff_hz(sound: Sound) -> jax.Array:
    """Frequency of the first bin at which the cumulative magnitude reaches `SHARE` of its total.

    On magnitudes, as in librosa (Peeters 2004, CUIDADO project report, on power).

    Returns:
        [frames], Hz, a multiple of the bin width; 0 on silence. The gradient is the one described
        above.
    """
    magnitude_frames = sound[magnitude]
    cumulative = jnp.cumsum(magnitude_frames, axis=-1)
    target = SHARE * cumulative[:, -1:]
    reached = jnp.sum(cumulative < target, axis=-1, keepdims=True)
    at_bin = jnp.take_along_axis(cumulative, reached, axis=-1)
    step = jnp.take_along_axis(magnitude_frames, reached, axis=-1)
    # The line through (reached - 1, at_bin - step) and (reached, at_bin).
    crossing = -safe_divide(at_bin - target, step)
    value = reached.astype(magnitude_frames.dtype) + crossing - jax.lax.stop_gradient(crossing)
    return value[:, 0] * (sound.sample_rate / sound.n_fft)
