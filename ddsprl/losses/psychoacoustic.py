"""Frequency weightings for the spectral terms: how much a bin counts to an ear.

A weighting is a gain in dB over frequency, used as weights of mean 1 over the bins. Bins count at least
`LOWEST_GAIN_DB` relative to the most sensitive one, so that none escapes altogether.
"""

import functools
from collections.abc import Callable

import numpy as np

from ddsprl.features.stft import bin_frequencies_hz

LOWEST_GAIN_DB = -40.0
_PHON = 60.0

# ISO 226:2003, table 1: frequency in Hz, exponent, transfer magnitude in dB, hearing threshold in dB.
_ISO_HZ = (20, 25, 31.5, 40, 50, 63, 80, 100, 125, 160, 200, 250, 315, 400, 500, 630, 800, 1000, 1250, 1600)
_ISO_HZ += (2000, 2500, 3150, 4000, 5000, 6300, 8000, 10000, 12500)
_ISO_EXPONENT = (0.532, 0.506, 0.480, 0.455, 0.432, 0.409, 0.387, 0.367, 0.349, 0.330, 0.315, 0.301, 0.288)
_ISO_EXPONENT += (0.276, 0.267, 0.259, 0.253, 0.250, 0.246, 0.244, 0.243, 0.243, 0.243, 0.242, 0.242, 0.245)
_ISO_EXPONENT += (0.254, 0.271, 0.301)
_ISO_TRANSFER_DB = (-31.6, -27.2, -23.0, -19.1, -15.9, -13.0, -10.3, -8.1, -6.2, -4.5, -3.1, -2.0, -1.1)
_ISO_TRANSFER_DB += (-0.4, 0.0, 0.3, 0.5, 0.0, -2.7, -4.1, -1.0, 1.7, 2.5, 1.2, -2.1, -7.1, -11.2)
_ISO_TRANSFER_DB += (-10.7, -3.1)
_ISO_THRESHOLD_DB = (78.5, 68.7, 59.5, 51.1, 44.0, 37.5, 31.5, 26.5, 22.1, 17.9, 14.4, 11.4, 8.6, 6.2, 4.4)
_ISO_THRESHOLD_DB += (3.0, 2.2, 2.4, 3.5, 1.7, -1.3, -4.2, -6.0, -5.4, -1.5, 6.0, 12.6, 13.9, 12.3)


def a_weighting_db(frequency_hz: np.ndarray) -> np.ndarray:
    """A-weighting in dB, 0 at 1 kHz (IEC 61672-1, annex E); `-inf` at 0 Hz is clamped to 1 Hz."""
    f2 = np.square(np.maximum(frequency_hz, 1.0))
    low = (f2 + 20.598997**2) * np.sqrt((f2 + 107.65265**2) * (f2 + 737.86223**2))
    return 20.0 * np.log10(12194.217**2 * f2**2 / (low * (f2 + 12194.217**2))) + 2.0


def equal_loudness_db(frequency_hz: np.ndarray, phon: float = _PHON) -> np.ndarray:
    """Sound pressure level in dB that sounds as loud as `phon` dB at 1 kHz (ISO 226:2003, equation 1).

    Between the tabulated frequencies the contour is interpolated over log frequency; beyond them it is
    held.

    Args:
        frequency_hz: any shape.
        phon: loudness level, 20 to 80.
    """
    exponent, transfer = np.asarray(_ISO_EXPONENT), np.asarray(_ISO_TRANSFER_DB)
    threshold = np.asarray(_ISO_THRESHOLD_DB)
    excess = 4.47e-3 * (10.0 ** (0.025 * phon) - 1.15)
    at_threshold = (0.4 * 10.0 ** ((threshold + transfer) / 10.0 - 9.0)) ** exponent
    contour = 10.0 / exponent * np.log10(excess + at_threshold) - transfer + 94.0
    return np.interp(np.log(np.maximum(frequency_hz, 1.0)), np.log(_ISO_HZ), contour)


def iso226_db(frequency_hz: np.ndarray) -> np.ndarray:
    """Sensitivity in dB relative to 1 kHz: the 60-phon contour, upside down."""
    return _PHON - equal_loudness_db(frequency_hz)


WEIGHTINGS: dict[str, Callable[[np.ndarray], np.ndarray] | None] = {
    "none": None,
    "a_weighting": a_weighting_db,
    "iso226": iso226_db,
}


@functools.lru_cache(maxsize=32)
def bin_weights(name: str, sample_rate: int, n_fft: int) -> np.ndarray | None:
    """Weights of the bins of a real FFT by the name of a weighting.

    Args:
        name: a key of `WEIGHTINGS`.
        sample_rate: Hz.
        n_fft: transform length in samples.

    Returns:
        float64 [n_fft // 2 + 1], mean 1, or None for "none".
    """
    curve = WEIGHTINGS[name]
    if curve is None:
        return None
    gain_db = curve(bin_frequencies_hz(sample_rate, n_fft))
    weights = 10.0 ** (np.maximum(gain_db - np.max(gain_db), LOWEST_GAIN_DB) / 20.0)
    return weights / np.mean(weights)
