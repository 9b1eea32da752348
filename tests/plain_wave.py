"""The oscillators' cycle as one would write it first, for comparison."""

import jax.numpy as jnp

from synth_jax.oscillators.waves import CORNER_SAMPLES, EDGE_SAMPLES, SAW_GATE, SINE, Shape


def plain_wave(late, rate, period, shape: Shape):
    """`wave` with plain clips, which autodiff understands."""
    u = late - jnp.round(late)
    tau = 0.25 - jnp.abs(u)
    y = jnp.maximum(1.0 - jnp.abs(tau) * period / EDGE_SAMPLES, 0.0)
    square = jnp.sign(tau) * (1.0 - 2.0 * y**3 + y**4)
    corner = jnp.maximum(jnp.abs(tau) - 0.25 + CORNER_SAMPLES * rate, 0.0)
    return (
        shape.saw * (2.0 * u + 0.5 + jnp.clip(SAW_GATE * u, 0.0, 1.0) * (square - 1.0))
        + shape.square * square
        + shape.triangle * tau * (4.0 - 8.0 / CORNER_SAMPLES * period * corner**2)
        + shape.sine * sum(c * tau ** (2 * i + 1) for i, c in enumerate(SINE))
    )
