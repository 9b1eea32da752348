"""Detuned voices of morphing oscillators: how many, where they lie, how loud they are.

Where the output has kinks: unison at whole numbers, morph at 1/3 and 2/3, and a voice's fundamental where
it starts to fade (0.40 of the sample rate) and is gone (0.45).
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from synth_jax.numerics import safe_sqrt
from synth_jax.oscillators.correction import correction_gain
from synth_jax.oscillators.waves import Shape, morph_weights
from synth_jax.units import cents_to_ratio, semitones_to_ratio

MAX_VOICES = 7
FADE_FROM, FADE_TO = 0.40, 0.45
# Start phases in cycles: the golden ratio spreads any number of voices evenly; the first starts at 0.
START_PHASES = (np.arange(MAX_VOICES) * 0.6180339887) % 1.0


class OscParams(NamedTuple):
    """Knobs of one oscillator in physical units, scalars.

    Attributes:
        morph: wave position in [0, 1].
        unison: number of voices in [1, 7]; fractional while relaxed.
        detune_cents: offset of the outermost voices.
        level: linear gain.
        semitones: offset from the played note.
    """

    morph: jax.Array
    unison: jax.Array
    detune_cents: jax.Array
    level: jax.Array
    semitones: jax.Array


class Tuned(NamedTuple):
    """The same with the pitch as its voices hear it, scalars; `unison_voices` is a function of these.

    Attributes:
        morph: wave position in [0, 1].
        unison: number of voices.
        detune_cents: offset of the outermost voices.
        level: linear gain.
        ratio: frequency of the undetuned oscillator relative to the played note.
        pitch: frequency of the undetuned oscillator in cycles per sample: how close it is to Nyquist.
    """

    morph: jax.Array
    unison: jax.Array
    detune_cents: jax.Array
    level: jax.Array
    ratio: jax.Array
    pitch: jax.Array


class Voices(NamedTuple):
    """The voices of an oscillator.

    Attributes:
        ratio: frequency relative to the played note, `[voices]`.
        gain: linear, `[voices]`.
        shape: weights of the basis waves, scalars.
    """

    ratio: jax.Array
    gain: jax.Array
    shape: Shape


def tuned(params: OscParams, frequency: jax.Array) -> Tuned:
    """Knobs of an oscillator as its voices hear them.

    Args:
        params: the oscillator's knobs.
        frequency: of the played note in cycles per sample, scalar.
    """
    ratio = semitones_to_ratio(params.semitones)
    return Tuned(params.morph, params.unison, params.detune_cents, params.level, ratio, frequency * ratio)


def voice_positions(unison: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Where the voices of an oscillator lie and how loud they are.

    n voices lie evenly on [-1, 1], with gains 1/sqrt(n). Between whole numbers the positions are
    interpolated and the newest voice fades in, power kept equal.

    Args:
        unison: number of voices, scalar in [1, MAX_VOICES].

    Returns:
        positions `[MAX_VOICES]` in units of the detune, gains `[MAX_VOICES]`.
    """
    table = np.ones((MAX_VOICES + 1, MAX_VOICES))
    table[0] = 0.0
    table[0, 1:] = 1.0
    for n in range(2, MAX_VOICES + 1):
        table[n - 1, :n] = np.linspace(-1.0, 1.0, n)
    table[MAX_VOICES] = table[MAX_VOICES - 1]
    below = jnp.clip(jnp.floor(jax.lax.stop_gradient(unison)), 1, MAX_VOICES).astype(jnp.int32)
    fraction = unison - below
    table = jnp.asarray(table, unison.dtype)
    positions = table[below - 1] * (1.0 - fraction) + table[below] * fraction
    weight = jnp.clip(unison - jnp.arange(MAX_VOICES), 0.0, 1.0)
    return positions, weight / safe_sqrt(jnp.sum(weight * weight))


def unison_voices(knobs: Tuned) -> Voices:
    """The voices of one oscillator; those that come near Nyquist fade."""
    positions, gains = voice_positions(knobs.unison)
    apart = cents_to_ratio(knobs.detune_cents * positions)
    audible = jnp.clip((FADE_TO - knobs.pitch * apart) * (1.0 / (FADE_TO - FADE_FROM)), 0.0, 1.0)
    shape = morph_weights(knobs.morph)
    # Sine and triangle have no edge kernel to correct: take the correction filter's boost out beforehand.
    tame = 1.0 / correction_gain(jnp.minimum(knobs.pitch, FADE_TO))
    shape = shape._replace(sine=shape.sine * tame, triangle=shape.triangle * tame)
    return Voices(knobs.ratio * apart, knobs.level * gains * audible, shape)
