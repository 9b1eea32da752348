"""Several presets for one sound: the best, and others that differ in knobs and can be told apart by ear.

    sounds = log_mel of the archive's renders            # any features in which a distance means something
    chosen = distinct_indices(archive.loss, archive.u, sounds, count=3, least_knobs=0.05, least_sound=floor)

Two presets that sound alike are one answer, however far apart their knobs are; so are two whose knobs are
alike. What counts as alike in sound is a multiple of the noise floor: the distance between two renders of
the same preset with different noise keys.
"""

import numpy as np

from ddsprl.fitting.problem import BAD_LOSS

# Root mean square of knob differences under which presets are one.
LEAST_KNOBS = 0.05


def distinct_indices(
    loss: np.ndarray,
    u: np.ndarray,
    sounds: np.ndarray,
    *,
    count: int,
    least_sound: float,
    least_knobs: float = LEAST_KNOBS,
    worst: float = np.inf,
) -> list[int]:
    """Indices of up to `count` presets, best first, each distinct from all before it.

    Args:
        loss: of the members of an archive, `[k]`; `BAD_LOSS` for places not taken.
        u: their knobs, `[k, d]`.
        sounds: features of their sounds, `[k, ...]`, such as log-mel spectra in dB.
        count: wanted.
        least_sound: smallest distance in sound (mean absolute difference of features), such as twice
            `sound_floor`.
        least_knobs: smallest distance in knobs (root mean square).
        worst: members with a higher loss are left out.

    Returns:
        Fewer than `count` where there are no more that differ.
    """
    chosen: list[int] = []
    for i in np.argsort(loss, kind="stable"):
        if len(chosen) == count or not loss[i] < min(BAD_LOSS, worst):
            break
        apart = all(
            knob_distance(u[i], u[j]) >= least_knobs and sound_distance(sounds[i], sounds[j]) >= least_sound
            for j in chosen
        )
        if apart:
            chosen.append(int(i))
    return chosen


def knob_distance(u: np.ndarray, other: np.ndarray) -> float:
    """Root mean square of the differences of two knob vectors."""
    return float(np.sqrt(np.mean(np.square(np.asarray(u, float) - other))))


def sound_distance(features: np.ndarray, other: np.ndarray) -> float:
    """Mean absolute difference of two sounds' features, in their unit (dB for log-mel)."""
    return float(np.mean(np.abs(np.asarray(features, float) - other)))


def sound_floor(hearings: np.ndarray) -> float:
    """Distance that is no difference: the mean over pairs of hearings of one preset, `[m, ...]`, m >= 2."""
    pairs = [(i, j) for i in range(len(hearings)) for j in range(i)]
    return float(np.mean([sound_distance(hearings[i], hearings[j]) for i, j in pairs]))
