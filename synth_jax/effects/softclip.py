"""The output stage."""

import jax
import jax.numpy as jnp

KNEE = 10.0 ** (-3.0 / 20.0)


def soft_clip(x: jax.Array) -> jax.Array:
    """Transparent below -3 dBFS, then bends smoothly towards full scale; |y| < 1, elementwise.

    Above the knee c the excess z = (|x| - c) / (1 - c) becomes z / (1 + z): value and slope are continuous.
    Written as x minus what is cut off, so that the transparent part is exact.
    """
    over = jnp.maximum(jnp.abs(x) - KNEE, 0.0)
    kept = over / (1.0 + over * (1.0 / (1.0 - KNEE)))
    return x - jnp.sign(x) * (over - kept)
