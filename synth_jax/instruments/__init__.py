"""Instruments, a folder each; constructors are not re-exported: they would hide their folders."""

from synth_jax.instruments.registry import DEFAULT_INSTRUMENT as DEFAULT_INSTRUMENT
from synth_jax.instruments.registry import INSTRUMENTS as INSTRUMENTS
