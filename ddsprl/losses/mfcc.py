"""MFCC distance: mean absolute difference of cepstra, the shape of the spectrum apart from its level.

Coefficient 0 is the mean level of the frame; loudness, log-mel and envelope already answer for it,
and at its size it would drown the others, so it is left out.
"""

import jax
import jax.numpy as jnp


def mfcc_distance(mfcc: jax.Array, target_mfcc: jax.Array) -> jax.Array:
    """Mean absolute difference of coefficients 1 and up.

    Args:
        mfcc: [n_mfcc, frames] of the candidate, from mel in dB, orthonormal DCT-II.
        target_mfcc: [n_mfcc, frames].

    Returns:
        Non-negative scalar, dB.
    """
    return jnp.mean(jnp.abs(mfcc[1:] - target_mfcc[1:]))
