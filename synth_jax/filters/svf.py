"""Time-varying two-pole low-pass: a zero-delay-feedback state-variable filter with its own backward pass.

The trapezoidal (topology-preserving) form of Zavalishin, "The Art of VA Filter Design", ch. 4, in the
arrangement of Simper (2013), "Linear trapezoidal integrated state variable filter". With g = tan(pi fc / fs)
and k = 1/Q, per sample

    a1 = 1 / (1 + g (g + k)),  a2 = g a1,  a3 = g a2
    v3 = x - s2
    v1 = a1 s1 + a2 v3                  band-pass
    v2 = s2 + a2 s1 + a3 v3             low-pass, the output
    s1 <- 2 v1 - s1,  s2 <- 2 v2 - s2

The energy of the states cannot grow for any positive g and k, however they move, so the filter is stable
under every modulation. The backward pass is the adjoint recursion, run from the last sample to the first
(as in Yu et al. 2024, "Differentiable time-varying filters", arXiv 2404.07970): exact, and no more costly
than the filter itself.
"""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from synth_jax.modulators import quarter_sine
from synth_jax.units import LN2

MAX_CUTOFF = 0.49  # of the sample rate


def warped_gain(octaves: jax.Array) -> jax.Array:
    """`tan(pi fc / fs)` for `octaves = log2(fc / fs)`, clipped at 0.49 of the rate (a kink); elementwise."""
    octaves = jnp.minimum(octaves, float(np.log2(MAX_CUTOFF)))
    turns = 0.5 * jnp.exp(octaves * LN2)
    return quarter_sine(turns) / quarter_sine(0.25 - turns)


@jax.custom_vjp
def lowpass(x: jax.Array, g: jax.Array, k: jax.Array) -> jax.Array:
    """Filter `x` with a cutoff that may move every sample.

    Args:
        x: samples, `[n]`.
        g: `tan(pi fc / fs)`, positive, `[n]` (see `warped_gain`).
        k: 1 / Q, positive, scalar.

    Returns:
        Low-passed samples, `[n]`.
    """

    def step(state, inputs):
        x_t, g_t = inputs
        return _advance(state, x_t, g_t, k)

    return jax.lax.scan(step, _at_rest(x), (x, g))[1]


def _at_rest(x):
    zero = jnp.zeros((), x.dtype)
    return zero, zero


def _coefficients(g, k):
    a1 = 1.0 / (1.0 + g * (g + k))
    a2 = g * a1
    return a1, a2, g * a2


def _advance(state, x, g, k):
    """One sample: new state and low-pass output."""
    s1, s2 = state
    a1, a2, a3 = _coefficients(g, k)
    v3 = x - s2
    v1 = a1 * s1 + a2 * v3
    v2 = s2 + a2 * s1 + a3 * v3
    return (2.0 * v1 - s1, 2.0 * v2 - s2), v2


def _lowpass_forward(x, g, k):
    def step(state, inputs):
        x_t, g_t = inputs
        return _advance(state, x_t, g_t, k)[0], jnp.stack(state)

    # Only the states are scanned out, as one array: a loop that writes two takes about three times as long
    # (benchmarks/render_parts.py). The output follows from the states, at every sample at once.
    states = jax.lax.scan(step, _at_rest(x), (x, g))[1]
    s1, s2 = states[:, 0], states[:, 1]
    _, a2, a3 = _coefficients(g, k)
    return s2 + a2 * s1 + a3 * (x - s2), (x, g, k, s1, s2)


def _lowpass_backward(residuals, y_bar):
    x, g, k, s1, s2 = residuals

    def step(state_bar, inputs):
        g_t, y_bar_t = inputs
        s1_bar, s2_bar = state_bar
        a1, a2, a3 = _coefficients(g_t, k)
        v1_bar, v2_bar = 2.0 * s1_bar, 2.0 * s2_bar + y_bar_t
        v3_bar = a2 * v1_bar + a3 * v2_bar
        before = (a1 * v1_bar + a2 * v2_bar - s1_bar, v2_bar - s2_bar - v3_bar)
        return before, jnp.stack(state_bar)

    states_bar = jax.lax.scan(step, _at_rest(x), (g, y_bar), reverse=True)[1]
    v1_bar, v2_bar = 2.0 * states_bar[:, 0], 2.0 * states_bar[:, 1] + y_bar
    v3 = x - s2
    (_, a2, a3), pull = jax.vjp(_coefficients, g, jnp.broadcast_to(k, g.shape))
    g_bar, k_bar = pull((s1 * v1_bar, v3 * v1_bar + s1 * v2_bar, v3 * v2_bar))
    return a2 * v1_bar + a3 * v2_bar, g_bar, jnp.sum(k_bar)


lowpass.defvjp(_lowpass_forward, _lowpass_backward)


Finish = Callable[[jax.Array, jax.Array, Any], jax.Array]


@functools.partial(jax.custom_vjp, nondiff_argnums=(0,))
def lowpass_then(
    finish: Finish, x: jax.Array, g: jax.Array, k: jax.Array, time_s: jax.Array, knobs: Any
) -> jax.Array:
    """`finish(lowpass(x, g, k), time_s, knobs)` for an elementwise `finish`, inside the filter's loop.

    A batch leaves the loop with its examples side by side. What comes after it has to be transposed, and a
    compiler that does that while it computes does not vectorize; in the loop the same sums are nearly free.
    Gradients are those of the two steps one after the other.

    Args:
        finish: `(sample, time, knobs) -> sample`, elementwise in sample and time.
        x: samples, `[n]`.
        g: `tan(pi fc / fs)`, positive, `[n]`.
        k: 1 / Q, positive, scalar.
        time_s: passed on, `[n]`.
        knobs: passed on, a pytree of scalars.
    """

    def step(state, inputs):
        x_t, g_t, time_t = inputs
        state, y_t = _advance(state, x_t, g_t, k)
        return state, finish(y_t, time_t, knobs)

    return jax.lax.scan(step, _at_rest(x), (x, g, time_s))[1]


def _then_forward(finish, x, g, k, time_s, knobs):
    return jax.vjp(lambda x, g, k, *rest: finish(lowpass(x, g, k), *rest), x, g, k, time_s, knobs)


def _then_backward(_finish, pull, y_bar):
    return pull(y_bar)


lowpass_then.defvjp(_then_forward, _then_backward)
