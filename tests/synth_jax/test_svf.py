"""The low-pass: its response, its stability and its own backward pass."""

import functools
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from synth_jax.filters import lowpass, warped_gain
from synth_jax.filters.svf import MAX_CUTOFF

N = 2**14


@jax.jit
def impulse_response(octaves, q):
    impulse = jnp.zeros(N).at[0].set(1.0)
    return lowpass(impulse, warped_gain(jnp.full(N, octaves)), 1.0 / q)


def gain_db(rate: int, cutoff_hz: float, q: float, at_hz: Sequence[float] | np.ndarray) -> np.ndarray:
    h = np.asarray(impulse_response(jnp.float32(np.log2(cutoff_hz / rate)), jnp.float32(q)), np.float64)
    waves = np.exp(-2j * np.pi * np.multiply.outer(np.asarray(at_hz) / rate, np.arange(N)))
    return 20.0 * np.log10(np.abs(waves @ h))


@pytest.mark.parametrize("rate", [16_000, 44_100, 48_000])
@pytest.mark.parametrize("cutoff_hz", [200.0, 1_000.0, 3_000.0, 7_000.0])
def test_response_at_the_cutoff(rate, cutoff_hz):
    assert gain_db(rate, cutoff_hz, np.sqrt(0.5), [cutoff_hz])[0] == pytest.approx(-3.01, abs=0.05)
    for q in (0.1, 2.0, 10.0):
        assert gain_db(rate, cutoff_hz, q, [cutoff_hz])[0] == pytest.approx(20 * np.log10(q), abs=0.05)
    assert gain_db(rate, cutoff_hz, np.sqrt(0.5), [cutoff_hz / 64])[0] == pytest.approx(0.0, abs=0.02)


@pytest.mark.parametrize("rate", [16_000, 44_100, 48_000])
def test_twelve_db_per_octave_from_an_octave_above(rate):
    cutoff_hz = 0.02 * rate
    level = gain_db(rate, cutoff_hz, np.sqrt(0.5), cutoff_hz * np.array([2.0, 4.0, 8.0]))
    assert np.all(-np.diff(level) > 11.5)
    assert np.all(-np.diff(level) < 13.5)


def test_cutoff_stops_at_its_limit():
    limit = np.tan(np.pi * MAX_CUTOFF)
    assert warped_gain(jnp.float32(0.0)) == pytest.approx(limit, rel=1e-4)
    octaves = np.linspace(-16.0, np.log2(MAX_CUTOFF), 200)
    np.testing.assert_allclose(
        warped_gain(jnp.asarray(octaves, jnp.float32)), np.tan(np.pi * 2.0**octaves), rtol=1e-4
    )


def by_solving(x, g, k):
    """Trapezoidal integrators in a loop; the 2 x 2 implicit system is solved at every sample."""
    state, out = np.zeros(2), []
    for x_t, g_t in zip(x, g, strict=True):
        band, low = np.linalg.solve([[1.0 + g_t * k, g_t], [-g_t, 1.0]], [state[0] + g_t * x_t, state[1]])
        out.append(low)
        state = 2.0 * np.array([band, low]) - state
    return np.array(out)


def test_modulated_filter_agrees_with_the_implicit_system():
    rng = np.random.default_rng(2)
    x, g = rng.standard_normal(500), np.exp(rng.uniform(-5.0, 3.0, 500))
    for k in (0.1, 1.4, 10.0):
        with jax.enable_x64(True):
            np.testing.assert_allclose(lowpass(x, g, jnp.asarray(k)), by_solving(x, g, k), atol=1e-11)
        single = lowpass(jnp.asarray(x, jnp.float32), jnp.asarray(g, jnp.float32), jnp.float32(k))
        np.testing.assert_allclose(single, by_solving(x, g, k), atol=1e-4)


def test_backward_pass_agrees_with_differences():
    with jax.enable_x64(True):
        rng = np.random.default_rng(3)
        n = 60
        v = jnp.asarray(np.concatenate([rng.standard_normal(n), np.exp(rng.uniform(-3, 2, n)), [0.4]]))
        direction = jnp.asarray(rng.standard_normal(n))

        def value(v):
            return jnp.vdot(direction, lowpass(v[:n], v[n:-1], v[-1]))

        shift = 1e-6 * jnp.eye(v.size)
        numeric = (jax.vmap(value)(v + shift) - jax.vmap(value)(v - shift)) / 2e-6
        np.testing.assert_allclose(jax.grad(value)(v), numeric, rtol=1e-6, atol=1e-7)


def test_stable_under_any_modulation():
    """Noise in, the cutoff thrown over its whole range every sample; then silence in: it must die away."""
    rng = np.random.default_rng(4)
    n, half = 16_000, 8_000
    q = jnp.asarray([0.1, 0.7, 3.0, 10.0], jnp.float32)
    slow = 2.0 + np.sin(np.arange(n) * 0.003)
    paths = [rng.uniform(-16.0, -1.0, n), np.where(rng.uniform(size=n) < 0.5, -16.0, -1.0), -4.0 * slow]
    x = jnp.asarray(np.where(np.arange(n) < half, rng.uniform(-1, 1, n), 0.0), jnp.float32)
    run = jax.jit(jax.vmap(lambda octaves, q: lowpass(x, warped_gain(octaves), 1.0 / q), (None, 0)))
    for path in paths:
        y = np.asarray(run(jnp.asarray(path, jnp.float32), q))
        assert np.all(np.isfinite(y))
        assert np.abs(y).max() < 100.0
        assert np.abs(y[:, -1000:]).max() <= np.abs(y[:, :half]).max() + 1e-6


def test_constant_gradient_compiles_in_float32():
    gradient = jax.jit(
        jax.grad(functools.partial(lambda x, g, k: jnp.sum(lowpass(x, g, k)), jnp.ones(32)), (0, 1))
    )
    g_bar, k_bar = gradient(jnp.full(32, 0.2), jnp.float32(1.0))
    assert g_bar.dtype == k_bar.dtype == jnp.float32
    assert np.all(np.isfinite(g_bar))
