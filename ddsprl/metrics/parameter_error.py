"""Parameter error: how far the knobs are from the truth, comparing only what can be heard.

Different knob positions may make the same sound, and a knob may make no sound at all. An error that counts
those says nothing about a method, so the truth stands for every preset that sounds the same. What can be
heard is the instrument's knowledge (`synth_jax.knowledge.Audible`): what is compared knob by knob, where a
knob is heard, and another preset that may sound the same; of the two truths the one with the smaller mean
error counts. All of it is decided on the truth. Without that knowledge it is the plain mean absolute error of
all knobs.
"""

from typing import Any, NamedTuple

import numpy as np

from synth_jax import Instrument
from synth_jax.knowledge import Audible


class ParameterError(NamedTuple):
    """How far knobs are from the truth.

    Attributes:
        mean: [...], mean of the entries of `per_knob` that are heard, in [0, 1].
        per_knob: [..., d], absolute error in knob units (share of the knob's range, or of what the
            instrument's knowledge compares in its place), NaN where the knob is not heard.
        swapped: [...], whether the other preset that sounds the same was taken for the truth.
    """

    mean: np.ndarray
    per_knob: np.ndarray
    swapped: np.ndarray


def parameter_error(u: Any, u_true: Any, instrument: Instrument, *, midi_free: bool) -> ParameterError:
    """Mean absolute error over the knobs that can be heard.

    Args:
        u: [..., d], knob positions in [0, 1], snapped.
        u_true: [..., d], knob positions of the target; leading axes broadcast.
        instrument: whose knobs.
        midi_free: whether the played note was estimated rather than given.

    Returns:
        NumPy arrays of the broadcast leading shape.
    """
    u, u_true = np.broadcast_arrays(np.asarray(u, np.float64), np.asarray(u_true, np.float64))
    audible = instrument.knowledge.audible
    if audible is None:
        plain = np.abs(u - u_true)
        return ParameterError(plain.mean(-1), plain, np.zeros(plain.shape[:-1], bool))
    direct = _heard_error(u, u_true, audible, midi_free)
    other_truth, allowed = audible.other(u_true, midi_free)
    other = _heard_error(u, other_truth, audible, midi_free)
    direct_mean, other_mean = np.nanmean(direct, -1), np.nanmean(other, -1)
    swapped = allowed & (other_mean < direct_mean)
    return ParameterError(
        np.where(swapped, other_mean, direct_mean), np.where(swapped[..., None], other, direct), swapped
    )


def _heard_error(u: np.ndarray, u_true: np.ndarray, audible: Audible, midi_free: bool) -> np.ndarray:
    """Errors against one truth, `[..., d]`, NaN where not heard."""
    apart = np.abs(audible.values(u) - audible.values(u_true))
    return np.where(audible.heard(u_true, midi_free), apart, np.nan)
