"""Instruments by name; a new one is one file and one line here."""

from collections.abc import Callable

from synth_jax.instrument import Instrument
from synth_jax.instruments.serum_lite import serum_lite
from synth_jax.instruments.sine import sine

INSTRUMENTS: dict[str, Callable[..., Instrument]] = {"serum_lite": serum_lite, "sine": sine}
