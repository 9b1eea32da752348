"""Presets of Serum-lite that sound the same, or the same at another level; see `synth_jax.knowledge`."""

import jax
import jax.numpy as jnp

from synth_jax.effects.softclip import KNEE
from synth_jax.excitation import Note
from synth_jax.instruments.serum_lite.table import NAMES, TABLE
from synth_jax.knowledge import Symmetries

# Least position that a volume is taken to: at 0 there is no sound to be scaled.
QUIETEST = 1e-4
PLACES = {name: i for i, name in enumerate(NAMES)}


def _exchange_oscillators(u: jax.Array, note: Note) -> tuple[jax.Array, Note]:
    """Each oscillator in the other's place: the note is the second one's, and the offset the way back.

    Filter, envelopes and LFO do not follow the key.
    """
    place = PLACES["osc2_semitone_offset"]
    swapped = u
    for name in ("wave_morph", "unison", "detune_cents", "level"):
        a, b = PLACES[f"osc1_{name}"], PLACES[f"osc2_{name}"]
        swapped = swapped.at[a].set(u[b]).at[b].set(u[a])
    low, span = TABLE[place].low, TABLE[place].high - TABLE[place].low
    offset = low + span * u[place]
    return swapped.at[place].set((-offset - low) / span), note._replace(midi=note.midi + offset)


def _rebalance(key: jax.Array, u: jax.Array) -> jax.Array:
    """Levels times c and the master volume over c, c at random in what the knobs' ranges allow.

    Uniform levels (k of them) and a uniform master make the density of c along such a line c^(k - 2): the
    map's Jacobian, c^(k - 1), times the invariant measure dc / c.
    """
    levels = jnp.asarray([PLACES[name] for name in ("osc1_level", "osc2_level", "noise_level")])
    master = PLACES["master_volume"]
    power = len(levels) - 1
    low, high = u[master], 1.0 / jnp.maximum(jnp.max(u[levels]), QUIETEST)
    share = jax.random.uniform(key)
    c = (low**power + share * (high**power - low**power)) ** (1.0 / power)
    c = jnp.where(low > QUIETEST, jnp.maximum(c, QUIETEST), 1.0)
    return jnp.clip(u.at[levels].multiply(c).at[master].divide(c), 0.0, 1.0)


def _turn_up(key: jax.Array, u: jax.Array, peak: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Another master volume, uniform where the soft clip stays transparent."""
    master = PLACES["master_volume"]
    now = u[master]
    limit = jnp.minimum(1.0, KNEE * now / jnp.maximum(peak, 1e-9))
    linear = (now < limit) & (now > QUIETEST)
    then = jnp.where(linear, jnp.maximum(limit * jax.random.uniform(key), QUIETEST), now)
    return u.at[master].set(then), jnp.where(linear, then / jnp.maximum(now, QUIETEST), 1.0)


def _redraw(key: jax.Array, u: jax.Array, gate_s: jax.Array, heard_s: jax.Array) -> jax.Array:
    """Detune of a single voice; releases that are not heard; what comes after an attack that never ends."""
    idle = jnp.zeros(u.shape, bool)
    for osc in ("osc1", "osc2"):
        unison = PLACES[f"{osc}_unison"]
        idle = idle.at[PLACES[f"{osc}_detune_cents"]].set(u[unison] * (TABLE[unison].choices - 1) < 0.5)
    held = jnp.minimum(gate_s, heard_s)
    for prefix in ("amp", "mod"):
        attack = TABLE[PLACES[f"{prefix}_attack"]]
        rising = attack.low * (attack.high / attack.low) ** u[PLACES[f"{prefix}_attack"]] >= held
        idle = idle.at[PLACES[f"{prefix}_decay"]].set(rising).at[PLACES[f"{prefix}_sustain"]].set(rising)
        idle = idle.at[PLACES[f"{prefix}_release"]].set(gate_s >= heard_s)
    return jnp.where(idle, jax.random.uniform(key, u.shape), u)


SYMMETRIES = Symmetries(_exchange_oscillators, _rebalance, _turn_up, _redraw)
