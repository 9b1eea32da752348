"""Parameter error: how far the knobs are from the truth, comparing only what can be heard.

Different knob positions may make the same sound, and a knob may make no sound at all. An error that counts
those says nothing about a method, so here the truth stands for every preset that sounds the same:

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
  also 0.) Of the two orders the one with the smaller mean error counts.

All of these conditions are on the truth. What only a certain gate or cutoff hides is not considered (a
sustain level that a short note never reaches, a resonance at Nyquist). Instruments without these knobs, or
with others, have the plain mean absolute error of all knobs.
"""

from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np

from synth_jax.params import Table, to_physical

QUIET_GAIN = 1e-3
SMALLEST_DEPTH = 1e-3
SAME_PITCH_SEMITONES = 1e-4

_VOICE = ("wave_morph", "unison", "detune_cents")
_ENVELOPE = ("attack", "decay", "sustain", "release")
_OFFSET = "osc2_semitone_offset"
_MASTER = "master_volume"
_LEVELS = ("osc1_level", "osc2_level", "noise_level")
_FILTER = ("filter_cutoff", "filter_resonance", "filter_env_amount")
_LFO = ("lfo_rate", "lfo_amount", "lfo_target")
# The knobs that the rules are about.
KNOWN_KNOBS = frozenset(
    (
        *(f"osc{number}_{name}" for number in (1, 2) for name in _VOICE),
        *(f"{prefix}_{name}" for prefix in ("amp", "mod") for name in _ENVELOPE),
        *(_OFFSET, _MASTER, *_LEVELS, *_FILTER, *_LFO),
    )
)


class ParameterError(NamedTuple):
    """How far knobs are from the truth.

    Attributes:
        mean: [...], mean of the entries of `per_knob` that are heard, in [0, 1].
        per_knob: [..., d], absolute error in knob units (share of the knob's range; of full-scale gain for
            the levels), NaN where the knob is not heard.
        swapped: [...], whether the truth was taken with its oscillators in the other order. If the note
            was estimated, it is then to be compared with `midi_true + offset_true`.
    """

    mean: np.ndarray
    per_knob: np.ndarray
    swapped: np.ndarray


def parameter_error(u: Any, u_true: Any, table: Table, *, midi_free: bool) -> ParameterError:
    """Mean absolute error over the knobs that can be heard; the module's docstring has the rules.

    Args:
        u: [..., d], knob positions in [0, 1], snapped.
        u_true: [..., d], knob positions of the target; leading axes broadcast.
        table: the instrument's knobs.
        midi_free: whether the played note was estimated rather than given.

    Returns:
        NumPy arrays of the broadcast leading shape.
    """
    u, u_true = np.broadcast_arrays(np.asarray(u, np.float64), np.asarray(u_true, np.float64))
    names = [spec.name for spec in table]
    if set(names) != KNOWN_KNOBS:
        plain = np.abs(u - u_true)
        return ParameterError(plain.mean(-1), plain, np.zeros(plain.shape[:-1], bool))
    direct = _audible_error(u, u_true, table, midi_free=midi_free)
    other_truth, allowed = _other_order(u_true, table, midi_free=midi_free)
    other = _audible_error(u, other_truth, table, midi_free=midi_free)
    direct_mean, other_mean = np.nanmean(direct, -1), np.nanmean(other, -1)
    swapped = allowed & (other_mean < direct_mean)
    return ParameterError(
        np.where(swapped, other_mean, direct_mean), np.where(swapped[..., None], other, direct), swapped
    )


def _audible_error(u: np.ndarray, u_true: np.ndarray, table: Table, *, midi_free: bool) -> np.ndarray:
    """Errors against one order of the oscillators, `[..., d]`, NaN where not heard."""
    knobs, truth = _physical(u, table), _physical(u_true, table)
    heard = _heard(truth, midi_free=midi_free)
    columns = []
    for i, spec in enumerate(table):
        if spec.name in _LEVELS:
            full_scale = spec.high * next(other.high for other in table if other.name == _MASTER)
            columns.append(np.abs(_gain(knobs, spec.name) - _gain(truth, spec.name)) / full_scale)
        else:
            columns.append(np.where(heard[spec.name], np.abs(u[..., i] - u_true[..., i]), np.nan))
    return np.stack(columns, -1)


def _heard(truth: dict[str, np.ndarray], *, midi_free: bool) -> dict[str, np.ndarray]:
    """Where each knob but the levels is heard, by name, each `[...]`."""
    first, second, noise = (_gain(truth, name) > QUIET_GAIN for name in _LEVELS)
    any_sound = first | second | noise
    heard = dict.fromkeys(KNOWN_KNOBS - set(_LEVELS), any_sound)
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
    return heard


def _other_order(u: np.ndarray, table: Table, *, midi_free: bool) -> tuple[np.ndarray, np.ndarray]:
    """The preset with its oscillators in the other order, `[..., d]`, and where it sounds the same."""
    names = [spec.name for spec in table]
    truth = _physical(u, table)
    alone = _gain(truth, "osc2_level") <= QUIET_GAIN
    offset = np.where(alone, 0.0, truth[_OFFSET])
    other = u.copy()
    for name in (*_VOICE, "level"):
        pair = [names.index(f"osc1_{name}"), names.index(f"osc2_{name}")]
        other[..., pair] = u[..., pair[::-1]]
    spec = table[names.index(_OFFSET)]
    other[..., names.index(_OFFSET)] = (-offset - spec.low) / (spec.high - spec.low)
    return other, (np.abs(offset) <= SAME_PITCH_SEMITONES) | midi_free


def _gain(knobs: dict[str, np.ndarray], level: str) -> np.ndarray:
    return knobs[level] * knobs[_MASTER]


def _physical(u: np.ndarray, table: Table) -> dict[str, np.ndarray]:
    """Physical values by name, each `[...]`."""
    values = np.asarray(to_physical(jnp.asarray(u, jnp.float32), table), np.float64)
    return {spec.name: values[..., i] for i, spec in enumerate(table)}
