"""The hybrid action: densities against distrax and quadrature, finite far out, differentiable draws."""

import warnings

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads
from scipy import integrate, stats

from ddsprl.agents.distributions import (
    TanhNormal,
    categorical_entropy,
    log_one_minus_tanh_squared,
    masked_log_softmax,
)

with warnings.catch_warnings():
    # It reaches into parts of its dependencies that are about to be renamed.
    warnings.simplefilter("ignore")
    import distrax

    NORMAL = distrax.Transformed(
        distrax.Normal(jnp.array([0.0, 0.7, -2.0]), jnp.array([0.5, 1.3, 0.1])), distrax.Tanh()
    )

MEAN, STD = np.array([0.0, 0.7, -2.0], np.float32), np.array([0.5, 1.3, 0.1], np.float32)
OURS = TanhNormal(jnp.asarray(MEAN), jnp.log(jnp.asarray(STD)))


def test_log_density_is_that_of_distrax():
    raw = jnp.asarray(np.random.default_rng(0).normal(MEAN, STD, (64, 3)), jnp.float32)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = NORMAL.log_prob(jnp.tanh(raw))
    np.testing.assert_allclose(OURS.log_prob_of_raw(raw), expected, rtol=1e-3, atol=2e-3)


def test_density_integrates_to_one_and_has_the_right_quantiles():
    one = TanhNormal(jnp.array([0.3]), jnp.log(jnp.array([0.6])))

    def density(delta):
        return float(np.exp(one.log_prob_of_raw(jnp.array([np.arctanh(delta)]))[0]))

    total, _ = integrate.quad(density, -0.9999, 0.9999, limit=50, epsabs=1e-3)
    assert total == pytest.approx(1.0, abs=2e-3)
    draws = jax.vmap(one.sample)(jax.random.split(jax.random.key(0), 4000))
    at = np.array([-0.5, 0.0, 0.3, 0.7])
    expected = stats.norm(0.3, 0.6).cdf(np.arctanh(at))
    np.testing.assert_allclose((np.asarray(draws.value) < at).mean(axis=0), expected, atol=0.03)
    np.testing.assert_array_equal(draws.value, jnp.tanh(draws.raw))
    np.testing.assert_allclose(draws.log_prob, one.log_prob_of_raw(draws.raw), rtol=1e-6)


def test_far_out_it_stays_finite():
    """There tanh is 1 in float32, and its inverse infinite."""
    x = jnp.array([-60.0, -12.0, 0.0, 12.0, 60.0])
    exact = 2.0 * (np.log(2.0) - np.logaddexp(np.asarray(x, float), -np.asarray(x, float)))
    np.testing.assert_allclose(log_one_minus_tanh_squared(x), exact, rtol=1e-6, atol=1e-6)
    slope = jax.vmap(jax.grad(log_one_minus_tanh_squared))(x)
    np.testing.assert_allclose(slope, -2.0 * np.tanh(np.asarray(x)), atol=1e-5)


def test_gradients_pass_through_a_draw():
    key = jax.random.key(3)

    def of(mean, log_std):
        drawn = TanhNormal(mean, log_std).sample(key)
        return jnp.sum(jnp.square(drawn.value - 0.2)) + 0.3 * jnp.sum(drawn.log_prob)

    check_grads(of, (jnp.asarray(MEAN), jnp.log(STD)), order=1, modes=("rev",), atol=2e-2, rtol=2e-2)


def test_categorical_is_that_of_distrax_among_the_allowed():
    logits, mask = jnp.array([0.3, -1.0, 50.0, 2.0]), jnp.array([1.0, 1.0, 0.0, 1.0])
    log_p = masked_log_softmax(logits, mask)
    theirs = distrax.Categorical(logits=logits[jnp.array([0, 1, 3])])
    np.testing.assert_allclose(log_p[jnp.array([0, 1, 3])], theirs.log_prob(jnp.arange(3)), rtol=1e-5)
    assert jnp.exp(log_p[2]) == 0.0
    np.testing.assert_allclose(categorical_entropy(log_p, mask), theirs.entropy(), rtol=1e-5)
    slope = jax.grad(lambda x: categorical_entropy(masked_log_softmax(x, mask), mask))(logits)
    assert np.all(np.isfinite(slope)) and slope[2] == 0.0


def test_one_allowed_is_certain_and_none_is_finite():
    logits = jnp.array([0.3, -1.0, 5.0])
    only = jnp.array([0.0, 1.0, 0.0])
    log_p = masked_log_softmax(logits, only)
    np.testing.assert_array_equal(jnp.exp(log_p), only)
    assert categorical_entropy(log_p, only) == 0.0
    none = jnp.zeros(3)
    np.testing.assert_allclose(jnp.exp(masked_log_softmax(logits, none)), 1 / 3, rtol=1e-6)
    assert categorical_entropy(masked_log_softmax(logits, none), none) == 0.0
