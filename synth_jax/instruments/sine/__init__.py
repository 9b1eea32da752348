"""Sine: one sine with two knobs, of which nothing is known besides its table.

table.py   its two knobs
voice.py   how they sound
"""

from synth_jax.instruments.sine.table import TABLE as TABLE
from synth_jax.instruments.sine.voice import sine as sine
