"""Small additive sounds for the tests of the losses, in NumPy."""

import numpy as np

SAMPLE_RATE = 16_000
N = 4_000


def tone(
    *,
    f0_hz: float = 220.0,
    rolloff: float = 1.0,
    gain: float = 0.3,
    decay_s: float = 10.0,
    seed: int = 0,
    n: int = N,
) -> np.ndarray:
    """Harmonic tone, amplitudes `k ** -rolloff`, exponential decay; float32 [n]."""
    time_s = np.arange(n) / SAMPLE_RATE
    k = np.arange(1.0, 40.0)
    k = k[k * f0_hz < 0.48 * SAMPLE_RATE]
    phases = np.random.default_rng(seed).uniform(0, 2 * np.pi, k.size)
    partials = np.sin(2 * np.pi * np.outer(time_s, k * f0_hz) + phases) @ k**-rolloff
    shape = np.minimum(time_s / 0.005, 1.0) * np.exp(-time_s / decay_s)
    return (gain * partials / np.std(partials) * shape).astype(np.float32)


def degenerate() -> dict[str, np.ndarray]:
    """Silence, DC, a click, full-scale noise and a full-scale square, each float32 [N]."""
    click = np.zeros(N)
    click[N // 2] = 1.0
    sounds = {
        "silence": np.zeros(N),
        "dc": np.full(N, 0.5),
        "click": click,
        "noise": np.random.default_rng(1).uniform(-1, 1, N),
        "square": np.where(np.arange(N) % 64 < 32, 1.0, -1.0),
        "tone": tone(),
    }
    return {name: sound.astype(np.float32) for name, sound in sounds.items()}
