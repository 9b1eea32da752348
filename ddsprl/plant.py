"""`Plant`: an instrument seen as `u -> audio`, with what it is probed with fixed.

Everything that turns knobs sees a synthesizer through this record only. A probe is one note with its gate, or
for an effect one sound; up to four are rendered, one clip each. The probes are data, so plants of one
instrument may differ in them and be batched with `jax.vmap`.

    plant = make_plant(synth, Note(60.0))       # probes fixed
    idle = Plant(synth)                         # static: whoever holds it brings an excitation
    audio = idle.play(u, Note(60.0), key)       # [n]
    audio = idle.at(notes).render(u, key)       # [probes, n]

A synthesizer that cannot be traced (hardware, another process) is a `RemotePlant`: it is played and recorded.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

import jax
import jax.numpy as jnp
import numpy as np

from synth_jax import INSTRUMENTS, Excitation, Instrument, Note, Sound
from synth_jax.params import nearest_hint

MAX_PROBES = 4


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Plant:
    """An instrument with its probes.

    Attributes:
        instrument: the synthesizer or effect; static.
        probes: of the kind that it hears, each leaf `[probes, ...]`; traced. None where whoever holds the
            plant brings them; the plant is then hashable.
    """

    instrument: Instrument = field(metadata={"static": True})
    probes: Excitation | None = None

    @property
    def n_params(self) -> int:
        """Number of knobs, d."""
        return self.instrument.n_params

    def at(self, probes: Excitation) -> "Plant":
        """The same instrument at other probes, each leaf `[probes, ...]`."""
        return Plant(self.instrument, probes)

    def play(self, u: jax.Array, excitation: Excitation, key: jax.Array) -> jax.Array:
        """Sound of the knob positions `u [d]` at one probe that is brought, `[n_samples]`."""
        return self.at(jax.tree.map(lambda x: jnp.asarray(x)[None], excitation)).render(u, key)[0]

    def render(self, u: jax.Array, key: jax.Array) -> jax.Array:
        """Sound of the knob positions `u [d]` at every probe, `[probes, n_samples]`.

        Each probe hears noise of its own: probe i uses `fold_in(key, i)`.

        Raises:
            ValueError: it has no probes.
        """
        if self.probes is None:
            raise ValueError(f"the plant of {self.instrument.name} has no probes; see `Plant.at`")
        count = jnp.shape(self.probes[0])[0]
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


def make_plant(instrument: Instrument, probes: Sequence[Excitation] | Excitation) -> Plant:
    """A plant from one note (or, for an effect, one sound `[n_samples]`) or up to four.

    Raises:
        ValueError: no probe, or more than four.
        TypeError: a probe that the instrument does not hear.
    """
    each = [probes] if isinstance(probes, Note | Sound) else list(probes)
    if not 1 <= len(each) <= MAX_PROBES:
        raise ValueError(f"{len(each)} probes; a plant takes 1 to {MAX_PROBES}")
    for probe in each:
        instrument.check_kind(probe)
    together = jax.tree.map(lambda *leaves: jnp.stack([jnp.asarray(x, jnp.float32) for x in leaves]), *each)
    return Plant(instrument, together)


def make_instrument(name: str, sample_rate: int, duration_s: float) -> Instrument:
    """Instrument by name.

    Raises:
        ValueError: unknown name; the message gives the nearest one.
    """
    if name not in INSTRUMENTS:
        raise ValueError(f"no instrument {name!r}{nearest_hint(name, list(INSTRUMENTS))}")
    return INSTRUMENTS[name](sample_rate, duration_s)


def playable() -> tuple[str, ...]:
    """Names of the instruments that hear notes."""
    return tuple(name for name, make in INSTRUMENTS.items() if make().hears == "note")


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
