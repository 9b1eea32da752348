"""Instruments by name; a new one is a folder and one line here."""

from collections.abc import Callable

from synth_jax.instrument import Instrument
from synth_jax.instruments.serum_lite.voice import serum_lite
from synth_jax.instruments.sine.voice import sine

INSTRUMENTS: dict[str, Callable[..., Instrument]] = {"serum_lite": serum_lite, "sine": sine}
# What is played unless another one is asked for: the only place that says so.
DEFAULT_INSTRUMENT = "serum_lite"
