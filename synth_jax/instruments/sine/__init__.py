"""Sine: one sine with two knobs, of which nothing is known besides its table."""

from synth_jax.instruments.sine.voice import sine as sine
