"""One band-limited cycle that morphs from sine over saw and square to triangle, without branches.

The phase `p` in cycles is folded twice, with arithmetic only (a select costs more than a polynomial on a
CPU). The first fold wraps a quarter of a cycle behind the saw's jump: the second is one absolute value.

    u   = q - round(q), q = p - 1/4    in [-1/2, 1/2]: a rising ramp; edges rise at u = -1/4, fall at 1/4
    tau = 1/4 - |u|                    in [-1/4, 1/4]: an odd triangle, zero where sine and square cross zero

    sine      odd polynomial in tau
    triangle  4 tau, its corners rounded
    square    S(tau / width), S an odd curve that runs smoothly into +-1
    saw       2 u + 1/2, and where a gate is open (u > 0) S - 1 on top: the falling edge only

A jump smoothed by S is a jump convolved with the kernel S', i.e. a polyBLEP whose kernel is wider and
smoother than the 2-point triangle (Valimaki, Pekonen and Nam 2012, "Perceptually informed synthesis of
bandlimited classical waveforms using integrated polynomial interpolation"). The kernel rolls off the treble;
`synth_jax.oscillators.correction` undoes that, once, after all voices are mixed. Kernel and correction were
optimized together: see `benchmarks/alias.py`.
"""

from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from synth_jax.numerics import clip_to, copy_sign, positive_part

# Half width of the edge in samples. With y = 1 - |z| it is S(z) = sign(z) (1 - 2 y^3 + y^4): the kernel S' is
# the cubic smoothstep 2 (3 y^2 - 2 y^3), flat at its top and at its ends.
EDGE_SAMPLES = 1.648
# The saw keeps every other edge of the square: a gate that opens over 1 / SAW_GATE cycle, a quarter off them.
SAW_GATE = 16.0
# Half width, in samples, of the parabola that rounds the triangle's corners.
CORNER_SAMPLES = 1.017
# Minimax fit of sin(2 pi x) over |x| <= 1/4 by x, x^3, x^5: error below 7e-5, a third partial at -83 dB.
SINE = (6.28128008, -41.09524257, 73.5855114)


class Shape(NamedTuple):
    """Coefficients of one morphed cycle, scalars: how much of each basis wave, corrections folded in."""

    saw: jax.Array
    square: jax.Array
    triangle: jax.Array
    sine: jax.Array


def morph_weights(morph: jax.Array) -> Shape:
    """Linear crossfade of neighbours: sine, saw, square, triangle at 0, 1/3, 2/3, 1.

    Args:
        morph: position in [0, 1], scalar; kinks at 1/3 and 2/3.
    """
    x = 3.0 * morph
    hat = [jnp.maximum(1.0 - jnp.abs(x - centre), 0.0) for centre in range(4)]
    return Shape(sine=hat[0], saw=hat[1], square=hat[2], triangle=hat[3])


# Compiled by itself so that fourteen voices share one trace; the compiler inlines it.
@jax.jit
def wave(late: jax.Array, rate: jax.Array, period: jax.Array, shape: Shape) -> jax.Array:
    """One morphed, band-limited cycle, elementwise; not differentiable (see `wave_slope`, `wave_stretch`).

    Args:
        late: phase less a quarter, in cycles, any real number.
        rate: cycles per sample; sets the width of corners, and may be that of a voice nearby.
        period: samples per cycle, `1 / rate`; sets the width of edges. Above a rate of 1 / (4 EDGE_SAMPLES)
            edges overlap, and what is left of a saw's edge at the wrap is a small jump.
        shape: weights of the basis waves.
    """
    u = late - jnp.round(late)
    tau = 0.25 - jnp.abs(u)
    size = jnp.abs(tau)
    y = positive_part(1.0 - size * (period * (1.0 / EDGE_SAMPLES)))
    edge = copy_sign(1.0 - (y * y) * (2.0 * y - y * y), tau)
    corner = positive_part(size - (0.25 - CORNER_SAMPLES * rate))
    depth = (shape.triangle * (8.0 / CORNER_SAMPLES)) * period
    # All that is odd in tau and smooth: the sine and the triangle.
    sine = [shape.sine * c for c in SINE]
    smooth = _even(tau * tau, (sine[0] + 4.0 * shape.triangle, *sine[1:])) - depth * (corner * corner)
    gate, gain = clip_to(u, 1.0 / SAW_GATE), SAW_GATE * shape.saw
    ramp = (2.0 * shape.saw) * u + 0.5 * shape.saw - gain * gate
    return tau * smooth + (edge * (gain * gate + shape.square) + ramp)


