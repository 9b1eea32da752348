"""Several presets for one sound: the best, and others that differ in knobs and can be told apart by ear.

    heard = sounds_of_members(problem, targets, members, keys)       # sounds of the finalists of G targets
    chosen = distinct_indices(loss, u, heard.sounds[0], count=3, least_sound=least_sound(heard.floor[0]))

Two presets that sound alike are one answer, however far apart their knobs are; so are two whose knobs are
alike. What counts as alike in sound is a multiple of the noise floor, the distance between two renders of
the same preset with different noise keys, and never less than `AUDIBLE_DB`.
"""

from collections.abc import Callable
from functools import lru_cache, partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from ddsprl.features.mel import mel_power
from ddsprl.fitting.core.archive import BAD_LOSS
from ddsprl.fitting.core.problem import Problem, Target
from ddsprl.fitting.core.programs import over_targets
from ddsprl.losses.log_mel import mel_floor, mel_to_db
from ddsprl.plant import in_chunks

# Root mean square of knob differences under which presets are one.
LEAST_KNOBS = 0.05
# Mean level difference over all bands and frames under which two sounds are one: about what listeners can
# just tell of a level (Zwicker and Fastl, Psychoacoustics, chapter 7).
AUDIBLE_DB = 1.0
FLOORS = 2.0  # sounds count as different from this multiple of the noise floor on
HEARINGS = 2  # of the best member, for the floor


class MemberSounds(NamedTuple):
    """Sounds of the finalists of G targets.

    Attributes:
        sounds: log-mel spectra in dB, `[G, k, frames, mels]`.
        floor: distance between renders of the best with different noise keys, dB, `[G]`.
        renders: spent on it, a target.
    """

    sounds: np.ndarray
    floor: np.ndarray
    renders: int


def sounds_of_members(
    problem: Problem, targets: Target, members: np.ndarray, keys: jax.Array
) -> MemberSounds:
    """Listen to finalists, all with one noise key, and to the best again with another.

    Args:
        problem: static.
        targets: leaves `[G, ...]`.
        members: best first, `[G, k, d]`.
        keys: one a target, `[G]`.
    """
    sounds, again = _program(problem)(targets, jnp.asarray(members, jnp.float32), keys)
    sounds, again = np.asarray(sounds), np.asarray(again)
    hearings = np.concatenate([sounds[:, :1], again], axis=1)
    floor = np.array([sound_floor(rows) for rows in hearings])
    return MemberSounds(sounds, floor, members.shape[1] + HEARINGS - 1)


def least_sound(floor: float) -> float:
    """Distance from which on two sounds are two, dB."""
    return max(AUDIBLE_DB, FLOORS * floor)


@lru_cache(maxsize=8)
def _program(problem: Problem) -> Callable:
    return over_targets(partial(_one, problem))


def _one(problem: Problem, target: Target, u: jax.Array, key: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Spectra of members `[k, d]`, and of the first one again."""
    rate = problem.instrument.sample_rate
    floor = mel_floor(mel_power(target.audio, rate).T)

    def spectrum(x: jax.Array, key: jax.Array) -> jax.Array:
        sound = problem.render(problem.snap(problem.constrain(x, target)), target, key) * target.window
        return mel_to_db(mel_power(sound, rate).T, floor)

    count = u.shape[0]
    keys = jax.random.split(key, HEARINGS)
    which = jnp.concatenate([jnp.zeros(count, jnp.int32), jnp.arange(1, HEARINGS)])
    presets = jnp.concatenate([u, jnp.broadcast_to(u[:1], (HEARINGS - 1, u.shape[1]))])
    found = in_chunks(lambda x, i: spectrum(x, keys[i]), problem.score_chunk, presets, which)
    return found[:count], found[count:]


def distinct_indices(
    loss: np.ndarray,
    u: np.ndarray,
    sounds: np.ndarray,
    *,
    count: int,
    least_sound: float,
    least_knobs: float = LEAST_KNOBS,
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

    Returns:
        Fewer than `count` where there are no more that differ.
    """
    chosen: list[int] = []
    for i in np.argsort(loss, kind="stable"):
        if len(chosen) == count or not loss[i] < BAD_LOSS:
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
