"""Penalties on what a spectral loss does not hear but a cheat can use: offset, clipping, loudness.

Each is measured beyond the target's own: a recording that is itself clipped does not forbid its match.
All are zero in honest use.
"""

import jax
import jax.numpy as jnp

DC_TOLERANCE = 0.02
CLIP_KNEE = 10.0 ** (-0.5 / 20.0)
OVERSHOOT_TOLERANCE_LU = 1.0


def dc_penalty(audio: jax.Array, target_dc: jax.Array) -> jax.Array:
    """Offset beyond the target's, in amplitude.

    A low note that ends within a period has a small mean of its own (a full-scale sine at 40 Hz up
    to 0.016 over 0.4 s), hence the tolerance.

    Args:
        audio: [n].
        target_dc: scalar, mean of the target.
    """
    return jax.nn.relu(jnp.abs(jnp.mean(audio) - target_dc) - DC_TOLERANCE)


def clip_excess(audio: jax.Array) -> jax.Array:
    """Mean excess over -0.5 dB relative to full scale of [n] samples; a full-scale square gives 1."""
    return jnp.mean(jax.nn.relu(jnp.abs(audio) - CLIP_KNEE)) / (1.0 - CLIP_KNEE)


def clip_penalty(audio: jax.Array, target_excess: jax.Array) -> jax.Array:
    """`clip_excess` of `audio` [n] beyond the target's (scalar)."""
    return jax.nn.relu(clip_excess(audio) - target_excess)


def overshoot_penalty(loudness_lufs: jax.Array, target_lufs: jax.Array) -> jax.Array:
    """Loudness above the target's by more than 1 LU, in LU."""
    return jax.nn.relu(loudness_lufs - target_lufs - OVERSHOOT_TOLERANCE_LU)
