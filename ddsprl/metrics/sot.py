"""SOT: optimal transport between normalised spectra, as the field reports it.

As evaluated in Hayes, Saitis and Fazekas 2025 (arXiv 2506.07199; see `ddsprl.metrics.mss`), after Torres,
Peeters and Richard 2024, "Unsupervised harmonic parameter estimation using differentiable DSP and spectral
optimal transport" (ICASSP). Not the loss of `ddsprl.losses.transport`: here the axis is linear in frequency,
the mass is magnitude, and all frames weigh the same.
"""

import jax
import jax.numpy as jnp

from ddsprl.features.stft import magnitude_from_power
from ddsprl.metrics.frames import power_frames, samples

WINDOW_MS, HOP_MS = 50, 20
SMALLEST_SUM = 1e-6


def sot(target: jax.Array, candidate: jax.Array, sample_rate: int) -> jax.Array:
    """1-Wasserstein distance of the magnitude spectra, frame by frame, averaged over the frames.

    Magnitudes of centred Hann frames of 50 ms every 20 ms, each frame divided by its sum (or by 1e-6 if that
    is larger). A frame's distance is the sum over bins of |difference of cumulative sums| divided by the
    number of bins. The axis from 0 Hz to half the sample rate so has length 1, and the number scales with
    the rate: times `sample_rate / 2` it is in Hz. A silent frame has no mass; against a sounding one it
    costs the latter's mean distance from the top of the axis, as in the published script.

    Args:
        target: [n].
        candidate: [n].
        sample_rate: Hz, static.

    Returns:
        Scalar in [0, 1], share of half the sample rate; symmetric; 0 for equal clips.
    """
    difference = _cumulative(target, sample_rate) - _cumulative(candidate, sample_rate)
    return jnp.mean(jnp.abs(difference))


def _cumulative(audio: jax.Array, sample_rate: int) -> jax.Array:
    """Cumulative distribution over the bins, [frames, bins]."""
    power = power_frames(audio, window=samples(WINDOW_MS, sample_rate), hop=samples(HOP_MS, sample_rate))
    magnitude = magnitude_from_power(power)
    total = jnp.sum(magnitude, axis=-1, keepdims=True)
    return jnp.cumsum(magnitude / jnp.maximum(total, SMALLEST_SUM), axis=-1)
