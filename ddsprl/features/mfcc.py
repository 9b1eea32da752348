"""Mel-frequency cepstral coefficients: the smooth outline of the log-mel spectrum.

Davis and Mermelstein, "Comparison of parametric representations for monosyllabic word recognition"
(1980), with an orthonormal DCT-II over the bands in dB (librosa's default, without liftering).
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np

from ddsprl.features.mel import log_mel_db
from ddsprl.features.sound import Sound

DEFAULT_N_MFCC = 20


@functools.lru_cache(maxsize=32)
def dct_matrix(n_out: int, n_in: int) -> np.ndarray:
    """First `n_out` rows of the orthonormal DCT-II, float64 [n_out, n_in] (read-only)."""
    k = np.arange(n_out)[:, None]
    matrix = np.sqrt(2.0 / n_in) * np.cos(np.pi / n_in * (np.arange(n_in) + 0.5) * k)
    matrix[0] *= np.sqrt(0.5)
    matrix.setflags(write=False)
    return matrix


def mfcc_from_mel_db(mel_db: jax.Array, n_mfcc: int = DEFAULT_N_MFCC) -> jax.Array:
    """Cepstral coefficients of a log-mel spectrum.

    Args:
        mel_db: [n_mels, frames], dB.
        n_mfcc: number of coefficients, the first one being the overall level.

    Returns:
        [n_mfcc, frames], dB.
    """
    matrix = jnp.asarray(dct_matrix(n_mfcc, mel_db.shape[0]), mel_db.dtype)
    return jnp.matmul(matrix, mel_db, precision=jax.lax.Precision.HIGHEST)


def mfcc(sound: Sound) -> jax.Array:
    """Mel-frequency cepstral coefficients, [20, frames], dB."""
    return mfcc_from_mel_db(sound[log_mel_db])
