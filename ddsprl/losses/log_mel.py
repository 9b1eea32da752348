"""Log-mel distance: root mean square of the differences of two mel spectrograms in dB.

The floor of the logarithm follows the target: what lies more than `DYNAMIC_RANGE_DB` below its
loudest band is not heard beside it, so a difference down there does not count.
"""

import jax
import jax.numpy as jnp

from ddsprl.features.mel import mel_filterbank
from ddsprl.losses.term import Clip, Term, mel_window
from synth_jax.numerics import safe_norm
from synth_jax.units import power_to_db

DYNAMIC_RANGE_DB = 80.0
# The floor of a silent target. A full-scale sine reaches about +30 dB in a 1024-sample Slaney mel.
LOWEST_FLOOR = 1e-6


def mel_floor(target_mel: jax.Array) -> jax.Array:
    """Power added to every band before the logarithm, from the target's [frames, n_mels] mel power."""
    return jnp.maximum(jnp.max(target_mel) * 10.0 ** (-DYNAMIC_RANGE_DB / 10.0), LOWEST_FLOOR)


def mel_to_db(mel: jax.Array, floor: jax.Array) -> jax.Array:
    """Mel power [frames, n_mels] to dB; adding the floor keeps a gradient below it, unlike a clamp."""
    return power_to_db(mel + floor, LOWEST_FLOOR)


def mel_power(clip: Clip) -> jax.Array:
    """Mel power [frames, n_mels]: time first, as the spectra are, which saves a transposition."""
    power = clip.powers[clip.config.mel_n_fft]
    filters = mel_filterbank(clip.sample_rate, clip.config.mel_n_fft, clip.config.n_mels)
    return jnp.matmul(power, jnp.asarray(filters.T, power.dtype), precision=jax.lax.Precision.HIGHEST)


def floor(clip: Clip) -> jax.Array:
    """`mel_floor` of a clip, scalar."""
    return mel_floor(clip[mel_power])


def mel_db(clip: Clip) -> jax.Array:
    """Mel power [frames, n_mels] in dB above the target's floor."""
    return mel_to_db(clip[mel_power], clip.reference(floor))


def prepare(clip: Clip) -> jax.Array:
    """The target's mel power in dB, [frames, n_mels]."""
    return clip[mel_db]


def distance(clip: Clip, target_mel_db: jax.Array) -> jax.Array:
    """Root mean square difference in dB of two mel spectrograms."""
    return safe_norm(clip[mel_db] - target_mel_db) / target_mel_db.size**0.5


TERM = Term(0.03, prepare, distance, needs=mel_window)
