"""Spectral flatness: geometric over arithmetic mean of the power spectrum, 1 for white noise."""

import jax
import jax.numpy as jnp

from ddsprl.features.sound import Sound
from ddsprl.features.stft import power
from synth_jax.numerics import safe_log

POWER_FLOOR = 1e-10


def flatness(sound: Sound) -> jax.Array:
    """Spectral flatness (Gray and Markel 1974; MPEG-7 AudioSpectrumFlatness, one band).

    Returns:
        [frames], 0 (one partial) to 1 (white); 1 where every bin lies below the floor of 1e-10.
    """
    floored = jnp.maximum(sound[power], POWER_FLOOR)
    return jnp.exp(jnp.mean(safe_log(floored, POWER_FLOOR), axis=-1)) / jnp.mean(floored, axis=-1)
