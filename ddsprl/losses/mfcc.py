"""MFCC distance: mean absolute difference of cepstra, the shape of the spectrum apart from its level.

Coefficient 0 is the mean level of the frame; loudness, log-mel and envelope already answer for it,
and at its size it would drown the others, so it is left out.
"""

import jax
import jax.numpy as jnp

from ddsprl.features.mfcc import mfcc_from_mel_db
from ddsprl.losses.log_mel import mel_db
from ddsprl.losses.term import Clip, Term, mel_window


def cepstrum(clip: Clip) -> jax.Array:
    """Orthonormal DCT-II of the mel bands in dB, [n_mfcc, frames]."""
    return mfcc_from_mel_db(clip[mel_db].T, clip.config.n_mfcc)


def distance(clip: Clip, target_mfcc: jax.Array) -> jax.Array:
    """Mean absolute difference of coefficients 1 and up, dB."""
    return jnp.mean(jnp.abs(cepstrum(clip)[1:] - target_mfcc[1:]))


TERM = Term(0.05, cepstrum, distance, needs=mel_window)
