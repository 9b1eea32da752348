"""Where the randomness of a target comes from: one key a target, and a stream of its own for every purpose.

What is found for a target depends on its own key only, and a draw for one purpose shifts no other.
"""

import zlib
from typing import NamedTuple

import jax


class Streams(NamedTuple):
    """Keys by purpose; scalars, or each `[m]` for m targets.

    Attributes:
        start: of the positions that a search begins at.
        search: of the solver's draws and its noise.
        judge: of the noise under which what was found is judged.
        pitch: of the noise under which pitches are tried.
        elsewhere: of further searches for the same target.
        reference: of random presets, and of how they are heard.
        analysis: of what is said about the finalists.
        posterior: of the chains.
    """

    start: jax.Array
    search: jax.Array
    judge: jax.Array
    pitch: jax.Array
    elsewhere: jax.Array
    reference: jax.Array
    analysis: jax.Array
    posterior: jax.Array


def named(root: jax.Array, *names: str) -> list[jax.Array]:
    """A key for each purpose, from the root and the purpose's name alone.

    The CRC-32 of the name is folded in, so that a purpose more, or another order, changes no other's draws.
    """
    return [jax.random.fold_in(root, zlib.crc32(name.encode())) for name in names]


def streams_of(root: jax.Array) -> Streams:
    """Streams of a target, from its key."""
    return Streams(*named(root, *Streams._fields))
