"""Spectral-centroid distance in octaves, where the target sounds.

A centroid in hertz would count 100 Hz alike in a bass and in a cymbal; octaves do not. Frames are
weighted by the target's magnitude: the centroid of a near-silent frame is that of its noise.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from ddsprl.features.stft import bin_frequencies_hz
from ddsprl.losses.mrstft import POWER_FLOOR
from ddsprl.losses.term import Clip, Term, mel_window
from synth_jax.numerics import safe_log, safe_sqrt
from synth_jax.units import LN2

LOWEST_HZ = 20.0


class CentroidTarget(NamedTuple):
    """What the distance needs to know of a target.

    Attributes:
        octaves: [frames], log2 of the centroid in Hz.
        frame_weights: [frames], sum 1.
    """

    octaves: jax.Array
    frame_weights: jax.Array


def centroid_octaves(power: jax.Array, sample_rate: int) -> tuple[jax.Array, jax.Array]:
    """Log2 of the spectral centroid, and the total magnitude of each frame.

    The magnitudes are clamped from below (at the MR-STFT's floor), so a silent frame has a defined
    centroid: the middle of the band.

    Args:
        power: [frames, bins].
        sample_rate: Hz.

    Returns:
        Octaves above 1 Hz [frames] and summed magnitude [frames].
    """
    magnitude = safe_sqrt(power, POWER_FLOOR)
    frequency_hz = jnp.asarray(bin_frequencies_hz(sample_rate, 2 * (power.shape[-1] - 1)), power.dtype)
    # One product for both sums, so that the magnitudes are read once.
    moments = magnitude @ jnp.stack([jnp.ones_like(frequency_hz), frequency_hz], axis=1)
    return safe_log(moments[:, 1] / moments[:, 0], LOWEST_HZ) / LN2, moments[:, 0]


def prepare(clip: Clip) -> CentroidTarget:
    """The target's side of the distance."""
    octaves, total = centroid_octaves(clip.powers[clip.config.mel_n_fft], clip.sample_rate)
    return CentroidTarget(octaves, total / jnp.sum(total))


def distance(clip: Clip, target: CentroidTarget) -> jax.Array:
    """Weighted mean absolute difference of the centroids, octaves."""
    octaves, _ = centroid_octaves(clip.powers[clip.config.mel_n_fft], clip.sample_rate)
    return jnp.sum(target.frame_weights * jnp.abs(octaves - target.octaves))


TERM = Term(0.6, prepare, distance, needs=mel_window)
