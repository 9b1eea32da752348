"""Unbounded coordinates for knobs in [0, 1]."""

import jax
import jax.numpy as jnp

from synth_jax.numerics import safe_log

EDGE = 2e-3  # a knob on its stop starts this far inside, where the sigmoid still has a slope


def to_unbounded(u: jax.Array) -> jax.Array:
    """Logit of knob positions, elementwise; positions within `EDGE` of a stop are moved to `EDGE`."""
    u = jnp.clip(u, EDGE, 1.0 - EDGE)
    return safe_log(u) - safe_log(1.0 - u)


def to_bounded(z: jax.Array) -> jax.Array:
    """Sigmoid: knob positions of unbounded coordinates, elementwise."""
    return jax.nn.sigmoid(z)
