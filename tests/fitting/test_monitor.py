"""The monitor on losses whose drift is known: synthetic walks, with noise."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from ddsprl.fitting.core.archive import BAD_LOSS
from ddsprl.fitting.solvers.monitor import DIVERGING, PLATEAU, STABLE, SURE, WINDOW, forget, observe, read

RUNS = 4000


@jax.jit
def final_readings(losses):
    """Readings after the last of `[runs, steps]` losses."""

    def one(row):
        monitor, _ = jax.lax.scan(lambda m, x: (observe(m, x), None), forget(row[0]), row[1:])
        return read(monitor)

    return jax.vmap(one)(losses)


def walks(drift, *, noise=1.0, start=10.0, steps=3 * WINDOW, seed=0):
    """Losses with independent normal increments."""
    increments = np.random.default_rng(seed).normal(drift, noise, (RUNS, steps))
    return jnp.asarray(start + np.cumsum(increments, axis=1), jnp.float32)


def shares(losses):
    verdict = np.asarray(final_readings(losses).verdict)
    return [np.mean(verdict == code) for code in (STABLE, PLATEAU, DIVERGING)]


def test_a_falling_loss_is_stable_and_a_rising_one_diverges():
    # A drift of one standard deviation a step: sqrt(12) of them over the window.
    falling, rising = shares(walks(-1.0, start=100.0)), shares(walks(1.0))
    assert falling[0] > 0.95
    assert falling[2] == 0.0
    assert rising[2] > 0.9
    assert rising[0] < 0.001


def test_without_drift_either_verdict_is_rare():
    stable, plateau, diverging = shares(walks(0.0, start=1.0))
    assert 0.05 < stable < 0.15
    assert 0.05 < diverging < 0.15
    assert plateau > 0.75


def test_a_loss_that_is_not_known_is_no_fall():
    monitor = forget(jnp.float32(BAD_LOSS))
    for i in range(WINDOW):
        monitor = observe(monitor, jnp.float32(np.nan if i == 0 else 1.0 + i))
    assert monitor.count == WINDOW - 2
    np.testing.assert_allclose(read(monitor).drift, 1.0, rtol=1e-5)
    assert read(monitor).verdict == DIVERGING


def test_confidence_is_calibrated_without_drift():
    confidence = np.asarray(final_readings(walks(0.0)).confidence)
    for level in (0.1, 0.25, 0.5, 0.75, 0.9):
        # A normal test of twelve increments is a little too sure (Student's t has longer tails).
        exact = 1.0 - stats.t.sf(stats.norm.ppf(level), WINDOW - 1)
        assert abs(np.mean(confidence <= level) - exact) < 0.03, level
        assert abs(exact - level) < 0.02


def test_noise_around_one_value_is_mostly_a_plateau():
    # Such increments cancel one another, so the test errs on the safe side.
    noise = np.random.default_rng(1).normal(1.0, 0.1, (RUNS, 3 * WINDOW))
    assert shares(jnp.asarray(noise, jnp.float32))[1] > 0.99


def test_a_sure_but_trifling_rise_is_a_plateau():
    rise = 1.0 + 1e-3 * np.arange(2 * WINDOW) + 1e-5 * np.random.default_rng(2).normal(size=2 * WINDOW)
    reading = final_readings(jnp.asarray(rise, jnp.float32)[None])
    assert reading.confidence[0] < 1.0 - SURE
    assert reading.verdict[0] == PLATEAU
    assert final_readings(jnp.asarray(10.0 * rise - 9.0, jnp.float32)[None]).verdict[0] == DIVERGING


def test_old_increments_are_forgotten():
    fall, rise = np.linspace(5.0, 1.0, WINDOW), np.linspace(1.0, 3.0, WINDOW + 1)[1:]
    jitter = 1e-2 * np.random.default_rng(3).normal(size=2 * WINDOW)
    losses = jnp.asarray(np.concatenate([fall, rise]) + jitter, jnp.float32)
    assert final_readings(losses[None, :WINDOW]).verdict[0] == STABLE
    assert final_readings(losses[None]).verdict[0] == DIVERGING


@pytest.mark.parametrize("seen", [0, 1, WINDOW // 2 - 1])
def test_too_little_seen_is_a_plateau(seen):
    monitor = forget(jnp.float32(5.0))
    for i in range(seen):
        monitor = observe(monitor, jnp.float32(5.0 + 10.0 * (i + 1)))
    assert read(monitor).verdict == PLATEAU


def test_a_constant_loss_is_a_plateau_at_even_confidence():
    reading = final_readings(jnp.full((1, 20), 3.0))
    assert reading.verdict[0] == PLATEAU
    assert abs(reading.confidence[0] - 0.5) < 1e-6


def test_what_is_not_finite_counts_as_a_rise():
    monitor = forget(jnp.float32(2.0))
    for _ in range(WINDOW):
        monitor = observe(monitor, jnp.float32(np.nan))
    reading = read(monitor)
    assert np.isfinite(reading.drift)
    assert reading.verdict == DIVERGING
