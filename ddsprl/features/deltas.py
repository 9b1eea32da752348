"""Frame-to-frame differences: how a feature moves."""

import jax
import jax.numpy as jnp

from ddsprl.features.mel import log_mel_db
from ddsprl.features.mfcc import mfcc
from ddsprl.features.sound import Sound


def deltas(track: jax.Array) -> jax.Array:
    """First difference along time, `x[t] - x[t - 1]`, with 0 in the first frame.

    Args:
        track: [..., frames].

    Returns:
        Same shape, in the track's unit per hop.
    """
    first = jnp.zeros_like(track[..., :1])
    return jnp.concatenate([first, track[..., 1:] - track[..., :-1]], axis=-1)


def log_mel_delta_db(sound: Sound) -> jax.Array:
    """Differences of the log-mel spectrum, dB per hop, [n_mels, frames]."""
    return deltas(sound[log_mel_db])


def mfcc_delta(sound: Sound) -> jax.Array:
    """Differences of the MFCC, dB per hop, [n_mfcc, frames]."""
    return deltas(sound[mfcc])
