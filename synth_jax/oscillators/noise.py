"""White noise from a key."""

import jax
import jax.numpy as jnp
import numpy as np


def white_noise(key: jax.Array, n: int, dtype: jnp.dtype) -> jax.Array:
    """Uniform white noise in [-1, 1), `[n]`.

    Two words drawn from the key seed a counter hash: each sample is its index, mixed by multiplications and
    shifts (the 2-round 32-bit mixer published by C. Wellons, "hash-prospector", bias 0.1). JAX's own
    generator would cost as much as an oscillator bank; noise has to be white, not cryptographic. The same key
    gives the same samples in float32 and float64.
    """
    first, second = jax.random.bits(key, (2,), jnp.uint32)
    x = jnp.arange(n, dtype=jnp.uint32) * np.uint32(0x9E3779B9) + first
    x = (x ^ (x >> 16)) * np.uint32(0x21F0AAAD)
    x = (x ^ (x >> 15)) + second
    x = x * np.uint32(0x735A2D97)
    x = x ^ (x >> 15)
    return (x >> 8).astype(jnp.int32).astype(dtype) * (2.0**-23) - 1.0
