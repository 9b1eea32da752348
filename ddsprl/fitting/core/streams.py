"""Where the randomness of a target comes from: one key a target, and a stream of its own for every purpose.

What is found for a target depends on its own key only, and a draw for one purpose shifts no other.
"""

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


def streams_of_name(root: jax.Array) -> Streams:
    """Streams of a target that has a name, from its key."""
    search, pitch, reference = jax.random.split(root, 3)
    start, solver, judge = jax.random.split(jax.random.fold_in(search, 0), 3)
    elsewhere, analysis, posterior = jax.random.split(jax.random.fold_in(reference, 1), 3)
    return Streams(start, solver, judge, pitch, elsewhere, reference, analysis, posterior)


def streams_of(root: jax.Array) -> Streams:
    """Streams of a target, from its key."""
    start, solver, judge = jax.random.split(root, 3)
    return Streams(start, solver, judge, *(jax.random.fold_in(root, i) for i in range(5)))
