"""Frame-to-frame differences: how a feature moves."""

import jax
import jax.numpy as jnp

from ddsprl.features.mel import log_mel
from ddsprl.features.mfcc import mfcc


def deltas(track: jax.Array) -> jax.Array:
    """First difference along time, `x[t] - x[t - 1]`, with 0 in the first frame.

    Args:
        track: [..., frames].

    Returns:
        Same shape, in the track's unit per hop.
    """
    first = jnp.zeros_like(track[..., :1])
    return jnp.concatenate([first, track[..., 1:] - track[..., :-1]], axis=-1)


def log_mel_delta(audio: jax.Array, sample_rate: int) -> jax.Array:
    """Differences of the default log-mel spectrum, dB per hop, [n_mels, frames]."""
    return deltas(log_mel(audio, sample_rate))


def mfcc_delta(audio: jax.Array, sample_rate: int) -> jax.Array:
    """Differences of the default MFCC, dB per hop, [n_mfcc, frames]."""
    return deltas(mfcc(audio, sample_rate))
