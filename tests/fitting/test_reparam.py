"""Unbounded coordinates: there and back, with a slope left on the stops."""

import jax
import jax.numpy as jnp
import numpy as np

from ddsprl.fitting.solvers.coordinates import EDGE, to_bounded, to_unbounded


def test_round_trip_inside():
    u = np.linspace(EDGE, 1.0 - EDGE, 101).astype(np.float32)
    np.testing.assert_allclose(to_bounded(to_unbounded(jnp.asarray(u))), u, atol=1e-6)
    np.testing.assert_allclose(
        to_unbounded(jnp.asarray([0.25, 0.5, 0.75])), [-np.log(3), 0, np.log(3)], atol=1e-6
    )


def test_stops_stay_finite_near_and_movable():
    z = to_unbounded(jnp.asarray([-0.5, 0.0, 1.0, 1.5]))
    assert np.isfinite(z).all()
    np.testing.assert_allclose(to_bounded(z), [EDGE, EDGE, 1 - EDGE, 1 - EDGE], rtol=1e-3)
    slope = jax.vmap(jax.grad(to_bounded))(z)
    assert (slope > 0.5 * EDGE).all()


def test_bounded_is_within_the_knob_for_any_number():
    u = np.asarray(to_bounded(jnp.asarray([-1e6, -50.0, 0.0, 50.0, 1e6])))
    assert (u >= 0).all()
    assert (u <= 1).all()
