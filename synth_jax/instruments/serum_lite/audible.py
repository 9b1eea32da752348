"""Which knobs of a Serum-lite preset can be heard, for comparing two presets knob by knob.

Different knob positions may make the same sound, and a knob may make no sound at all:

- A source's gain is its level times the master volume. The three gains (both oscillators, noise) are
  compared, always, in the levels' entries; the master has no entry of its own.
- A source whose gain is at most 0.001 (-60 dB) is silent; if all are, only the gains are compared.
- An oscillator's morph, unison and detune count only where it is not silent, and its detune only where it has
  more than one voice. (Unison itself is heard even without detune: the voices start at different phases.)
- The second oscillator's offset counts only where that oscillator is not silent. If the played note is
  estimated too, a lone second oscillator's offset is one with the note and does not count either.
- The mod envelope counts only where its amount is over 0.001 of full scale, up or down; the amount itself
  always does.
- The LFO's rate and target count only where its amount is over 0.001; the amount itself always does.
- An envelope's decay counts only where its sustain is under 0.999: otherwise there is no fall.
- The oscillators may stand in the other order. That turns the offset round and moves the note by it: the same
  sound if the offset is 0, or if the note is estimated. (A silent second oscillator may have any offset,
  also 0.)

What only a certain gate or cutoff hides is not considered (a sustain level that a short note never reaches, a
resonance at Nyquist).
"""

import jax.numpy as jnp
import numpy as np

from synth_jax.instruments.serum_lite.table import NAMES, TABLE
from synth_jax.knowledge import Audible
from synth_jax.params import to_physical

QUIET_GAIN = 1e-3
SMALLEST_DEPTH = 1e-3
SAME_PITCH_SEMITONES = 1e-4

_VOICE = ("wave_morph", "unison", "detune_cents")
_ENVELOPE = ("attack", "decay", "sustain", "release")
_OFFSET, _MASTER = "osc2_semitone_offset", "master_volume"
_LEVELS = ("osc1_level", "osc2_level", "noise_level")
_FULL_SCALE = TABLE[NAMES.index(_MASTER)].high


def _values(u: np.ndarray) -> np.ndarray:
    """Positions, but for the levels: shares of full-scale gain."""
    knobs, found = _physical(u), np.array(u)
    for name in _LEVELS:
        found[..., NAMES.index(name)] = _gain(knobs, name) / _FULL_SCALE
    return found


def _heard(u: np.ndarray, midi_free: bool) -> np.ndarray:
    """Where each knob is heard; the levels always are."""
    truth = _physical(u)
    first, second, noise = (_gain(truth, name) > QUIET_GAIN for name in _LEVELS)
    any_sound = first | second | noise
    heard = dict.fromkeys(NAMES, any_sound) | dict.fromkeys(_LEVELS, np.ones_like(any_sound))
    for osc, sounds in (("osc1", first), ("osc2", second)):
        several = np.round(truth[f"{osc}_unison"]) > 1
        heard[f"{osc}_wave_morph"] = heard[f"{osc}_unison"] = sounds
        heard[f"{osc}_detune_cents"] = sounds & several
    heard[_OFFSET] = second & first if midi_free else second
    heard[_MASTER] = np.zeros_like(any_sound)
    modulated = any_sound & (np.abs(truth["filter_env_amount"]) > SMALLEST_DEPTH)
    for name in _ENVELOPE:
        heard[f"mod_{name}"] = modulated
    for prefix in ("amp", "mod"):
        falls = truth[f"{prefix}_sustain"] < 1.0 - SMALLEST_DEPTH
        heard[f"{prefix}_decay"] = heard[f"{prefix}_decay"] & falls
    wobbles = any_sound & (truth["lfo_amount"] > SMALLEST_DEPTH)
    heard["lfo_rate"] = heard["lfo_target"] = wobbles
    return np.stack([heard[name] for name in NAMES], -1)


def _other_order(u: np.ndarray, midi_free: bool) -> tuple[np.ndarray, np.ndarray]:
    """The preset with its oscillators in the other order, and where it sounds the same.

    If the note was estimated, it is then to be compared with `midi_true + offset_true`.
    """
    truth = _physical(u)
    alone = _gain(truth, "osc2_level") <= QUIET_GAIN
    offset = np.where(alone, 0.0, truth[_OFFSET])
    other = u.copy()
    for name in (*_VOICE, "level"):
        pair = [NAMES.index(f"osc1_{name}"), NAMES.index(f"osc2_{name}")]
        other[..., pair] = u[..., pair[::-1]]
    spec = TABLE[NAMES.index(_OFFSET)]
    other[..., NAMES.index(_OFFSET)] = (-offset - spec.low) / (spec.high - spec.low)
    return other, (np.abs(offset) <= SAME_PITCH_SEMITONES) | midi_free


def _gain(knobs: dict[str, np.ndarray], level: str) -> np.ndarray:
    return knobs[level] * knobs[_MASTER]


def _physical(u: np.ndarray) -> dict[str, np.ndarray]:
    """Physical values by name, each `[...]`."""
    values = np.asarray(to_physical(jnp.asarray(u, jnp.float32), TABLE), np.float64)
    return {name: values[..., i] for i, name in enumerate(NAMES)}


AUDIBLE = Audible(_values, _heard, _other_order)
