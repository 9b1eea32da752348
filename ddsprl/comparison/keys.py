"""Where all randomness of a comparison comes from: one seed, split by purpose, then by target.

Streams are named, so that a target and its candidates cannot share a noise key: the sound of a target is
drawn from `TARGET`, searches from `SEARCH`, references from `REFERENCE`, and every preset that is judged,
whoever found it, is heard under the same keys from `JUDGE`.
"""

import enum
import zlib

import jax


class Stream(enum.IntEnum):
    """What a key is for."""

    TARGET = 1
    NOTE = 2
    REFERENCE = 3
    SEARCH = 4
    START = 5
    JUDGE = 6


def stream(seed: int, purpose: Stream, *parts: int | str) -> jax.Array:
    """A key that depends on the seed, the purpose, and some numbers or names."""
    key = jax.random.fold_in(jax.random.key(seed), int(purpose))
    for part in parts:
        number = zlib.crc32(part.encode("utf-8", "surrogateescape")) if isinstance(part, str) else part
        key = jax.random.fold_in(key, number)
    return key
