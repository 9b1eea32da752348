"""Gradient-safe elementary functions: the only place where log, sqrt and norm meet zero.

`sqrt`, `log` and `norm` have an infinite or undefined slope at 0, and `jnp.where` does not
hide it: the chain rule multiplies the bad branch by zero, and `0 * inf` is NaN. Each function here
clamps its *argument* first, so that both value and gradient are finite everywhere, and returns the
exact value wherever the argument is above its floor.

All functions are elementwise unless they take an axis, and keep the dtype of their input.
"""

import jax
import jax.numpy as jnp
import numpy as np


def safe_log(x: jax.Array, floor: float = 1e-10) -> jax.Array:
    """Natural logarithm of `max(x, floor)`; zero gradient at and below the floor."""
    return jnp.log(jnp.maximum(x, floor))


def safe_log10(x: jax.Array, floor: float = 1e-10) -> jax.Array:
    """Base-10 logarithm of `max(x, floor)`; zero gradient at and below the floor."""
    return safe_log(x, floor) * (1.0 / np.log(10.0))


def safe_sqrt(x: jax.Array, floor: float = 1e-12) -> jax.Array:
    """Square root of `max(x, floor)`; zero gradient at and below the floor."""
    return jnp.sqrt(jnp.maximum(x, floor))


def safe_divide(numerator: jax.Array, denominator: jax.Array, floor: float = 1e-12) -> jax.Array:
    """`numerator / max(denominator, floor)` for a non-negative denominator."""
    return numerator / jnp.maximum(denominator, floor)


def safe_norm(x: jax.Array, axis: int | tuple[int, ...] | None = None, floor: float = 1e-12) -> jax.Array:
    """Euclidean norm over `axis`, with the sum of squares clamped at `floor`."""
    return safe_sqrt(jnp.sum(jnp.square(x), axis=axis), floor)


def materialize(x: jax.Array) -> jax.Array:
    """`x [d]`, stopped from being computed again inside whatever consumes it.

    XLA's CPU backend fuses control-rate work (an exp per note) into the audio-rate loop that reads it and
    repeats it for every sample; `optimization_barrier` does not prevent that, a matrix product does.
    """
    n = x.shape[-1]
    block = min(n, 32)
    rows = jnp.pad(x, (0, -n % block)).reshape(-1, block)
    same = jnp.matmul(rows, jnp.eye(block, dtype=x.dtype), precision=jax.lax.Precision.HIGHEST)
    return same.reshape(-1)[:n]


def positive_part(x: jax.Array) -> jax.Array:
    """`max(x, 0)` by comparing bits: a float `maximum` also has to look for NaN and costs twice as much.

    Elementwise. Of NaN, the sign bit decides. Not differentiable: for functions with their own backward pass.
    """
    return _from_bits(jnp.maximum(_bits(x), 0), x.dtype)


def clip_to(x: jax.Array, high: float) -> jax.Array:
    """`min(max(x, 0), high)` for a positive `high`; otherwise as `positive_part`."""
    limit = np.asarray(high, x.dtype).view(_bits_dtype(x.dtype))
    return _from_bits(jnp.minimum(jnp.maximum(_bits(x), 0), limit), x.dtype)


def copy_sign(x: jax.Array, sign: jax.Array) -> jax.Array:
    """Non-negative `x` with the sign of `sign`, which may be -0; otherwise as `positive_part`."""
    lowest = np.iinfo(_bits_dtype(x.dtype)).min
    return _from_bits(_bits(x) | (_bits(sign) & lowest), x.dtype)


def _bits_dtype(dtype: jnp.dtype) -> np.dtype:
    return np.dtype(f"int{8 * np.dtype(dtype).itemsize}")


def _bits(x: jax.Array) -> jax.Array:
    return jax.lax.bitcast_convert_type(x, _bits_dtype(x.dtype))


def _from_bits(x: jax.Array, dtype: jnp.dtype) -> jax.Array:
    return jax.lax.bitcast_convert_type(x, dtype)


def prefix_sum(x: jax.Array, *, modulo: float | None = None) -> jax.Array:
    """Running sum over the last axis that starts at 0 (exclusive), `[..., n]` in and out.

    Two small matrix products, within blocks of about sqrt(n) and over the blocks: faster than a scan, and
    exact when `x` holds whole numbers and every partial sum stays under 2^24 in float32.

    Args:
        x: summands.
        modulo: the sum matters only up to multiples of this, and whole ones may be taken out on the way, so
            that it stays small however long `x` is.
    """
    n = x.shape[-1]
    block = max(1, int(np.ceil(np.sqrt(n))))
    blocks = -(-n // block)
    pad = [(0, 0)] * (x.ndim - 1) + [(0, blocks * block - n)]
    rows = jnp.pad(x, pad).reshape(*x.shape[:-1], blocks, block)
    inside = jnp.matmul(rows, _strictly_before(block, x.dtype), precision=jax.lax.Precision.HIGHEST)
    totals = inside[..., -1] + rows[..., -1]
    if modulo is not None:
        totals = totals - jnp.round(totals * (1.0 / modulo)) * modulo
    before = jnp.matmul(totals, _strictly_before(blocks, x.dtype), precision=jax.lax.Precision.HIGHEST)
    return (inside + before[..., None]).reshape(*x.shape[:-1], blocks * block)[..., :n]


def _strictly_before(n: int, dtype: jnp.dtype) -> jax.Array:
    """Matrix `[n, n]` that sums all earlier elements of a row vector."""
    return jnp.asarray(np.triu(np.ones((n, n)), 1), dtype)
