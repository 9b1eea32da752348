"""Instruments; the constructors are not re-exported here, where they would hide their own modules."""

from synth_jax.instruments.registry import INSTRUMENTS as INSTRUMENTS
