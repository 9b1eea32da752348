"""All voices of all oscillators, summed by one bank with its own backward pass.

Reverse-mode differentiation of fourteen unrolled voices would store some thirty audio-rate arrays per voice,
and inner products of a cotangent with each voice would have to write every voice to memory. An oscillator has
few knobs, though. The backward pass therefore runs *forward* in them: for every knob it sums, over the
voices, how the sound moves when the knob does (closed-form derivatives of `waves.wave`; the voices' own move
with a knob comes from `jax.jvp` of `unison_voices`), and takes one inner product of that sum with the
cotangent. A sum of voices is a loop that keeps nothing, like the forward pass.

Two sums a sample are gradients themselves: those by the phase and by the period that all voices share.
"""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from synth_jax.numerics import materialize
from synth_jax.oscillators.phase import BasePhase, frame_starts
from synth_jax.oscillators.unison import (
    MAX_VOICES,
    START_PHASES,
    OscParams,
    Tuned,
    Voices,
    tuned,
    unison_voices,
)
from synth_jax.oscillators.waves import Shape, wave, wave_slope, wave_stretch

# What a knob of an oscillator moves: gains and waves alone, or the pitches of its voices too. The ratio moves
# all pitches alike and is known from the sum by phase.
_SOUNDING = ("morph", "level", "pitch")
_SPREADING = ("unison", "detune_cents")


def oscillators(params: list[OscParams], base: BasePhase, frequency: jax.Array) -> jax.Array:
    """Sum of several oscillators, all voices, before treble correction.

    Args:
        params: knobs of each oscillator.
        base: phase of the played note.
        frequency: of the played note in cycles per sample, scalar.

    Returns:
        Samples, `[frames, hop]`.
    """
    knobs = [tuned(p, frequency) for p in params]
    return voice_bank(jax.tree.map(lambda *leaves: jnp.stack(leaves), *knobs), base)


@jax.custom_vjp
def voice_bank(knobs: Tuned, base: BasePhase) -> jax.Array:
    """Sum of the voices of some oscillators; those of each start at `START_PHASES`.

    Args:
        knobs: leaves `[oscillators]`.
        base: phase of the played note.

    Returns:
        Samples before treble correction, `[frames, hop]`.
    """
    every = _oscillators(knobs, base)
    total = jnp.zeros_like(base.progress)
    for o in range(knobs.ratio.shape[0]):
        one = jax.tree.map(lambda x, o=o: x[o], every)
        # The gain outside the wave: inside, every voice would need coefficients of its own.
        total = total + _sum(one, base, functools.partial(_at_gain, one.shape), one.gain)
    return total


def _at_gain(shape, late, rate, period, gain):
    return gain * wave(late, rate, period, shape)


class _Oscillator(NamedTuple):
    """Control values of one oscillator; of several, with a leading axis.

    Attributes:
        start: phase less a quarter of every voice at the start of every frame, `[voices, frames]`.
        ratios: frequency of every voice relative to the played note, `[voices]`.
        ratio, inverse: of the undetuned oscillator to the played note, and one over it: they set the width
            of all its voices' edges, scalars.
        gain: of every voice, `[voices]`.
        shape: weights of the basis waves, scalars.
    """

    start: jax.Array
    ratios: jax.Array
    ratio: jax.Array
    inverse: jax.Array
    gain: jax.Array
    shape: Shape


def _oscillators(knobs: Tuned, base: BasePhase) -> _Oscillator:
    """Control values of all oscillators, kept from being computed again for every sample."""
    voices = jax.vmap(unison_voices)(knobs)
    start = jax.vmap(lambda ratio: frame_starts(base, ratio, START_PHASES - 0.25))(voices.ratio)
    inverse = 1.0 / knobs.ratio
    return _Oscillator(*_apart((start, voices.ratio, knobs.ratio, inverse, voices.gain, voices.shape)))


def _apart(tree: Any) -> Any:
    """`materialize` for leaves of any shape."""
    return jax.tree.map(lambda x: materialize(x.reshape(-1)).reshape(x.shape), tree)


def _sum(one: _Oscillator, base: BasePhase, term: Callable[..., jax.Array], *weights: Any) -> jax.Array:
    """Sum of `term(late, rate, period, *weights)` over the voices of one oscillator, `[frames, hop]`.

    Args:
        one: the oscillator.
        base: phase of the played note.
        term: of one voice, at audio rate.
        weights: of every voice, leaves `[voices]`.
    """
    rate, period = base.rate * one.ratio, base.period * one.inverse
    total = jnp.zeros_like(rate)
    for v in range(MAX_VOICES):
        late = one.start[v][:, None] + one.ratios[v] * base.progress
        total = total + term(late, rate, period, *jax.tree.map(lambda x, v=v: x[v], weights))
    return total


