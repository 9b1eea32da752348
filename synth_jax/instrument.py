"""`Instrument`: a table of knobs and one pure function from knob positions to sound.

A synthesizer hears a note, an effect hears a sound (`synth_jax.excitation`); otherwise they are alike.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from synth_jax.excitation import EXCITATIONS, Excitation, Hears
from synth_jax.knowledge import Knowledge
from synth_jax.params import Table, check_table, default_unit, modules_of, snap

MAX_DURATION_S = 10.0


RenderFn = Callable[[jax.Array, Any, jax.Array], jax.Array]


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
        render_fn: `(u [d], excitation, key) -> audio [n_samples]`.
        hears: what it is given to sound: a `note`, or a `sound` of its own rate and length.
        knowledge: what is known of it besides; empty by default.
    """

    name: str
    table: Table
    sample_rate: int
    duration_s: float
    render_fn: RenderFn = field(repr=False)
    hears: Hears = "note"
    knowledge: Knowledge = field(default=Knowledge(), repr=False, compare=False)

    @property
    def n_samples(self) -> int:
        """Length of a rendered clip in samples."""
        return n_samples(self.sample_rate, self.duration_s)

    @property
    def n_params(self) -> int:
        """Number of knobs, d."""
        return len(self.table)

    @property
    def modules(self) -> tuple[str, ...]:
        """Its modules, in the order in which the table names them first."""
        return modules_of(self.table)

    @property
    def default(self) -> jax.Array:
        """Knob positions of the neutral patch, float32 `[d]`."""
        return jnp.asarray(default_unit(self.table))

    def snap(self, u: jax.Array) -> jax.Array:
        """Discrete knobs to their nearest choice, straight-through; `[..., d]` in and out."""
        return snap(u, self.table)

    def render(self, u: jax.Array, excitation: Excitation, key: jax.Array) -> jax.Array:
        """Sound of the knob positions `u [d]` for one excitation; float `[n_samples]`, about -1 to 1.

        Pure; jit, vmap and grad apply. The computation runs in the dtype of `u` (float32, or float64
        when JAX has 64-bit types enabled). A discrete knob between two choices sounds as its voice makes of
        it; `snap` gives the vector that a preset stores.

        Args:
            u: knob positions in [0, 1], `[d]` in table order.
            excitation: of the kind that it hears: a note, its fields scalars, or a sound, `[n_samples]`.
            key: JAX PRNG key; feeds noise sources only.

        Raises:
            ValueError: knobs or audio of another shape.
            TypeError: an excitation of another kind.
        """
        if u.shape != (self.n_params,):
            expected = f"{self.name} takes ({self.n_params},); batch with jax.vmap"
            raise ValueError(f"u has shape {u.shape}, {expected}")
        self.check_kind(excitation)
        excitation = jax.tree.map(lambda x: jnp.asarray(x, u.dtype), excitation)
        if self.hears == "sound" and excitation[0].shape != (self.n_samples,):
            expected = f"{self.name} takes ({self.n_samples},); batch with jax.vmap"
            raise ValueError(f"audio has shape {excitation[0].shape}, {expected}")
        return self.render_fn(u, excitation, key)

    def check_kind(self, excitation: Excitation) -> None:
        """Refuse an excitation that it does not hear.

        Raises:
            TypeError: naming both kinds.
        """
        kind = EXCITATIONS[self.hears]
        if not isinstance(excitation, kind):
            raise TypeError(f"{self.name} hears a {kind.__name__}, not a {type(excitation).__name__}")


def n_samples(sample_rate: int, duration_s: float) -> int:
    """Clip length in samples."""
    return round(sample_rate * duration_s)


def make_instrument(
    name: str,
    table: Table,
    sample_rate: int,
    duration_s: float,
    render_fn: RenderFn,
    *,
    hears: Hears = "note",
    knowledge: Knowledge | None = None,
) -> Instrument:
    """Check the settings at the door and build the record.

    Raises:
        ValueError: a sample rate outside 8 to 96 kHz or a duration outside (0, 10] s.
        KeyError: knowledge of a knob that is not in the table.
    """
    if not (isinstance(sample_rate, int | np.integer) and 8_000 <= sample_rate <= 96_000):
        raise ValueError(f"sample_rate {sample_rate!r} is not a whole number of Hz in 8000 to 96000")
    if not 0.0 < duration_s <= MAX_DURATION_S:
        raise ValueError(f"duration_s {duration_s!r} is not in (0, {MAX_DURATION_S:g}] seconds")
    knowledge = Knowledge() if knowledge is None else knowledge
    knowledge.check(check_table(table))
    return Instrument(name, table, int(sample_rate), float(duration_s), render_fn, hears, knowledge)
