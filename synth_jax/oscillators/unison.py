"""Detuned voices of morphing oscillators, summed by one bank with its own backward pass.

Reverse-mode differentiation of fourteen unrolled voices would store some thirty audio-rate arrays per
voice. The backward pass here stores nothing: it walks over the voices once more, with the closed-form
derivatives of `waves.wave_partials`, and contracts those with the cotangent by matrix products: two
audio-rate sums (phase and period, which all voices share) and six inner products per voice.

Where the output has kinks: unison at whole numbers, morph at 1/3 and 2/3, and a voice's fundamental where
it starts to fade (0.40 of the sample rate) and is gone (0.45).
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from synth_jax.numerics import materialize, safe_sqrt
from synth_jax.oscillators.correction import correction_gain
from synth_jax.oscillators.phase import BasePhase, frame_starts
from synth_jax.oscillators.waves import Shape, morph_weights, wave, wave_partials
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


class Voices(NamedTuple):
    """The voices of some oscillators.

    Attributes:
        ratio: frequency relative to the played note, `[oscillators, voices]`.
        centre: that of an oscillator without detune; sets the width of its edges, `[oscillators]`.
        gain: linear, `[oscillators, voices]`.
        shape: weights of the basis waves, leaves `[oscillators]`.
    """

    ratio: jax.Array
    centre: jax.Array
    gain: jax.Array
    shape: Shape


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


def unison_voices(params: OscParams, frequency: jax.Array) -> Voices:
    """The voices of one oscillator.

    Args:
        params: the oscillator's knobs.
        frequency: of the played note in cycles per sample, scalar: how close a voice is to Nyquist.
    """
    positions, gains = voice_positions(params.unison)
    undetuned = semitones_to_ratio(params.semitones)
    ratio = undetuned * cents_to_ratio(params.detune_cents * positions)
    audible = jnp.clip((FADE_TO - frequency * ratio) * (1.0 / (FADE_TO - FADE_FROM)), 0.0, 1.0)
    shape = morph_weights(params.morph)
    # Sine and triangle have no edge kernel to correct: take the correction filter's boost out beforehand.
    centre = jnp.minimum(frequency * undetuned, FADE_TO)
    tame = 1.0 / correction_gain(centre)
    shape = shape._replace(sine=shape.sine * tame, triangle=shape.triangle * tame)
    return Voices(ratio, undetuned, params.level * gains * audible, shape)


def oscillators(params: list[OscParams], base: BasePhase, frequency: jax.Array) -> jax.Array:
    """Sum of several oscillators, all voices, before treble correction.

    Args:
        params: knobs of each oscillator.
        base: phase of the played note.
        frequency: of the played note in cycles per sample, scalar.

    Returns:
        Samples, `[frames, hop]`.
    """
    banks = [unison_voices(p, frequency) for p in params]
    return voice_bank(jax.tree.map(lambda *leaves: jnp.stack(leaves), *banks), base)


@jax.custom_vjp
def voice_bank(voices: Voices, base: BasePhase) -> jax.Array:
    """Sum of voices; the voices of every oscillator start at `START_PHASES`.

    Args:
        voices: of all oscillators.
        base: phase of the played note.

    Returns:
        Samples before treble correction, `[frames, hop]`.
    """
    start = _starts(voices, base)
    ratio, gain, centre = (_apart(x) for x in (voices.ratio, voices.gain, voices.centre))
    inverse = _apart(1.0 / voices.centre)
    shape = Shape(*(_apart(x) for x in voices.shape))
    total = jnp.zeros_like(base.progress)
    for o in range(ratio.shape[0]):
        one = Shape(*(x[o] for x in shape))
        rate, period = base.rate * centre[o], base.period * inverse[o]
        for v in range(ratio.shape[1]):
            late = start[o, v][:, None] + ratio[o, v] * base.progress
            total = total + gain[o, v] * wave(late, rate, period, one)
    return total


def _apart(x: jax.Array) -> jax.Array:
    """`materialize` for any shape."""
    return materialize(x.reshape(-1)).reshape(x.shape)


def _starts(voices: Voices, base: BasePhase) -> jax.Array:
    """Phase less a quarter of every voice at the start of every frame, `[oscillators, voices, frames]`."""
    return jax.vmap(lambda ratio: frame_starts(base, ratio, START_PHASES - 0.25))(voices.ratio)


def _bank_forward(voices, base):
    return voice_bank(voices, base), (voices, base)


def _bank_backward(residuals, cotangent):
    voices, base = residuals
    oscillators, count = voices.ratio.shape
    flat = cotangent.reshape(-1)
    gain, ratio = voices.gain.reshape(-1), voices.ratio.reshape(-1)
    # One weight a voice; `centre` stands for all voices of its oscillator.
    centre, *weights = (jnp.repeat(x, count) for x in (voices.centre, *voices.shape))
    inverse = 1.0 / centre

    def voice(_, v):
        start, ratio, centre, inverse, shape = v
        late = start[:, None] + ratio * base.progress
        parts = wave_partials(late, base.rate * centre, base.period * inverse, shape)
        by_basis = Shape(*(_product(basis.reshape(-1), flat) for basis in parts.basis))
        return None, (by_basis, parts.slope.reshape(-1), parts.stretch.reshape(-1))

    # The scan writes slope and stretch once; the products below read them. Fused, each reader would
    # compute them again.
    start = _starts(voices, base).reshape(oscillators * count, -1)
    _, (by_basis, slope, stretch) = jax.lax.scan(
        voice, None, (start, ratio, centre, inverse, Shape(*weights))
    )
    by_phase, by_stretch = _product(slope, flat * base.elapsed.reshape(-1)), _product(stretch, flat)
    elapsed_bar = flat * _product(gain * ratio, slope)
    period_bar = flat * _product(gain, stretch) / base.period.reshape(-1)
    gain_bar = jnp.sum(jnp.stack(weights) * jnp.stack(by_basis), axis=0)

    def summed(by_voice):
        return by_voice.reshape(oscillators, count).sum(axis=1)

    voices_bar = Voices(
        ratio=(gain * by_phase).reshape(oscillators, count),
        # The period is base.period / centre: a step in centre stretches it by -1 / centre of that.
        centre=summed(-gain * by_stretch * inverse),
        gain=gain_bar.reshape(oscillators, count),
        shape=Shape(*(summed(gain * product) for product in by_basis)),
    )
    zeros = jax.tree.map(jnp.zeros_like, base)
    pointwise = {"elapsed": elapsed_bar, "period": period_bar}
    base_bar = zeros._replace(**{k: x.reshape(cotangent.shape) for k, x in pointwise.items()})
    return voices_bar, base_bar


def _product(a: jax.Array, b: jax.Array) -> jax.Array:
    """Matrix product in full precision on every backend."""
    return jnp.matmul(a, b, precision=jax.lax.Precision.HIGHEST)


voice_bank.defvjp(_bank_forward, _bank_backward)
