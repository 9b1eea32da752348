"""The smallest instrument: one sine with two knobs. Proof that a plant is a slot."""

import jax
import jax.numpy as jnp

from synth_jax.excitation import Note
from synth_jax.instrument import Instrument, make_instrument, n_samples
from synth_jax.modulators import sine_turns
from synth_jax.params import ParamSpec, Table, to_physical

TABLE: Table = (
    ParamSpec(
        name="frequency",
        low=20.0,
        high=8_000.0,
        default=440.0,
        unit="Hz",
        scale="log",
        module="OSC",
        group="Sine",
    ),
    ParamSpec(name="level", low=0.0, high=1.0, default=0.5, module="OSC", group="Sine", help="gain"),
)


def sine(sample_rate: int = 16_000, duration_s: float = 0.5) -> Instrument:
    """A steady sine; the note gives velocity only."""
    n = n_samples(sample_rate, duration_s)

    def render(u: jax.Array, note: Note, key: jax.Array) -> jax.Array:
        del key
        frequency_hz, level = to_physical(u, TABLE)
        time_s = jnp.arange(n, dtype=u.dtype) / sample_rate
        return level * note.velocity * sine_turns(time_s * frequency_hz)

    return make_instrument("sine", TABLE, sample_rate, duration_s, render)
