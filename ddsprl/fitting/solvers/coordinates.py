"""Unbounded coordinates for knobs in [0, 1]: logits for descent, folds for strategies without gradients.

A fold is the knob, reflected smoothly at its stops. Between `MARGIN` and 1 - `MARGIN` the coordinate z is the
knob position u itself. Around a stop u is a parabola of z with its vertex on the stop, at z = -`MARGIN` and
1 + `MARGIN`; from there the curve runs back, for ever, with a period of 2 (1 + 2 `MARGIN`).

Why not a logit there too: real presets have many knobs on a stop, which a logit only reaches at infinity. A
strategy sees a plain there, its distribution wanders off, and a step of one size means little at a stop and
much in the middle. On a fold a stop is an ordinary point, every z stands for a knob position, and a step size
is in knob units nearly everywhere. There is no gradient at a stop, which a strategy does not miss.
"""

import jax
import jax.numpy as jnp

from synth_jax.numerics import safe_log, safe_sqrt

EDGE = 2e-3  # a knob on its stop starts this far inside, where the sigmoid still has a slope
MARGIN = 0.05


def to_unbounded(u: jax.Array) -> jax.Array:
    """Logit of knob positions, elementwise; positions within `EDGE` of a stop are moved to `EDGE`."""
    u = jnp.clip(u, EDGE, 1.0 - EDGE)
    return safe_log(u) - safe_log(1.0 - u)


def to_bounded(z: jax.Array) -> jax.Array:
    """Sigmoid: knob positions of unbounded coordinates, elementwise."""
    return jax.nn.sigmoid(z)


def to_folded(u: jax.Array) -> jax.Array:
    """The coordinate in [-MARGIN, 1 + MARGIN] of knob positions in [0, 1], elementwise."""
    low = 2.0 * safe_sqrt(MARGIN * u) - MARGIN
    high = 1.0 + MARGIN - 2.0 * safe_sqrt(MARGIN * (1.0 - u))
    return jnp.where(u < MARGIN, low, jnp.where(u > 1.0 - MARGIN, high, u))


def home(z: jax.Array) -> jax.Array:
    """The coordinate in [-MARGIN, 1 + MARGIN] that stands for the same knob position, elementwise."""
    width = 1.0 + 2.0 * MARGIN
    offset = jnp.mod(z + MARGIN, 2.0 * width)
    return jnp.where(offset > width, 2.0 * width - offset, offset) - MARGIN


def from_folded(z: jax.Array) -> jax.Array:
    """Knob positions in [0, 1] of any coordinates, elementwise."""
    z = home(z)
    low = jnp.square(z + MARGIN) / (4.0 * MARGIN)
    high = 1.0 - jnp.square(1.0 + MARGIN - z) / (4.0 * MARGIN)
    inside = jnp.where(z < MARGIN, low, jnp.where(z > 1.0 - MARGIN, high, z))
    return jnp.clip(inside, 0.0, 1.0)
