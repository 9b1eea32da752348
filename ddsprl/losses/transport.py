"""Spectral optimal transport: how far, in octaves, a spectrum's energy must move to become the target's.

A spectral distance compares bin with bin, so once two partials do not overlap it no longer says in
which direction to go. The Wasserstein distance of the normalised spectra does (Torres, Peeters and
Richard 2024, "Unsupervised harmonic parameter estimation using differentiable DSP and spectral
optimal transport", ICASSP). In one dimension, with p = 1, it is the area between the cumulative
distributions, `W1 = integral |F(x) - G(x)| dx`, which needs no quantiles.

The axis is log2 of frequency and the mass is power. A pitch shift then moves all of the mass by the same
distance, and the fundamental's region outweighs the leakage and the upper partials.
"""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from ddsprl.features.stft import bin_frequencies_hz
from ddsprl.losses.term import Clip, Term, longest_window

LOWEST_HZ = 30.0
# Mass spread evenly over the axis, as a fraction of the target's mean frame power: a silent frame
# has a defined distribution, and a sounding one is not changed audibly (-60 dB).
_EVEN_MASS = 1e-6
_SMALLEST_MASS = 1e-7


class TransportTarget(NamedTuple):
    """What the distance needs to know of a target.

    Attributes:
        cumulative: [frames, bands - 1], cumulative distribution at the inner band edges.
        frame_weights: [frames], sum 1 (0 for silence): the target's share of energy.
        even_mass: scalar, power added to each frame, spread evenly over the axis.
    """

    cumulative: jax.Array
    frame_weights: jax.Array
    even_mass: jax.Array


@functools.lru_cache(maxsize=16)
def _cumulative_matrix(sample_rate: int, n_fft: int, bands: int) -> tuple[np.ndarray, float]:
    """Matrix from bins to mass below each inner edge (last column: all mass), and the band in octaves.

    A bin's mass is spread over one band around its place on the axis, so the cumulative distribution
    moves continuously, not by steps, as a partial glides.
    """
    octaves = np.log2(np.maximum(bin_frequencies_hz(sample_rate, n_fft), LOWEST_HZ))
    edges = np.linspace(octaves[0], octaves[-1], bands + 1)[1:-1]
    band_octaves = float(edges[1] - edges[0])
    below = np.clip((edges[None, :] - octaves[:, None]) / band_octaves + 0.5, 0.0, 1.0)
    matrix = np.concatenate([below, np.ones((octaves.size, 1))], axis=1)
    matrix.setflags(write=False)
    return matrix, band_octaves


def _distribution(mass: jax.Array, even_mass: jax.Array) -> jax.Array:
    """Cumulative distribution [frames, bands - 1] of `mass` [frames, bands] (last column: total)."""
    bands = mass.shape[-1]
    even = jnp.arange(1, bands, dtype=mass.dtype) / bands
    return (mass[:, :-1] + even_mass * even) / (mass[:, -1:] + even_mass)


def _mass(power: jax.Array, sample_rate: int, bands: int) -> jax.Array:
    n_fft = 2 * (power.shape[-1] - 1)
    matrix, _ = _cumulative_matrix(sample_rate, n_fft, bands)
    return jnp.matmul(power, jnp.asarray(matrix, power.dtype), precision=jax.lax.Precision.HIGHEST)


def _power(clip: Clip) -> jax.Array:
    return clip.powers[max(clip.config.n_ffts)]


def prepare(clip: Clip) -> TransportTarget:
    """The target's side of the distance."""
    mass = _mass(_power(clip), clip.sample_rate, clip.config.transport_bands)
    total = mass[:, -1]
    even_mass = jnp.maximum(_EVEN_MASS * jnp.mean(total), _SMALLEST_MASS)
    return TransportTarget(
        _distribution(mass, even_mass), total / jnp.maximum(jnp.sum(total), _SMALLEST_MASS), even_mass
    )


def distance(clip: Clip, target: TransportTarget) -> jax.Array:
    """1-Wasserstein distance of the normalised power spectra, averaged over the target's energy.

    Returns:
        Non-negative scalar, octaves; at most the length of the axis.
    """
    power, bands = _power(clip), clip.config.transport_bands
    _, band_octaves = _cumulative_matrix(clip.sample_rate, 2 * (power.shape[-1] - 1), bands)
    cumulative = _distribution(_mass(power, clip.sample_rate, bands), target.even_mass)
    per_frame = band_octaves * jnp.sum(jnp.abs(cumulative - target.cumulative), axis=1)
    return jnp.sum(target.frame_weights * per_frame)


TERM = Term(0.5, prepare, distance, needs=longest_window)