def _even(x2: jax.Array, coefficients: Sequence[float | jax.Array]) -> jax.Array:
    """Polynomial in x^2 by Horner's rule; coefficients are numbers or scalars."""
    y = jnp.broadcast_to(jnp.asarray(coefficients[-1], x2.dtype), x2.shape)
    for c in reversed(coefficients[:-1]):
        y = y * x2 + c
    return y


@jax.jit
def wave_slope(late: jax.Array, rate: jax.Array, period: jax.Array, shape: Shape) -> jax.Array:
    """Derivative of `wave` with respect to phase, per cycle; arguments as there.

    Where a clip would need a gate, hardly one is written: the edge has zero slope at y = 0 and the corner's
    parabola zero value and slope at its end.
    """
    u = late - jnp.round(late)
    tau = 0.25 - jnp.abs(u)
    size = jnp.abs(tau)
    scale = period * (1.0 / EDGE_SAMPLES)
    y = positive_part(1.0 - size * scale)
    edge = copy_sign(1.0 - (y * y) * (2.0 * y - y * y), tau)
    corner = positive_part(size - (0.25 - CORNER_SAMPLES * rate))
    depth = (8.0 / CORNER_SAMPLES) * period
    gate = clip_to(u, 1.0 / SAW_GATE)
    rising = -_sign(u)
    edge_rate = rising * ((y * y) * (6.0 - 4.0 * y)) * scale
    opening = (SAW_GATE / 4.0) * (1.0 - rising) * (1.0 + _sign(1.0 / SAW_GATE - u))
    saw = 2.0 + opening * (edge - 1.0) + SAW_GATE * gate * edge_rate
    triangle = 4.0 - depth * (corner * (corner + 2.0 * size))
    sine = _even(tau * tau, tuple((2 * i + 1) * c for i, c in enumerate(SINE)))
    return (
        shape.saw * saw + shape.square * edge_rate + rising * (shape.triangle * triangle + shape.sine * sine)
    )


@jax.jit
def wave_stretch(late: jax.Array, rate: jax.Array, period: jax.Array, shape: Shape) -> jax.Array:
    """Derivative of `wave` with respect to the logarithm of the period, the rate being its inverse."""
    u = late - jnp.round(late)
    tau = 0.25 - jnp.abs(u)
    size = jnp.abs(tau)
    scale = period * (1.0 / EDGE_SAMPLES)
    y = positive_part(1.0 - size * scale)
    reach = CORNER_SAMPLES * rate
    corner = positive_part(size - (0.25 - reach))
    depth = (8.0 / CORNER_SAMPLES) * period
    gate = clip_to(u, 1.0 / SAW_GATE)
    edge = ((y * y) * (6.0 - 4.0 * y)) * (tau * scale) * (shape.square + shape.saw * SAW_GATE * gate)
    return edge - (shape.triangle * depth) * tau * (corner * (corner - 2.0 * reach))


def _sign(x: jax.Array) -> jax.Array:
    """Sign by saturation: cheaper than a comparison and a select, and 0 at 0."""
    return jnp.maximum(jnp.minimum(x * 1e30, 1.0), -1.0)


def edge_response(frequency: np.ndarray) -> np.ndarray:
    """Magnitude of the edge kernel at a frequency in cycles per sample (host, for design and tests)."""
    nodes, weights = np.polynomial.legendre.leggauss(32)
    y = (nodes + 1.0) / 2.0
    angle = 2.0 * np.pi * EDGE_SAMPLES * np.multiply.outer(np.asarray(frequency, float), 1.0 - y)
    return np.cos(angle) @ ((6.0 * y**2 - 4.0 * y**3) * weights / 2.0)
