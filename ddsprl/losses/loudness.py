"""Loudness distance: absolute difference of ungated BS.1770 loudness, before any matching."""

import jax
import jax.numpy as jnp


def loudness_distance(loudness_lufs: jax.Array, target_lufs: jax.Array) -> jax.Array:
    """Absolute difference in LU of two scalar loudnesses in LUFS (each bounded below at -70)."""
    return jnp.abs(loudness_lufs - target_lufs)
