"""Gradient-safe functions at 0, exact sums, units."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from synth_jax import numerics, units

AT_ZERO = {
    "safe_log": (numerics.safe_log, np.log(1e-10)),
    "safe_log10": (numerics.safe_log10, -10.0),
    "safe_sqrt": (numerics.safe_sqrt, 1e-6),
    "safe_divide": (lambda x: numerics.safe_divide(x, x), 0.0),
    "safe_norm": (lambda x: numerics.safe_norm(jnp.stack([x, x])), 1e-6),
    "amplitude_to_db": (units.amplitude_to_db, -200.0),
    "power_to_db": (units.power_to_db, -100.0),
    "hz_to_midi": (units.hz_to_midi, 69.0 + 12.0 * np.log2(1e-6)),
}
ABOVE = {
    "safe_log": np.log,
    "safe_log10": np.log10,
    "safe_sqrt": np.sqrt,
    "safe_divide": lambda x: x / x,
    "safe_norm": lambda x: np.sqrt(2) * x,
    "amplitude_to_db": lambda x: 20 * np.log10(x),
    "power_to_db": lambda x: 10 * np.log10(x),
    "hz_to_midi": lambda x: 69 + 12 * np.log2(x / 440),
}


@pytest.mark.parametrize("name", AT_ZERO)
def test_value_and_gradient_at_zero_and_above(name):
    function, expected = AT_ZERO[name]
    value, slope = jax.value_and_grad(function)(jnp.float32(0.0))
    assert value == pytest.approx(expected, rel=1e-5, abs=1e-12)
    assert np.isfinite(slope)
    for x in (0.03, 1.0, 700.0):
        assert function(jnp.float32(x)) == pytest.approx(ABOVE[name](x), rel=1e-5, abs=1e-5)


@pytest.mark.parametrize("n", [1, 2, 3, 16, 17, 1000])
def test_prefix_sum_is_exclusive_and_exact_on_whole_numbers(n):
    x = np.random.default_rng(n).integers(0, 16_000, (2, n))
    ours = numerics.prefix_sum(jnp.asarray(x, jnp.float32))
    np.testing.assert_array_equal(ours, np.cumsum(x, axis=1) - x)


def test_prefix_sum_modulo_stays_exact_where_the_plain_sum_cannot():
    n, modulo = 10_000, 2**14
    x = np.random.default_rng(0).integers(0, modulo, n)
    ours = np.asarray(numerics.prefix_sum(jnp.asarray(x, jnp.float32), modulo=modulo))
    np.testing.assert_array_equal(ours % modulo, (np.cumsum(x) - x) % modulo)
    assert np.abs(ours).max() < 2**24


def test_prefix_sum_is_differentiable():
    slope = jax.grad(lambda x: numerics.prefix_sum(x)[7])(jnp.zeros(10))
    np.testing.assert_array_equal(slope, np.arange(10) < 7)


def test_materialize_changes_nothing():
    x = jnp.asarray(np.random.default_rng(0).standard_normal(33), jnp.float32)
    np.testing.assert_array_equal(numerics.materialize(x), x)


def test_units_round_trip():
    assert units.midi_to_hz(jnp.float32(69.0)) == pytest.approx(440.0)
    assert units.midi_to_hz(jnp.float32(57.5)) == pytest.approx(440.0 * 2 ** (-11.5 / 12), rel=1e-5)
    assert units.hz_to_midi(units.midi_to_hz(jnp.float32(33.3))) == pytest.approx(33.3, rel=1e-5)
    assert units.db_to_amplitude(jnp.float32(-6.0)) == pytest.approx(10 ** (-0.3), rel=1e-5)
    assert units.cents_to_ratio(jnp.float32(1200.0)) == pytest.approx(2.0, rel=1e-5)
