"""Symmetries: what may be changed on a panel without changing the sound, or changing its level alone.

A learner that is shown one render of a preset has been shown all of these for nothing. Each is a map of a
preset that was drawn uniformly (discrete knobs by their choices) to one that is distributed alike, so that
mapped presets teach what more drawn ones would:

    exchanged    another preset at another note with the very same sound
    rebalanced   knobs whose product counts, moved along what leaves it as it is
    turned_up    the same sound at another level, as far as the output stage is linear
    redrawn      knobs that this preset does not sound, drawn anew

All are for one example; batch with `jax.vmap`. An instrument without an entry in `SYMMETRIES` has none.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

import jax
import jax.numpy as jnp

from synth_jax.effects.softclip import KNEE
from synth_jax.instrument import Note
from synth_jax.instruments.serum_lite import TABLE
from synth_jax.params import Table

# Least position that a volume is taken to: at 0 there is no sound to be scaled.
QUIETEST = 1e-4
Knobs = Mapping[str, int]


@dataclass(frozen=True)
class Symmetries:
    """The symmetries of an instrument; u is a snapped preset `[d]`.

    Attributes:
        exchanged: `(u, note)` to a preset and the note at which it sounds the same.
        rebalanced: `(key, u)` to a preset that sounds the same at the same note.
        turned_up: `(key, u, peak)`, `peak` being the largest magnitude of the sound, to a preset and the gain
            that its sound has over that of `u`.
        redrawn: `(key, u, gate_s, heard_s)` to a preset that sounds the same for the first `heard_s` seconds.
    """

    exchanged: Callable[[jax.Array, Note], tuple[jax.Array, Note]]
    rebalanced: Callable[[jax.Array, jax.Array], jax.Array]
    turned_up: Callable[[jax.Array, jax.Array, jax.Array], tuple[jax.Array, jax.Array]]
    redrawn: Callable[[jax.Array, jax.Array, jax.Array, jax.Array], jax.Array]


def _places(table: Table) -> dict[str, int]:
    return {spec.name: i for i, spec in enumerate(table)}


def _exchange_oscillators(knobs: Knobs, table: Table, u: jax.Array, note: Note) -> tuple[jax.Array, Note]:
    """Each oscillator in the other's place: the note is the second one's, and the offset the way back.

    Filter, envelopes and LFO do not follow the key.
    """
    place = knobs["osc2_semitone_offset"]
    swapped = u
    for name in ("wave_morph", "unison", "detune_cents", "level"):
        a, b = knobs[f"osc1_{name}"], knobs[f"osc2_{name}"]
        swapped = swapped.at[a].set(u[b]).at[b].set(u[a])
    low, span = table[place].low, table[place].high - table[place].low
    offset = low + span * u[place]
    return swapped.at[place].set((-offset - low) / span), note._replace(midi=note.midi + offset)


def _rebalance(knobs: Knobs, key: jax.Array, u: jax.Array) -> jax.Array:
    """Levels times c and the master volume over c, c at random in what the knobs' ranges allow.

    Uniform levels (k of them) and a uniform master make the density of c along such a line c^(k - 2): the
    map's Jacobian, c^(k - 1), times the invariant measure dc / c.
    """
    levels = jnp.asarray([knobs[name] for name in ("osc1_level", "osc2_level", "noise_level")])
    master = knobs["master_volume"]
    power = len(levels) - 1
    low, high = u[master], 1.0 / jnp.maximum(jnp.max(u[levels]), QUIETEST)
    share = jax.random.uniform(key)
    c = (low**power + share * (high**power - low**power)) ** (1.0 / power)
    c = jnp.where(low > QUIETEST, jnp.maximum(c, QUIETEST), 1.0)
    return jnp.clip(u.at[levels].multiply(c).at[master].divide(c), 0.0, 1.0)


def _turn_up(knobs: Knobs, key: jax.Array, u: jax.Array, peak: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Another master volume, uniform where the soft clip stays transparent."""
    master = knobs["master_volume"]
    now = u[master]
    limit = jnp.minimum(1.0, KNEE * now / jnp.maximum(peak, 1e-9))
    linear = (now < limit) & (now > QUIETEST)
    then = jnp.where(linear, jnp.maximum(limit * jax.random.uniform(key), QUIETEST), now)
    return u.at[master].set(then), jnp.where(linear, then / jnp.maximum(now, QUIETEST), 1.0)


def _redraw(
    knobs: Knobs, table: Table, key: jax.Array, u: jax.Array, gate_s: jax.Array, heard_s: jax.Array
) -> jax.Array:
    """Detune of a single voice; releases that are not heard; what comes after an attack that never ends."""
    idle = jnp.zeros(u.shape, bool)
    for osc in ("osc1", "osc2"):
        unison = knobs[f"{osc}_unison"]
        idle = idle.at[knobs[f"{osc}_detune_cents"]].set(u[unison] * (table[unison].choices - 1) < 0.5)
    held = jnp.minimum(gate_s, heard_s)
    for prefix in ("amp", "mod"):
        attack = table[knobs[f"{prefix}_attack"]]
        rising = attack.low * (attack.high / attack.low) ** u[knobs[f"{prefix}_attack"]] >= held
        idle = idle.at[knobs[f"{prefix}_decay"]].set(rising).at[knobs[f"{prefix}_sustain"]].set(rising)
        idle = idle.at[knobs[f"{prefix}_release"]].set(gate_s >= heard_s)
    return jnp.where(idle, jax.random.uniform(key, u.shape), u)


def _serum_lite() -> Symmetries:
    knobs = _places(TABLE)
    return Symmetries(
        partial(_exchange_oscillators, knobs, TABLE),
        partial(_rebalance, knobs),
        partial(_turn_up, knobs),
        partial(_redraw, knobs, TABLE),
    )


SYMMETRIES: dict[str, Symmetries] = {"serum_lite": _serum_lite()}
