"""The field's four metrics of one pair of clips, and of many pairs at once."""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from ddsprl.metrics.mss import mss
from ddsprl.metrics.rms_cosine import rms_cosine
from ddsprl.metrics.sot import sot
from ddsprl.metrics.wmfcc import wmfcc

PAIRS_AT_ONCE = 32


class FieldMetrics(NamedTuple):
    """The metrics of Hayes, Saitis and Fazekas 2025 (arXiv 2506.07199), in the order of their tables.

    Attributes:
        mss: dB, 0 is best; see `ddsprl.metrics.mss`.
        wmfcc: dB of cepstral coefficients, 0 is best; see `ddsprl.metrics.wmfcc`.
        sot: share of half the sample rate, 0 is best; see `ddsprl.metrics.sot`.
        rms_cosine: 1 is best; see `ddsprl.metrics.rms_cosine`.
    """

    mss: Any
    wmfcc: Any
    sot: Any
    rms_cosine: Any


def field_metrics(target: jax.Array, candidate: jax.Array, sample_rate: int) -> FieldMetrics:
    """All four metrics of one pair.

    Args:
        target: [n].
        candidate: [n].
        sample_rate: Hz, static.

    Returns:
        Scalars.
    """
    return FieldMetrics(*(metric(target, candidate, sample_rate) for metric in (mss, wmfcc, sot, rms_cosine)))


def field_metrics_batch(targets: Any, candidates: Any, sample_rate: int) -> FieldMetrics:
    """All four metrics of many pairs, on the host; compiled once for each clip length and rate.

    Args:
        targets: [..., n], as `[targets, 1, 1, n]`.
        candidates: [..., n], leading axes broadcast against those of `targets`.
        sample_rate: Hz.

    Returns:
        NumPy arrays of the broadcast leading shape.
    """
    targets, candidates = (np.asarray(clips, np.float32) for clips in (targets, candidates))
    shape = np.broadcast_shapes(targets.shape[:-1], candidates.shape[:-1])
    n, pairs = targets.shape[-1], int(np.prod(shape))
    flat = [np.broadcast_to(clips, (*shape, n)).reshape(pairs, n) for clips in (targets, candidates)]
    judge = _compiled(sample_rate)
    parts = []
    for start in range(0, pairs, PAIRS_AT_ONCE):
        a, b = (_filled(clips[start : start + PAIRS_AT_ONCE]) for clips in flat)
        parts.append(np.stack(jax.device_get(judge(a, b))))
    values = np.concatenate(parts, axis=1)[:, :pairs] if parts else np.zeros((4, 0), np.float32)
    return FieldMetrics(*(row.reshape(shape) for row in values))


@functools.lru_cache(maxsize=8)
def _compiled(sample_rate: int) -> Callable[[jax.Array, jax.Array], FieldMetrics]:
    """The metrics of a batch of pairs, `[b, n]` twice."""
    return jax.jit(jax.vmap(functools.partial(field_metrics, sample_rate=sample_rate)))


def _filled(clips: np.ndarray) -> jax.Array:
    """A full batch, the missing clips silent, so that one shape is compiled."""
    return jnp.asarray(np.pad(clips, ((0, PAIRS_AT_ONCE - clips.shape[0]), (0, 0))))
