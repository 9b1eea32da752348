"""Serum-lite: two morphing unison oscillators and noise into a modulated low-pass.

table.py        its 25 knobs
voice.py        how they sound
knowledge.py    stages, twins, envelope and filter
symmetries.py   presets that sound the same
audible.py      which knobs of a preset can be heard
"""

from synth_jax.instruments.serum_lite.table import NAMES as NAMES
from synth_jax.instruments.serum_lite.table import TABLE as TABLE
from synth_jax.instruments.serum_lite.voice import serum_lite as serum_lite