def _weighted(gain: jax.Array, shape: Shape) -> Shape:
    """The shape times the gain of every voice, leaves `[voices]`."""
    return Shape(*(gain * weight for weight in shape))


def _bank_forward(knobs, base):
    return voice_bank(knobs, base), (knobs, base)


def _bank_backward(residuals, cotangent):
    knobs, base = residuals
    flat = cotangent.reshape(-1)
    every, moves = _oscillators(knobs, base), jax.vmap(_moves)(knobs)
    products = _sounding(every, moves, base, flat) | _spreading(every, moves, base, flat)
    by_phase = _each(every, base, wave_slope, every.gain * every.ratios)
    by_period = _each(every, base, wave_stretch, every.gain)
    # A step in `ratio` turns the phase by that of what has elapsed, and shortens the period.
    turned = _product(by_phase, flat * base.elapsed.reshape(-1)) - _product(by_period, flat)
    pointwise = {
        "elapsed": by_phase.sum(axis=0) * flat,
        "period": by_period.sum(axis=0) * flat / base.period.reshape(-1),
    }
    base_bar = jax.tree.map(jnp.zeros_like, base)._replace(
        **{k: x.reshape(cotangent.shape) for k, x in pointwise.items()}
    )
    return Tuned(**products, ratio=turned / knobs.ratio), base_bar


def _each(every: _Oscillator, base: BasePhase, derivative: Any, gain: jax.Array) -> jax.Array:
    """Sum of a derivative over the voices of each oscillator, `[oscillators, samples]`."""

    def one(oscillator, shape):
        return _sum(oscillator, base, derivative, shape).reshape(-1)

    return jax.vmap(one)(every, _apart(jax.vmap(_weighted)(gain, every.shape)))


def _sounding(every, moves, base, flat):
    """Gradients by the knobs that leave the pitch alone, `[oscillators]` each."""
    shapes = jax.tree.map(lambda *leaves: jnp.stack(leaves), *(_moved(every, moves[k]) for k in _SOUNDING))

    def knob(oscillator, shape):
        return _sum(oscillator, base, wave, shape).reshape(-1)

    by_both = jax.vmap(jax.vmap(knob), (None, 0))(every, _apart(shapes))
    return dict(zip(_SOUNDING, _product(by_both, flat), strict=True))


def _spreading(every, moves, base, flat):
    """Gradients by the knobs that move the voices apart, `[oscillators]` each."""
    pairs = [
        (_moved(every, moves[k]), jax.vmap(_weighted)(every.gain * moves[k].ratio, every.shape))
        for k in _SPREADING
    ]
    weights = jax.tree.map(lambda *leaves: jnp.stack(leaves), *pairs)

    def term(late, rate, period, shape, turn):
        return wave(late, rate, period, shape) + base.elapsed * wave_slope(late, rate, period, turn)

    def knob(oscillator, weights):
        return _sum(oscillator, base, term, *weights).reshape(-1)

    by_both = jax.vmap(jax.vmap(knob), (None, 0))(every, _apart(weights))
    return dict(zip(_SPREADING, _product(by_both, flat), strict=True))


def _moved(every: _Oscillator, move: Voices) -> Shape:
    """Weights of the basis waves in what a knob adds to the sound of every voice, `[oscillators, voices]`."""
    pairs = zip(every.shape, move.shape, strict=True)
    return Shape(*(every.gain * d[:, None] + move.gain * w[:, None] for w, d in pairs))


def _moves(knobs: Tuned) -> dict[str, Voices]:
    """How the voices of one oscillator move with each of its knobs, but the ratio."""
    names = _SOUNDING + _SPREADING
    zero = jax.tree.map(jnp.zeros_like, knobs)
    steps = [zero._replace(**{name: jnp.ones_like(knobs.morph)}) for name in names]
    step = jax.tree.map(lambda *leaves: jnp.stack(leaves), *steps)
    moved = jax.vmap(lambda step: jax.jvp(unison_voices, (knobs,), (step,))[1])(step)
    return {name: jax.tree.map(lambda x, i=i: x[i], moved) for i, name in enumerate(names)}


def _product(a: jax.Array, b: jax.Array) -> jax.Array:
    """Matrix product in full precision on every backend."""
    return jnp.matmul(a, b, precision=jax.lax.Precision.HIGHEST)


voice_bank.defvjp(_bank_forward, _bank_backward)
