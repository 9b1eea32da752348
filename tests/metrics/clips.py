"""Pairs of clips for the tests of the metrics: closed formulas in NumPy, no generator."""

import numpy as np

RATE = 16_000


def voice(f0_hz: float, decay_s: float, brightness: float, *, n: int, rate: int = RATE, gain: float = 0.2):
    """Harmonic tone with a soft start and an exponential decay, float32 [n]."""
    time_s = np.arange(n) / rate
    k = np.arange(1, 30)
    k = k[k * f0_hz < 0.45 * rate]
    partials = np.sin(2 * np.pi * f0_hz * np.outer(time_s, k) + 0.7 * k**2) @ (k ** -float(brightness))
    shape = np.minimum(time_s / 0.02, 1.0) * np.exp(-time_s / decay_s)
    return (gain * partials * shape).astype(np.float32)


def hiss(n: int):
    """A deterministic, noise-like clip: a chirp folded many times, float32 [n]."""
    k = np.arange(n, dtype=np.float64)
    return (0.3 * np.sin(0.37 * k**2 + 1.3 * np.sin(0.011 * k))).astype(np.float32)


def pairs(n: int, rate: int = RATE) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Named (target, candidate) pairs."""
    first = voice(220.0, 0.2, 1.0, n=n, rate=rate)
    late = np.concatenate([np.zeros(n // 4, np.float32), first[: n - n // 4]])
    return {
        "same": (first, first),
        "louder": (first, 2.0 * first),
        "other tone": (first, voice(311.0, 0.1, 1.6, n=n, rate=rate)),
        "late": (first, late),
        "hiss": (first, hiss(n)),
        "silent": (first, np.zeros(n, np.float32)),
    }
