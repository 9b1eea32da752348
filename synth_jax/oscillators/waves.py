"""One band-limited cycle that morphs from sine over saw and square to triangle, without branches.

The phase `p` in cycles is folded twice, with arithmetic only (a select costs more than a polynomial on a
CPU):

    t   = p - round(p)          in [-1/2, 1/2]: a rising saw that jumps at 1/2
    tau = 2 clip(t, 1/4) - t    in [-1/4, 1/4]: an odd triangle, zero where sine and square cross zero

    sine      odd polynomial in tau
    triangle  4 tau, its corners rounded
    square    S(tau / width), S an odd polynomial that runs smoothly into +-1
    saw       2 t, and near its jump, where a gate is open, the smooth edge S in place of the sharp one

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

# Half width of the edge in samples, and its odd polynomial S(z) on |z| <= 1, S(1) = 1, S'(1) = 0.
EDGE_SAMPLES = 1.5254378298
EDGE = (1.8789152588, -1.2578305176, 0.3789152588)
# The saw keeps every other edge of the square: a gate that opens over 1 / SAW_GATE cycle, a quarter off them.
SAW_GATE = 16.0
# The parabola that rounds the triangle's corners is narrower by this factor; half width in samples.
CORNER_FACTOR = 1.5
CORNER_SAMPLES = EDGE_SAMPLES / CORNER_FACTOR
# Minimax fit of sin(2 pi x) / x over |x| <= 1/4 in powers of x^2, relative error below 1e-6.
SINE = (6.28317941, -41.3389425, 81.39535861, -71.47469411)


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
def wave(phase: jax.Array, rate: jax.Array, period: jax.Array, shape: Shape) -> jax.Array:
    """One morphed, band-limited cycle, elementwise.

    Args:
        phase: in cycles, any real number.
        rate: cycles per sample, same shape.
        period: samples per cycle, `1 / rate`. Above a rate of 1 / (4 EDGE_SAMPLES) edges overlap and soften
            the wave towards a triangle.
        shape: weights of the basis waves.
    """
    t = phase - jnp.round(phase)
    inner = jnp.maximum(jnp.minimum(t, 0.25), -0.25)
    outer = t - inner
    tau = inner - outer
    scale = period * (1.0 / EDGE_SAMPLES)
    z = jnp.maximum(jnp.minimum(tau * scale, 1.0), -1.0)
    edge = z * _even(z * z, EDGE)
    corner = jnp.maximum((CORNER_FACTOR * jnp.abs(tau) - 0.25 * CORNER_FACTOR) * scale + 1.0, 0.0)
    depth = (shape.triangle * (8.0 * CORNER_SAMPLES)) * rate
    # All that is odd in tau and smooth: the sine, the triangle, and the ramp of the saw.
    ramp = 2.0 * shape.saw + 4.0 * shape.triangle
    smooth = _even(tau * tau, (shape.sine * SINE[0] + ramp, *(shape.sine * c for c in SINE[1:])))
    gate = jnp.maximum(jnp.minimum(outer * SAW_GATE, 1.0), -1.0)
    jump = shape.square + shape.saw * jnp.abs(gate)
    return tau * (smooth - depth * (corner * corner)) + edge * jump + shape.saw * (4.0 * outer - gate)


def _even(x2: jax.Array, coefficients: Sequence[float | jax.Array]) -> jax.Array:
    """Polynomial in x^2 by Horner's rule; coefficients are numbers or scalars."""
    y = jnp.broadcast_to(jnp.asarray(coefficients[-1], x2.dtype), x2.shape)
    for c in reversed(coefficients[:-1]):
        y = y * x2 + c
    return y


class Partials(NamedTuple):
    """What the backward pass of a bank needs of one voice, elementwise.

    Attributes:
        basis: the four basis waves, in the order of `Shape`.
        slope: derivative of the shaped wave with respect to phase, per cycle.
        stretch: derivative with respect to the logarithm of the period.
    """

    basis: Shape
    slope: jax.Array
    stretch: jax.Array


@jax.jit
def wave_partials(phase: jax.Array, rate: jax.Array, period: jax.Array, shape: Shape) -> Partials:
    """Closed-form derivatives of `wave`; arguments as there.

    Where a clip would need a gate, none is written: the edge polynomial has zero slope at |z| = 1 and the
    corner's parabola zero value and slope at its end.
    """
    t = phase - jnp.round(phase)
    inner = jnp.maximum(jnp.minimum(t, 0.25), -0.25)
    outer = t - inner
    tau = inner - outer
    size = jnp.abs(tau)
    z = jnp.maximum(jnp.minimum(tau * (period * (1.0 / EDGE_SAMPLES)), 1.0), -1.0)
    z2, x2 = z * z, tau * tau
    edge = z * _even(z2, EDGE)
    edge_slope = _even(z2, tuple((2 * i + 1) * c for i, c in enumerate(EDGE)))
    corner = jnp.maximum((size - 0.25) * (period * (1.0 / CORNER_SAMPLES)) + 1.0, 0.0)
    depth = (8.0 * CORNER_SAMPLES) * rate
    rounding = depth * (corner * corner)
    gate = jnp.maximum(jnp.minimum(outer * SAW_GATE, 1.0), -1.0)
    is_open = jnp.abs(gate)
    basis = Shape(
        saw=2.0 * tau + (4.0 * outer - gate) + is_open * edge,
        square=edge,
        triangle=tau * (4.0 - rounding),
        sine=tau * _even(x2, SINE),
    )
    rising = _sign(0.25 - jnp.abs(t))
    edge_rate = rising * edge_slope * (period * (1.0 / EDGE_SAMPLES))
    opening = (0.5 * SAW_GATE) * (1.0 - rising) * jnp.maximum(_sign(1.0 / SAW_GATE - jnp.abs(outer)), 0.0)
    saw_slope = 2.0 - opening * (1.0 - jnp.abs(edge)) + is_open * edge_rate
    triangle_slope = 4.0 - rounding - 16.0 * corner * size
    sine_slope = _even(x2, tuple((2 * i + 1) * c for i, c in enumerate(SINE)))
    slope = shape.saw * saw_slope + shape.square * edge_rate
    slope = slope + rising * (shape.triangle * triangle_slope + shape.sine * sine_slope)
    stretch = edge_slope * z * (shape.square + shape.saw * is_open)
    stretch = stretch - (shape.triangle * depth) * tau * (corner * (corner - 2.0))
    return Partials(basis, slope, stretch)


def _sign(x: jax.Array) -> jax.Array:
    """Sign by saturation: cheaper than a comparison and a select, and 0 at 0."""
    return jnp.maximum(jnp.minimum(x * 1e30, 1.0), -1.0)


def edge_response(frequency: np.ndarray) -> np.ndarray:
    """Magnitude of the edge kernel at a frequency in cycles per sample (host, for design and tests)."""
    nodes, weights = np.polynomial.legendre.leggauss(32)
    z = (nodes + 1.0) / 2.0
    slope = sum((2 * i + 1) * c * z ** (2 * i) for i, c in enumerate(EDGE))
    angle = 2.0 * np.pi * EDGE_SAMPLES * np.multiply.outer(np.asarray(frequency, float), z)
    return np.cos(angle) @ (slope * weights / 2.0)
