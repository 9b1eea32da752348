"""Loudness matching: the candidate is brought to the target's loudness before its spectrum is judged.

The loudness is ungated, hence smooth in the audio, and the gain is limited: a candidate 40 dB too
soft stays too soft, and a noise floor is not raised to a note.
"""

import jax
import jax.numpy as jnp

from ddsprl.features.loudness import ungated_loudness
from ddsprl.losses.mrstft import yardstick
from synth_jax.units import db_to_amplitude

MAX_GAIN_DB = 12.0


def matching_gain_db(
    loudness_lufs: jax.Array, target_lufs: jax.Array, *, max_gain_db: float = MAX_GAIN_DB
) -> jax.Array:
    """Gain in dB from one scalar loudness to another, limited to plus or minus `max_gain_db`."""
    return jnp.clip(target_lufs - loudness_lufs, -max_gain_db, max_gain_db)


def match_loudness(audio: jax.Array, target: jax.Array, sample_rate: int) -> jax.Array:
    """Scale `audio` [n] towards the ungated loudness of `target` [n]; differentiable in both."""
    gain_db = matching_gain_db(*(ungated_loudness(x, sample_rate) for x in (audio, target)))
    return audio * db_to_amplitude(gain_db)


def matched_yardstick(audio: jax.Array, target: jax.Array, sample_rate: int) -> jax.Array:
    """The outside judge: MR-STFT with auraloss' default windows on loudness-matched clips.

    Args:
        audio: [n], the candidate, as rendered.
        target: [n].
        sample_rate: Hz.

    Returns:
        Non-negative scalar.
    """
    return yardstick(match_loudness(audio, target, sample_rate), target)
