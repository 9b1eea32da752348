"""Spectral peakiness (crest): how far the strongest bin stands above the mean of the spectrum.

The crest factor of the power spectrum, `max(P) / mean(P)` (Peeters 2004, "A large set of audio
features for sound description", CUIDADO project report), in dB: 0 dB where all bins are equal,
`10 log10(bins)` for a single line. Flatness reads the valleys of a spectrum, peakiness its highest peak.
"""

import jax
import jax.numpy as jnp

from ddsprl.features.sound import Sound
from ddsprl.features.stft import power
from synth_jax.units import power_to_db

POWER_FLOOR = 1e-10


def peakiness_db(sound: Sound) -> jax.Array:
    """Crest of each frame's power spectrum.

    Returns:
        [frames], dB, 0 to `10 log10(bins)`; 0 where every bin lies below the floor of 1e-10.
    """
    floored = jnp.maximum(sound[power], POWER_FLOOR)
    peak_db = power_to_db(jnp.max(floored, axis=-1), POWER_FLOOR)
    return peak_db - power_to_db(jnp.mean(floored, axis=-1), POWER_FLOOR)
