"""One band-limited cycle and its closed-form derivatives; the treble correction."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from plain_wave import plain_wave
from synth_jax.oscillators import correct
from synth_jax.oscillators.correction import TAPS, correction_gain
from synth_jax.oscillators.waves import (
    EDGE_SAMPLES,
    Shape,
    edge_response,
    morph_weights,
    wave,
    wave_slope,
    wave_stretch,
)

PHASE = np.random.default_rng(0).uniform(-3.0, 3.0, 4096)


def basis(**weights) -> Shape:
    return Shape(**{name: jnp.asarray(weights.get(name, 0.0)) for name in Shape._fields})


@pytest.mark.parametrize("rate", [0.001, 0.05, 0.13, 0.2, 0.37])
@pytest.mark.parametrize("name", Shape._fields)
def test_partials_equal_autodiff(name, rate):
    with jax.enable_x64(True):
        phase, shape = jnp.asarray(PHASE), basis(**{name: 1.0})

        def by_log_period(phase, log_period):
            return plain_wave(phase, jnp.exp(-log_period), jnp.exp(log_period), shape)

        log_period = jnp.full_like(phase, -np.log(rate))
        slopes = jax.vmap(jax.grad(by_log_period, argnums=(0, 1)))(phase, log_period)
        args = (phase, jnp.full_like(phase, rate), jnp.full_like(phase, 1 / rate), shape)
        np.testing.assert_allclose(wave(*args), by_log_period(phase, log_period), atol=1e-12)
        np.testing.assert_allclose(wave_slope(*args), slopes[0], atol=1e-6 / rate)
        np.testing.assert_allclose(wave_stretch(*args), slopes[1], atol=1e-6 / rate)


@pytest.mark.parametrize("name", Shape._fields)
def test_slow_wave_is_the_textbook_one(name):
    phase = (np.arange(1000) + 0.5) / 1000.0
    rate = jnp.full(1000, 1e-4)
    ours = np.asarray(wave(jnp.asarray(phase - 0.25, jnp.float32), rate, 1.0 / rate, basis(**{name: 1.0})))
    centred = phase - np.round(phase)
    textbook = {
        "sine": np.sin(2 * np.pi * phase),
        "saw": 2 * centred,
        "square": np.where(phase < 0.5, 1.0, -1.0),
        "triangle": 4 * np.where(np.abs(centred) < 0.25, centred, np.sign(centred) * 0.5 - centred),
    }[name]
    away = np.abs(phase - 0.5) > 0.001
    np.testing.assert_allclose(ours[away], textbook[away], atol=1e-3)


def test_morph_crossfades_neighbours():
    for at, name in zip((0.0, 1 / 3, 2 / 3, 1.0), ("sine", "saw", "square", "triangle"), strict=True):
        weights = morph_weights(jnp.float32(at))
        assert getattr(weights, name) == pytest.approx(1.0, abs=1e-6)
        assert sum(weights) == pytest.approx(1.0, abs=1e-6)
    middle = morph_weights(jnp.float32(0.5))
    assert middle.saw == pytest.approx(0.5, abs=1e-6)
    assert middle.square == pytest.approx(0.5, abs=1e-6)


def test_edge_is_smooth_and_complete():
    """At the kernel's ends and at its middle, where the halves meet: no step, no kink, and unity at DC."""
    rate = 0.01
    z = np.linspace(-1.2, 1.2, 24_001)
    with jax.enable_x64(True):
        late = jnp.asarray(z * EDGE_SAMPLES * rate - 0.25)
        edge = np.asarray(
            wave(late, jnp.full_like(late, rate), 1 / jnp.full_like(late, rate), basis(square=1.0))
        )
    np.testing.assert_allclose(edge[np.abs(z) >= 1.0], np.sign(z[np.abs(z) >= 1.0]), atol=1e-12)
    np.testing.assert_allclose(edge, -edge[::-1], atol=1e-12)
    slope = np.gradient(edge, z)
    assert np.all(slope > -1e-9)
    assert np.abs(np.diff(slope)).max() < 1e-3
    assert edge_response(np.zeros(1))[0] == pytest.approx(1.0, abs=1e-9)


def test_kernel_times_correction_is_flat_below_treble_and_falls_above():
    frequency = np.linspace(0.0, 0.4, 81)
    gain_db = 20 * np.log10(edge_response(frequency) * np.asarray(correction_gain(jnp.asarray(frequency))))
    assert gain_db.min() > -2.6
    assert gain_db.max() < 0.4
    above = np.linspace(0.89, 1.5, 200)
    assert np.max(np.abs(edge_response(above) * np.asarray(correction_gain(jnp.asarray(above))))) < 0.03


def test_correction_is_the_convolution():
    taps = np.array(TAPS[:0:-1] + TAPS)
    assert taps.sum() == pytest.approx(1.0, abs=1e-8)
    for frames in (1, 2, 5):
        x = np.random.default_rng(frames).standard_normal((frames, 16)).astype(np.float32)
        ours = np.asarray(correct(jnp.asarray(x)))
        np.testing.assert_allclose(ours, np.convolve(x.ravel(), taps, mode="same"), atol=1e-5)
