"""Cutting a clip into centred, overlapping frames, and the house's default hop.

Every frame-wise feature shares one time grid: frame `i` is centred on sample `i * hop`, the clip is
extended by zeros on both sides, and there are `1 + n // hop` frames (librosa's `center=True`,
`pad_mode="constant"`).
"""

import jax
import jax.numpy as jnp

REFERENCE_RATE_HZ = 22_050
REFERENCE_HOP = 256


def default_hop(sample_rate: int) -> int:
    """Hop in samples of about 11.6 ms: 256 at 22.05 kHz, so 43 hops fit into 0.5 s at any rate.

    Args:
        sample_rate: Hz.

    Returns:
        Samples between frame centres, at least 1.
    """
    return max(1, round(sample_rate * REFERENCE_HOP / REFERENCE_RATE_HZ))


def frame_count(n: int, hop: int) -> int:
    """Number of centred frames of a clip of `n` samples: `1 + n // hop`."""
    return 1 + n // hop


def frame(audio: jax.Array, frame_length: int, hop: int) -> jax.Array:
    """Cut `audio` into centred frames with zeros beyond both ends.

    Each frame is one contiguous slice. On the CPU backend this costs a fifth of a gather by sample
    index or of a concatenation of hop-long blocks, and no more than they do backwards.

    Args:
        audio: [n], any length, shorter than a frame too.
        frame_length: samples a frame.
        hop: samples between frame centres.

    Returns:
        [1 + n // hop, frame_length].
    """
    n = audio.shape[-1]
    frames = frame_count(n, hop)
    left = frame_length // 2
    right = (frames - 1) * hop + frame_length - left - n
    # A negative padding crops samples that no frame reaches.
    padded = jax.lax.pad(audio, jnp.zeros((), audio.dtype), [(left, right, 0)])
    starts = jnp.arange(frames) * hop
    return jax.vmap(lambda start: jax.lax.dynamic_slice(padded, (start,), (frame_length,)))(starts)
