"""White noise from a key, and the soft clip."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from synth_jax.effects import soft_clip
from synth_jax.effects.softclip import KNEE
from synth_jax.oscillators import white_noise

N = 2**16


def noise(seed: int, n: int = N) -> np.ndarray:
    return np.asarray(white_noise(jax.random.key(seed), n, jnp.float32), np.float64)


@pytest.mark.parametrize("seed", [0, 1, 12345])
def test_uniform_and_white(seed):
    x = noise(seed)
    assert np.abs(x).max() <= 1.0
    counts, _ = np.histogram(x, bins=32, range=(-1, 1))
    expected = N / 32
    assert np.sum((counts - expected) ** 2 / expected) < 70.0  # chi square, 31 degrees of freedom
    power = np.abs(np.fft.rfft(x)[1:]) ** 2 / N
    bands_db = 10 * np.log10(power.reshape(32, -1).mean(axis=1) / (1 / 3))
    assert np.abs(bands_db).max() < 0.6
    assert power.max() / power.mean() < 20.0  # no tone stands out


def test_neighbours_and_other_keys_are_uncorrelated():
    x = noise(0)
    limit = 5.0 / np.sqrt(N)
    for lag in (1, 2, 3, 7, 64, 256, 4096):
        assert abs(np.corrcoef(x[:-lag], x[lag:])[0, 1]) < limit
        assert abs(np.corrcoef(x[:-lag] ** 2, x[lag:] ** 2)[0, 1]) < limit
    spectrum = np.fft.rfft(x - x.mean())
    for seed in range(1, 9):
        y = noise(seed)
        # Every shift at once: no key's noise is another's, delayed.
        correlation = np.fft.irfft(spectrum * np.conj(np.fft.rfft(y - y.mean()))) / (N * x.std() * y.std())
        assert np.abs(correlation).max() < 6.5 / np.sqrt(N)


def test_depends_on_the_key_only():
    single = noise(3, 1000)
    np.testing.assert_array_equal(single, noise(3, 1000))
    np.testing.assert_array_equal(single, noise(3, 2000)[:1000])
    with jax.enable_x64(True):
        double = white_noise(jax.random.key(3), 1000, jnp.float64)
        assert double.dtype == jnp.float64
        np.testing.assert_array_equal(single, double)


def test_soft_clip_is_exactly_transparent_below_the_knee_and_bounded_above():
    below = np.linspace(-KNEE, KNEE, 10_001).astype(np.float32)[1:-1]
    np.testing.assert_array_equal(soft_clip(jnp.asarray(below)), below)
    assert pytest.approx(10 ** (-3 / 20)) == KNEE
    x = np.concatenate([np.linspace(0.0, 4.0, 4001), np.geomspace(4.0, 1e4, 100)]).astype(np.float32)
    y = np.asarray(soft_clip(jnp.asarray(x)))
    assert np.all(np.diff(y[:4001]) > -1e-7)
    assert y.max() <= 1.0
    np.testing.assert_allclose(soft_clip(jnp.asarray(-x)), -y)
    slope = jax.vmap(jax.grad(soft_clip))
    around = slope(jnp.asarray([KNEE - 1e-4, KNEE + 1e-4], jnp.float32))
    np.testing.assert_allclose(around, 1.0, atol=2e-3)
    np.testing.assert_array_equal(slope(jnp.zeros(1)), 1.0)
