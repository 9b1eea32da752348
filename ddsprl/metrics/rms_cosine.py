"""Cosine similarity of RMS envelopes.

As evaluated in Hayes, Saitis and Fazekas 2025 (arXiv 2506.07199; see `ddsprl.metrics.mss`).
"""

import jax
import jax.numpy as jnp

from ddsprl.features.rms import rms
from ddsprl.metrics.frames import centred_frame_count, samples

WINDOW_MS, HOP_MS = 50, 25
SMALLEST_NORM = 1e-9


def rms_cosine(target: jax.Array, candidate: jax.Array, sample_rate: int) -> jax.Array:
    """Cosine of the angle between two RMS envelopes; the gain between the clips is not heard.

    Envelopes of centred, unweighted frames of 50 ms every 25 ms, linear amplitude. The published script
    divides by zero on silence; here silence is 1 against silence and 0 against anything else.

    Args:
        target: [n].
        candidate: [n].
        sample_rate: Hz, static.

    Returns:
        Scalar in [0, 1], 1 for envelopes of the same shape. The only one of these metrics where more is
        better.
    """
    a, b = (_envelope(audio, sample_rate) for audio in (target, candidate))
    norm_a, norm_b = (jnp.sqrt(jnp.sum(jnp.square(envelope))) for envelope in (a, b))
    silent_a, silent_b = norm_a <= SMALLEST_NORM, norm_b <= SMALLEST_NORM
    safe_a, safe_b = (jnp.maximum(norm, SMALLEST_NORM) for norm in (norm_a, norm_b))
    cosine = jnp.clip(jnp.sum((a / safe_a) * (b / safe_b)), 0.0, 1.0)
    both = jnp.where(silent_a & silent_b, 1.0, 0.0).astype(cosine.dtype)
    return jnp.where(silent_a | silent_b, both, cosine)


def _envelope(audio: jax.Array, sample_rate: int) -> jax.Array:
    window, hop = samples(WINDOW_MS, sample_rate), samples(HOP_MS, sample_rate)
    count = centred_frame_count(audio.shape[-1], window, hop)
    return rms(audio, sample_rate, frame_length=window, hop=hop)[:count]
