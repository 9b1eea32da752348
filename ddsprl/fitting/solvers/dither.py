"""The shape of the dither, D(theta): how far each knob is thrown beside the others.

A shape is one function of where the knobs are and what the gradients have said, one line in `SHAPES`. It
gives factors in knob units; locked knobs take no part. A name with `*` between multiplies shapes:
`"sensitivity*bounds"`.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from synth_jax.numerics import safe_sqrt

# A knob is thrown at most this many times as far as the geometric mean, and at least the inverse of it.
SPREAD = 5.0
# Distance from a stop within which the dither gets smaller, and what is left of it on the stop.
NEAR, ON_STOP = 0.1, 0.2

Shape = Callable[[jax.Array, jax.Array, jax.Array], jax.Array]


def identity(u: jax.Array, second: jax.Array, free: jax.Array) -> jax.Array:
    """Every knob alike.

    Args:
        u: knob positions, `[d]`.
        second: running mean of the squared gradient, `[d]`.
        free: 1 for knobs that may move, `[d]`.

    Returns:
        Factors, `[d]`.
    """
    del second, free
    return jnp.ones_like(u)


def sensitivity(u: jax.Array, second: jax.Array, free: jax.Array) -> jax.Array:
    """Inverse sensitivity: knobs that the loss hardly feels go further; arguments as in `identity`."""
    del u
    inverse = 1.0 / (safe_sqrt(second) + 1e-6)
    middle = jnp.exp(jnp.sum(free * jnp.log(inverse)) / jnp.maximum(jnp.sum(free), 1.0))
    return jnp.clip(inverse / middle, 1.0 / SPREAD, SPREAD)


def bounds(u: jax.Array, second: jax.Array, free: jax.Array) -> jax.Array:
    """Distance to the bounds: a knob near a stop is thrown less far; arguments as in `identity`."""
    del second, free
    return jnp.clip(jnp.minimum(u, 1.0 - u) / NEAR, ON_STOP, 1.0)


SHAPES: dict[str, Shape] = {"identity": identity, "sensitivity": sensitivity, "bounds": bounds}


def shape(name: str, u: jax.Array, second: jax.Array, free: jax.Array) -> jax.Array:
    """The product of the named shapes, 0 for locked knobs, `[d]`."""
    factor = jnp.asarray(free, u.dtype)
    for part in name.split("*"):
        factor = factor * SHAPES[part](u, second, free)
    return factor


def dither(
    key: jax.Array, size: jax.Array, factor: jax.Array, choices: jax.Array, *, jump: float
) -> jax.Array:
    """One throw in knob units, `[d]`: normal for a continuous knob, a choice up or down for a discrete one.

    Args:
        key: PRNG key.
        size: standard deviation of a continuous knob, scalar.
        factor: of the shape, `[d]`.
        choices: of each knob, 0 for a continuous one, `[d]`.
        jump: chance per unit of `size` that a discrete knob jumps.
    """
    normal_key, sign_key, jump_key = jax.random.split(key, 3)
    continuous = size * factor * jax.random.normal(normal_key, factor.shape, factor.dtype)
    up = jax.random.bernoulli(sign_key, 0.5, factor.shape)
    step = jnp.where(up, 1.0, -1.0) / jnp.maximum(choices - 1.0, 1.0)
    jumps = jax.random.uniform(jump_key, factor.shape) < jump * size
    return jnp.where(choices > 0, jnp.where(jumps, step, 0.0), continuous)
