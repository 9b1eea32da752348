"""Multi-resolution STFT distance: spectral convergence plus L1 of log magnitudes.

For magnitudes `X`, `T` of the candidate and the target at one resolution,

    || T - X ||_F / || T ||_F  +  mean | log T - log X |,

averaged over resolutions (Yamamoto et al. 2020, "Parallel WaveGAN", eqs. 3 to 6; terms from Arik et
al. 2018). Values agree with `auraloss.freq.MultiResolutionSTFTLoss` (Steinmetz and Reiss 2020):
power clamped at 1e-8, reflected edges, natural logarithm.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from ddsprl.losses.psychoacoustic import bin_weights
from ddsprl.losses.spectra import Resolution, power_spectra, quarter_hop, spectral_norm_of_level
from ddsprl.losses.term import Clip, Term, every_window
from synth_jax.numerics import safe_log, safe_norm, safe_sqrt

POWER_FLOOR = 1e-8

DEFAULT_RESOLUTIONS = (quarter_hop(2048), quarter_hop(1024), quarter_hop(512))
"""The objective's: windows of 2048, 1024 and 512 samples, hops of a quarter."""

YARDSTICK_RESOLUTIONS = (Resolution(1024, 120, 600), Resolution(2048, 240, 1200), Resolution(512, 50, 240))
"""auraloss' default FFT sizes, hops and windows."""

# A target below this RMS level counts as having it in the denominator of the spectral convergence,
# which would otherwise grow without bound as the target fades to silence.
QUIETEST_TARGET_DB = -70.0


class SpectrumTarget(NamedTuple):
    """What the distance needs to know of a target at one resolution.

    Attributes:
        magnitude: [frames, bins].
        log_magnitude: [frames, bins], natural logarithm.
        norm: scalar, guarded (and weighted) Frobenius norm of the magnitude.
    """

    magnitude: jax.Array
    log_magnitude: jax.Array
    norm: jax.Array


def prepare_one(
    power: jax.Array, n: int, resolution: Resolution, weights: np.ndarray | None = None
) -> SpectrumTarget:
    """Compute the target's side of the distance once.

    Args:
        power: [frames, bins] of the target.
        n: samples of the clip.
        resolution: the STFT setting of `power`.
        weights: [bins], see `distance_one`.
    """
    magnitude = safe_sqrt(power, POWER_FLOOR)
    weighted = magnitude if weights is None else magnitude * jnp.asarray(weights, power.dtype)
    floor = spectral_norm_of_level(n, resolution, QUIETEST_TARGET_DB)
    norm = jnp.maximum(safe_norm(weighted), floor)
    return SpectrumTarget(magnitude, 0.5 * safe_log(power, POWER_FLOOR), norm)


def distance_one(power: jax.Array, target: SpectrumTarget, weights: np.ndarray | None = None) -> jax.Array:
    """Spectral convergence plus log-magnitude L1 at one resolution.

    Args:
        power: [frames, bins] of the candidate.
        target: the prepared target at the same resolution.
        weights: [bins], mean 1; weights the magnitudes of the first term and the absolute
            differences of the second. None is all ones.

    Returns:
        Non-negative scalar.
    """
    linear = safe_sqrt(power, POWER_FLOOR) - target.magnitude
    logarithmic = jnp.abs(0.5 * safe_log(power, POWER_FLOOR) - target.log_magnitude)
    if weights is not None:
        gain = jnp.asarray(weights, power.dtype)
        linear, logarithmic = linear * gain, logarithmic * gain
    return safe_norm(linear) / target.norm + jnp.mean(logarithmic)


def multi_resolution_stft(
    audio: jax.Array, target: jax.Array, *, resolutions: tuple[Resolution, ...] = DEFAULT_RESOLUTIONS
) -> jax.Array:
    """Multi-resolution STFT distance of two clips.

    Args:
        audio: [n], the candidate.
        target: [n].
        resolutions: STFT settings, averaged.

    Returns:
        Non-negative scalar; 0 for equal clips.
    """
    candidate_power = power_spectra(audio, resolutions)
    target_power = power_spectra(target, resolutions)
    total = jnp.zeros((), audio.dtype)
    for resolution in resolutions:
        prepared = prepare_one(target_power[resolution.n_fft], audio.shape[-1], resolution)
        total = total + distance_one(candidate_power[resolution.n_fft], prepared)
    return total / len(resolutions)


def yardstick(audio: jax.Array, target: jax.Array) -> jax.Array:
    """MR-STFT as auraloss computes it by default: the outside judge, which nothing optimises by name.

    The clips are compared as they are; `ddsprl.losses.matching.matched_yardstick` matches their
    loudness first.

    Args:
        audio: [n], the candidate.
        target: [n].

    Returns:
        Non-negative scalar.
    """
    return multi_resolution_stft(audio, target, resolutions=YARDSTICK_RESOLUTIONS)


def _weights(clip: Clip, n_fft: int) -> np.ndarray | None:
    return bin_weights(clip.config.weighting, clip.sample_rate, n_fft)


def prepare(clip: Clip) -> tuple[SpectrumTarget, ...]:
    """The target's side of the distance at each resolution."""
    n = clip.audio.shape[-1]
    return tuple(
        prepare_one(clip.powers[n_fft], n, quarter_hop(n_fft), _weights(clip, n_fft))
        for n_fft in clip.config.n_ffts
    )


def distance(clip: Clip, target: tuple[SpectrumTarget, ...]) -> jax.Array:
    """Mean over the resolutions."""
    distances = [
        distance_one(clip.powers[n_fft], spectrum, _weights(clip, n_fft))
        for n_fft, spectrum in zip(clip.config.n_ffts, target, strict=True)
    ]
    return sum(distances[1:], distances[0]) / len(distances)


TERM = Term(1.0, prepare, distance, needs=every_window)
