"""RMS-envelope distance: mean absolute difference of two short-time levels in dB.

Levels in dB hear a release tail as well as an attack; the floor follows the target's peak, so what
happens in its silence counts up to there only.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from ddsprl.losses.term import Clip, Term
from synth_jax.units import power_to_db

DYNAMIC_RANGE_DB = 60.0
# Mean square of a silent target's floor: -70 dB relative to full scale.
LOWEST_FLOOR = 1e-7


def mean_square_envelope(audio: jax.Array, hop: int) -> jax.Array:
    """Mean square over windows of two hops, from sums over blocks (no FFT, no gather).

    Args:
        audio: [n].
        hop: samples a block.

    Returns:
        [ceil(n / hop) + 1]; the clip is extended by zeros on both sides.
    """
    blocks = -(-audio.shape[-1] // hop)
    padded = jnp.pad(jnp.square(audio), (0, blocks * hop - audio.shape[-1])).reshape(blocks, hop)
    block_mean = jnp.pad(jnp.sum(padded, axis=1) * (0.5 / hop), (1, 1))
    return block_mean[1:] + block_mean[:-1]


def envelope_floor(target_envelope: jax.Array) -> jax.Array:
    """Mean square added before the logarithm, from the target's [frames] envelope."""
    return jnp.maximum(jnp.max(target_envelope) * 10.0 ** (-DYNAMIC_RANGE_DB / 10.0), LOWEST_FLOOR)


def envelope_to_db(envelope: jax.Array, floor: jax.Array) -> jax.Array:
    """Mean squares [frames] to dB above the floor, which is added, not clamped."""
    return power_to_db(envelope + floor, LOWEST_FLOOR)


class EnvelopeTarget(NamedTuple):
    """What the distance needs to know of a target.

    Attributes:
        floor: scalar mean square.
        envelope_db: [blocks], dB.
    """

    floor: jax.Array
    envelope_db: jax.Array


def _envelope(clip: Clip) -> jax.Array:
    return mean_square_envelope(clip.audio, max(1, round(clip.config.envelope_hop_s * clip.sample_rate)))


def prepare(clip: Clip) -> EnvelopeTarget:
    """The target's side of the distance."""
    envelope = _envelope(clip)
    floor = envelope_floor(envelope)
    return EnvelopeTarget(floor, envelope_to_db(envelope, floor))


def distance(clip: Clip, target: EnvelopeTarget) -> jax.Array:
    """Mean absolute difference of the two envelopes in dB."""
    return jnp.mean(jnp.abs(envelope_to_db(_envelope(clip), target.floor) - target.envelope_db))


TERM = Term(0.06, prepare, distance)
