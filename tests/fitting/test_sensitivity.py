"""Sensitivities of a loss with known differences, and their picture."""

import jax
import jax.numpy as jnp
import numpy as np

import laws
from ddsprl.fitting.core.solver import Space
from ddsprl.fitting.findings.sensitivity import neighbours, sensitivities

KEY = jax.random.split(jax.random.key(0), 1)


def test_rises_of_a_quadratic():
    u = np.array([[0.7, 0.02, 0.5, 0.75]], np.float32)
    found = sensitivities(laws.BOWL, laws.bowls(), u, KEY)
    # mean((u - best)^2): at the best knob step^2 / 4, off it also a slope, which cancels.
    np.testing.assert_allclose(found.increase[0, [0, 2]], 0.05**2 / 4, atol=1e-6)
    np.testing.assert_allclose(found.up[0, 2] - found.down[0, 2], 0.1 * 2 * 0.1 / 4, atol=1e-6)
    # A knob 0.02 above its stop moves only that far down.
    np.testing.assert_allclose(found.down[0, 1], 0.02**2 / 4, atol=1e-6)
    # Five choices: a quarter either way.
    np.testing.assert_allclose(found.increase[0, 3], 0.25**2 / 4, atol=1e-6)
    np.testing.assert_allclose(found.loss[0], 0.1**2 / 4, atol=1e-6)


def test_locked_knobs_and_stops():
    u = np.array([[0.7, 0.005, 0.4, 1.0]], np.float32)
    found = sensitivities(laws.BOWL, laws.bowls(locked={2: 0.4}), u, KEY)
    assert found.increase[0, 2] == 0.0
    assert np.isnan(found.down[0, 1])
    assert np.isnan(found.up[0, 3])
    assert np.isfinite(found.increase).all()


def test_neighbours_move_one_knob():
    u = jnp.asarray([0.5, 0.0, 1.0])
    space = Space(jnp.asarray([1.0, 1.0, 0.0]), u, jnp.asarray([0.0, 3.0, 0.0]))
    moved, possible = neighbours(u, space, 0.1)
    np.testing.assert_allclose(moved[0], [0.4, 0.0, 1.0])
    np.testing.assert_allclose(moved[4], [0.5, 0.5, 1.0])
    np.testing.assert_array_equal(possible, [True, False, False, True, True, False])
