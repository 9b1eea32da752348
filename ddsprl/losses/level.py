"""Terms on the clip as it is, before any matching: loudness, and what a spectral loss does not hear.

Offset, clipping and overshoot are penalties on what a cheat can use. Each is measured beyond the target's
own: a recording that is itself clipped does not forbid its match. They are zero in honest use.
"""

import jax
import jax.numpy as jnp

from ddsprl.losses.term import Clip, Term

DC_TOLERANCE = 0.02
CLIP_KNEE = 10.0 ** (-0.5 / 20.0)
OVERSHOOT_TOLERANCE_LU = 1.0


def loudness(clip: Clip) -> jax.Array:
    """Ungated BS.1770 loudness in LUFS, scalar, at least -70."""
    return clip.loudness_lufs


def loudness_distance(clip: Clip, target_lufs: jax.Array) -> jax.Array:
    """Absolute difference of two loudnesses in LU."""
    return jnp.abs(clip.loudness_lufs - target_lufs)


def offset(clip: Clip) -> jax.Array:
    """Mean of the samples, scalar."""
    return jnp.mean(clip.audio)


def dc_penalty(clip: Clip, target_offset: jax.Array) -> jax.Array:
    """Offset beyond the target's, in amplitude.

    A low note that ends within a period has a small mean of its own (a full-scale sine at 40 Hz up
    to 0.016 over 0.4 s), hence the tolerance.
    """
    return jax.nn.relu(jnp.abs(offset(clip) - target_offset) - DC_TOLERANCE)


def clip_excess(clip: Clip) -> jax.Array:
    """Mean excess over -0.5 dB relative to full scale, scalar; a full-scale square gives 1."""
    return jnp.mean(jax.nn.relu(jnp.abs(clip.audio) - CLIP_KNEE)) / (1.0 - CLIP_KNEE)


def clip_penalty(clip: Clip, target_excess: jax.Array) -> jax.Array:
    """`clip_excess` beyond the target's."""
    return jax.nn.relu(clip_excess(clip) - target_excess)


def overshoot_penalty(clip: Clip, target_lufs: jax.Array) -> jax.Array:
    """Loudness above the target's by more than 1 LU, in LU."""
    return jax.nn.relu(clip.loudness_lufs - target_lufs - OVERSHOOT_TOLERANCE_LU)


LOUD = Term(0.1, loudness, loudness_distance, matched=False)
DC = Term(10.0, offset, dc_penalty, matched=False, penalty=True)
CLIP = Term(10.0, clip_excess, clip_penalty, matched=False, penalty=True)
OVERSHOOT = Term(0.1, loudness, overshoot_penalty, matched=False, penalty=True)
