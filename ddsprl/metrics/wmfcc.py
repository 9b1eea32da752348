"""wMFCC: distance between sequences of cepstral coefficients, warped in time.

As evaluated in Hayes, Saitis and Fazekas 2025 (arXiv 2506.07199; see `ddsprl.metrics.mss`). The warping is
that of Sakoe and Chiba 1978, "Dynamic programming algorithm optimization for spoken word recognition",
symmetric form without slope constraint: the default (`symmetric2`) of the package dtw-python, Giorgino 2009,
"Computing and visualizing dynamic time warping alignments in R: the dtw package", Journal of Statistical
Software 31(7), that the published script calls.
"""

import jax
import jax.numpy as jnp

from ddsprl.features.mfcc import mfcc_from_mel_db
from ddsprl.metrics.frames import mel_db, samples

WINDOW_MS, HOP_MS = 50, 10
N_MELS, N_MFCC = 128, 20


def wmfcc(target: jax.Array, candidate: jax.Array, sample_rate: int) -> jax.Array:
    """Mean absolute difference of MFCCs along the best warping path.

    Coefficients 0 to 19 (orthonormal DCT-II) of 128 mel bands in dB, floored at 80 dB below the clip's
    loudest cell, of centred Hann frames of 50 ms every 10 ms. The distance of two frames is the mean over
    coefficients of |difference|; see `dtw_cost` for the path. The total is divided by the number of frames
    of both clips together, which a path's weights sum to (less 1: the first cell counts once). The 0th
    coefficient is the level, so a gain between the clips is heard: 1 dB costs `sqrt(128) / 20 = 0.57`.

    Args:
        target: [n].
        candidate: [m].
        sample_rate: Hz, static.

    Returns:
        Non-negative scalar, dB (of orthonormal coefficients); symmetric; 0 for equal clips.
    """
    a, b = (_coefficients(audio, sample_rate) for audio in (target, candidate))
    cost = jnp.mean(jnp.abs(a[:, :, None] - b[:, None, :]), axis=0)
    return dtw_cost(cost) / (cost.shape[0] + cost.shape[1])


def _coefficients(audio: jax.Array, sample_rate: int) -> jax.Array:
    window, hop = samples(WINDOW_MS, sample_rate), samples(HOP_MS, sample_rate)
    return mfcc_from_mel_db(mel_db(audio, sample_rate, window=window, hop=hop, n_mels=N_MELS), N_MFCC)


def dtw_cost(cost: jax.Array) -> jax.Array:
    """Cost of the best warping path through a matrix of local costs, exactly.

    `D[0, 0] = c[0, 0]` and `D[i, j] = min(D[i-1, j] + c, D[i, j-1] + c, D[i-1, j-1] + 2 c)` with
    `c = c[i, j]`: a diagonal step counts twice, so that every path's weights sum to `n + m - 1`.

    The cells of an anti-diagonal do not depend on one another: a scan over the `n + m - 1` of them.

    Args:
        cost: [n, m], non-negative.

    Returns:
        Scalar, `D[n - 1, m - 1]`.
    """
    diagonals = _antidiagonals(cost)
    beyond = jnp.full_like(diagonals[0], jnp.inf)

    def down(row: jax.Array) -> jax.Array:
        return jnp.concatenate([beyond[:1], row[:-1]])

    def step(carry: tuple[jax.Array, jax.Array], local: jax.Array):
        before, last = carry
        straight = jnp.minimum(last, down(last)) + local
        total = jnp.minimum(straight, down(before) + 2.0 * local)
        return (last, total), None

    (_, last), _ = jax.lax.scan(step, (beyond, diagonals[0]), diagonals[1:])
    return last[-1]


def _antidiagonals(cost: jax.Array) -> jax.Array:
    """`[n + m - 1, n]`, entry `[k, i]` being `cost[i, k - i]`, infinite outside of the matrix.

    Rows padded to `n + m` and read again as rows of `n + m - 1` are shifted by one more cell each.
    """
    n, m = cost.shape
    padded = jnp.pad(cost, ((0, 0), (0, n)), constant_values=jnp.inf)
    return padded.reshape(-1)[: n * (n + m - 1)].reshape(n, n + m - 1).T
