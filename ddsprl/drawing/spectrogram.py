"""Sound as a picture: level over time and logarithmic frequency."""

import numpy as np

RANGE_DB = 80.0
LOWEST_HZ = 30.0


def log_spectrogram_db(
    samples: np.ndarray, sample_rate: int, *, rows: int = 240
) -> tuple[np.ndarray, np.ndarray]:
    """Power spectrogram on a logarithmic frequency axis.

    Args:
        samples: [n].
        sample_rate: in Hz.
        rows: number of frequencies, spaced evenly in log frequency from 30 Hz to half the rate.

    Returns:
        The level in dB (any reference), [rows, frames], and the frequencies in Hz, [rows]. Frames are spread
        evenly over the clip, the first centred on its first and the last on its last sample.
    """
    window = 2 ** round(np.log2(0.064 * sample_rate))
    frames = 480
    starts = np.round(np.linspace(0, max(samples.size - 1, 0), frames)).astype(int)
    padded = np.pad(samples, (window // 2, window // 2 + 1))
    framed = padded[starts[:, None] + np.arange(window)] * np.hanning(window)
    power = np.square(np.abs(np.fft.rfft(framed, 2 * window, axis=1)))
    edges_hz = np.geomspace(LOWEST_HZ, sample_rate / 2, rows + 1)
    hz = np.sqrt(edges_hz[:-1] * edges_hz[1:])
    bin_hz = sample_rate / (2 * window)
    # Few bins a row at the bottom: interpolate. Many at the top: the mean of all, through a running sum.
    running = np.concatenate([np.zeros((frames, 1)), np.cumsum(power, axis=1)], axis=1)
    position = np.arange(running.shape[1]) * bin_hz
    widened = np.maximum(np.diff(edges_hz), bin_hz) / 2
    low, high = hz - widened + bin_hz / 2, hz + widened + bin_hz / 2
    rows_power = np.stack([np.interp(high, position, r) - np.interp(low, position, r) for r in running], 1)
    return 10.0 * np.log10(np.maximum(rows_power / (2 * widened)[:, None], 1e-20)), hz
