"""`Note` and `Instrument`: a table of knobs and one pure function from knob positions to sound."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from synth_jax.params import Table, check_table, default_unit, snap

MAX_DURATION_S = 10.0


class Note(NamedTuple):
    """What the player does; a pytree of numbers or scalars, or of equal-shaped arrays for a batch.

    Attributes:
        midi: MIDI note number, may be fractional; 69 is 440 Hz.
        gate_s: seconds for which the key is held.
        velocity: linear gain, 1.0 is nominal.
    """

    midi: Any = 60.0
    gate_s: Any = 0.4
    velocity: Any = 1.0


RenderFn = Callable[[jax.Array, Note, jax.Array], jax.Array]


@dataclass(frozen=True)
class Instrument:
    """A plant: a table of knobs and a pure `render`, for one example; batch with `jax.vmap`.

    Instruments are static (hashable by identity of their render function) and may be closed over or
    passed as static arguments.

    Attributes:
        name: identifier, as in preset files.
        table: the knobs, in the order of the knob vector.
        sample_rate: in Hz.
        duration_s: length of a rendered clip in seconds.
        render_fn: `(u [d], note, key) -> audio [n_samples]`.
    """

    name: str
    table: Table
    sample_rate: int
    duration_s: float
    render_fn: RenderFn = field(repr=False)

    @property
    def n_samples(self) -> int:
        """Length of a rendered clip in samples."""
        return n_samples(self.sample_rate, self.duration_s)

    @property
    def n_params(self) -> int:
        """Number of knobs, d."""
        return len(self.table)

    @property
    def default(self) -> jax.Array:
        """Knob positions of the neutral patch, float32 `[d]`."""
        return jnp.asarray(default_unit(self.table))

    def snap(self, u: jax.Array) -> jax.Array:
        """Discrete knobs to their nearest choice, straight-through; `[..., d]` in and out."""
        return snap(u, self.table)

    def render(self, u: jax.Array, note: Note, key: jax.Array) -> jax.Array:
        """Sound of the knob positions `u [d]` for one note; float `[n_samples]`, about -1 to 1.

        Pure; jit, vmap and grad apply. The computation runs in the dtype of `u` (float32, or float64
        when JAX has 64-bit types enabled). Unison between whole numbers is heard as a voice fading in;
        `snap` gives the vector that a preset stores.

        Args:
            u: knob positions in [0, 1], `[d]` in table order.
            note: pitch, gate and velocity, scalars.
            key: JAX PRNG key; feeds noise sources only.
        """
        if u.shape != (self.n_params,):
            expected = f"{self.name} takes ({self.n_params},); batch with jax.vmap"
            raise ValueError(f"u has shape {u.shape}, {expected}")
        note = Note(*(jnp.asarray(x, u.dtype) for x in note))
        return self.render_fn(u, note, key)


def n_samples(sample_rate: int, duration_s: float) -> int:
    """Clip length in samples."""
    return round(sample_rate * duration_s)


def make_instrument(
    name: str, table: Table, sample_rate: int, duration_s: float, render_fn: RenderFn
) -> Instrument:
    """Check the settings at the door and build the record.

    Raises:
        ValueError: a sample rate outside 8 to 96 kHz or a duration outside (0, 10] s.
    """
    if not (isinstance(sample_rate, int | np.integer) and 8_000 <= sample_rate <= 96_000):
        raise ValueError(f"sample_rate {sample_rate!r} is not a whole number of Hz in 8000 to 96000")
    if not 0.0 < duration_s <= MAX_DURATION_S:
        raise ValueError(f"duration_s {duration_s!r} is not in (0, {MAX_DURATION_S:g}] seconds")
    return Instrument(name, check_table(table), int(sample_rate), float(duration_s), render_fn)
