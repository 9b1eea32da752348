"""RMS envelope: the level of the waveform, frame by frame."""

import jax
import jax.numpy as jnp

from ddsprl.features.framing import default_hop, frame
from ddsprl.features.sound import DEFAULT_N_FFT, Sound
from ddsprl.features.stft import magnitude_from_power


def rms(
    audio: jax.Array, sample_rate: int, *, frame_length: int = DEFAULT_N_FFT, hop: int | None = None
) -> jax.Array:
    """Root mean square of centred, unweighted frames.

    Args:
        audio: [n].
        sample_rate: Hz.
        frame_length: samples a frame.
        hop: samples between frame centres; `default_hop(sample_rate)` if None.

    Returns:
        [1 + n // hop], linear amplitude; 0, with zero gradient, on silence.
    """
    hop = default_hop(sample_rate) if hop is None else hop
    mean_square = jnp.mean(jnp.square(frame(audio, frame_length, hop)), axis=-1)
    return magnitude_from_power(mean_square)


def frame_rms(sound: Sound) -> jax.Array:
    """Root mean square of the sound's frames, [frames], linear amplitude."""
    return rms(sound.audio, sound.sample_rate, frame_length=sound.n_fft, hop=sound.hop)
