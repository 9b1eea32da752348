"""`Plant`: an instrument seen as `u -> audio`, with the notes it is probed with fixed.

Everything that turns knobs sees a synthesizer through this record only. A probe is one note with its
gate; up to four are rendered, one clip each. The notes are data, so plants of one instrument may differ in
pitch and be batched with `jax.vmap`.

A synthesizer that cannot be traced (hardware, another process) is a `RemotePlant`: it is played and recorded.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

import jax
import jax.numpy as jnp
import numpy as np

from synth_jax import INSTRUMENTS, Instrument, Note
from synth_jax.params import nearest_hint

MAX_PROBES = 4


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Plant:
    """An instrument with its probes.

    Attributes:
        instrument: the synthesizer; static.
        probes: notes, each leaf `[probes]`; traced.
    """

    instrument: Instrument = field(metadata={"static": True})
    probes: Note

    @property
    def n_params(self) -> int:
        """Number of knobs, d."""
        return self.instrument.n_params

    def render(self, u: jax.Array, key: jax.Array) -> jax.Array:
        """Sound of the knob positions `u [d]` at every probe, `[probes, n_samples]`.

        Each probe hears noise of its own: probe i uses `fold_in(key, i)`.
        """
        count = jnp.shape(self.probes.midi)[0]
        keys = jax.vmap(lambda i: jax.random.fold_in(key, i))(jnp.arange(count))
        return jax.vmap(self.instrument.render, (None, 0, 0))(u, self.probes, keys)


@runtime_checkable
class RemotePlant(Protocol):
    """A synthesizer that is played and recorded: no gradient, no batch, noise of its own every time."""

    @property
    def n_params(self) -> int:
        """Number of knobs, d."""
        ...

    def measure(self, u: np.ndarray) -> np.ndarray:
        """Sound of the knob positions `u [d]` at every probe, `[probes, n_samples]`; waits for it."""
        ...


def make_plant(instrument: Instrument, probes: Sequence[Note] | Note) -> Plant:
    """A plant from one note or up to four.

    Raises:
        ValueError: no note, or more than four.
    """
    notes = [probes] if isinstance(probes, Note) else list(probes)
    if not 1 <= len(notes) <= MAX_PROBES:
        raise ValueError(f"{len(notes)} probes; a plant takes 1 to {MAX_PROBES}")
    leaves = (jnp.stack([jnp.asarray(x, jnp.float32) for x in leaf]) for leaf in zip(*notes, strict=True))
    return Plant(instrument, Note(*leaves))


def make_instrument(name: str, sample_rate: int, duration_s: float) -> Instrument:
    """Instrument by name.

    Raises:
        ValueError: unknown name; the message gives the nearest one.
    """
    if name not in INSTRUMENTS:
        raise ValueError(f"no instrument {name!r}{nearest_hint(name, list(INSTRUMENTS))}")
    return INSTRUMENTS[name](sample_rate, duration_s)


def in_chunks(function: Callable, chunk: int, *arrays):
    """`vmap(function)` over leading axes, computed `chunk` items at a time.

    A large batch leaves the processor's cache: on a CPU 4,096 clips in chunks of 64 cost no more per clip
    than 64. Chunks are of one size, the last one filled up with copies of the last item.

    Args:
        function: for one example.
        chunk: most items computed together.
        *arrays: pytrees with a common leading axis.
    """
    count = jax.tree.leaves(arrays)[0].shape[0]
    rounds = -(-count // chunk)
    chunk = -(-count // rounds)
    short = rounds * chunk - count

    def split(x):
        filled = jnp.concatenate([x, jnp.broadcast_to(x[-1:], (short, *x.shape[1:]))]) if short else x
        return filled.reshape(rounds, chunk, *x.shape[1:])

    result = jax.lax.map(lambda args: jax.vmap(function)(*args), jax.tree.map(split, arrays))
    return jax.tree.map(lambda x: x.reshape(rounds * chunk, *x.shape[2:])[:count], result)
