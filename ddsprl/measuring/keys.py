"""Streams of random keys: one seed, split by purpose, then by target.

Every room that measures has an enum of its purposes, so that a target and its candidates cannot share a key.
"""

import zlib

import jax


def stream(seed: int, *parts: int | str) -> jax.Array:
    """A key that depends on the seed and some numbers (an enum's, for one) and names, in this order."""
    key = jax.random.key(seed)
    for part in parts:
        number = zlib.crc32(part.encode("utf-8", "surrogateescape")) if isinstance(part, str) else int(part)
        key = jax.random.fold_in(key, number)
    return key
