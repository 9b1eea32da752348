"""Dither: how the shapes share it out, and that discrete knobs move by whole choices."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ddsprl.fitting.solvers.dither import NEAR, ON_STOP, SHAPES, SPREAD, bounds, dither, sensitivity, shape

U = jnp.asarray([0.5, 0.02, 0.97, 0.4])
SECOND = jnp.asarray([1e-2, 1.0, 1e-6, 4.0])
ALL = jnp.ones(4)


@pytest.mark.parametrize("name", list(SHAPES))
def test_every_shape_is_positive_and_bounded(name):
    rng = np.random.default_rng(0)
    u = jnp.asarray(rng.uniform(size=(64, 4)), jnp.float32).at[0].set(0.0).at[1].set(1.0)
    second = jnp.asarray(10.0 ** rng.uniform(-12, 6, (64, 4)), jnp.float32).at[2].set(0.0)
    factor = np.asarray(jax.vmap(SHAPES[name], (0, 0, None))(u, second, ALL))
    assert factor.shape == (64, 4)
    assert (factor > 0.0).all()
    assert (factor <= SPREAD).all()


def test_insensitive_knobs_are_thrown_further():
    factor = np.asarray(sensitivity(U, jnp.asarray([1.0, 4.0, 0.25, 1.0]), ALL))
    np.testing.assert_allclose(factor, [1.0, 0.5, 2.0, 1.0], rtol=1e-4)
    extreme = np.asarray(sensitivity(U, jnp.asarray([1e-8, 1.0, 1.0, 1e8]), ALL))
    np.testing.assert_allclose((extreme.max(), extreme.min()), (SPREAD, 1.0 / SPREAD))


def test_locked_knobs_say_nothing_about_the_free_ones():
    free = jnp.asarray([1.0, 1.0, 0.0, 0.0])
    few = np.asarray(shape("sensitivity", U, jnp.asarray([1.0, 1.0, 0.0, 0.0]), free))
    np.testing.assert_allclose(few, [1.0, 1.0, 0.0, 0.0], rtol=1e-4)


def test_knobs_near_a_stop_are_thrown_less_far():
    u = jnp.asarray([0.0, 0.5 * NEAR, NEAR, 0.5, 1.0])
    np.testing.assert_allclose(bounds(u, u, jnp.ones(5)), [ON_STOP, 0.5, 1.0, 1.0, ON_STOP], rtol=1e-5)


def test_a_name_with_a_star_multiplies():
    product = sensitivity(U, SECOND, ALL) * bounds(U, SECOND, ALL)
    np.testing.assert_allclose(shape("sensitivity*bounds", U, SECOND, ALL), product)
    with pytest.raises(KeyError, match="weather"):
        shape("weather", U, SECOND, ALL)


def throws(size, factor, choices, *, count=4000, jump=2.0):
    keys = jax.random.split(jax.random.key(0), count)
    one = jax.vmap(lambda key: dither(key, jnp.float32(size), factor, choices, jump=jump))
    return np.asarray(jax.jit(one)(keys))


def test_continuous_knobs_are_thrown_normally():
    thrown = throws(0.1, jnp.asarray([1.0, 2.0, 0.0]), jnp.zeros(3))
    np.testing.assert_allclose(thrown.std(0), [0.1, 0.2, 0.0], rtol=0.05)
    np.testing.assert_allclose(thrown.mean(0), 0.0, atol=0.01)


def test_discrete_knobs_move_by_whole_choices_only():
    thrown = throws(0.1, jnp.ones(2), jnp.asarray([7.0, 2.0]))
    steps = thrown * np.array([6.0, 1.0])
    assert set(np.unique(steps.round(5))) == {-1.0, 0.0, 1.0}
    np.testing.assert_allclose(np.mean(steps != 0.0, axis=0), 0.2, atol=0.03)
    np.testing.assert_allclose(steps.mean(0), 0.0, atol=0.03)


def test_no_size_no_throw():
    np.testing.assert_array_equal(throws(0.0, jnp.ones(2), jnp.asarray([0.0, 3.0]), count=100), 0.0)
