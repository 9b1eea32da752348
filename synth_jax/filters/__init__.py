"""Filters."""

from synth_jax.filters.svf import lowpass as lowpass
from synth_jax.filters.svf import lowpass_then as lowpass_then
from synth_jax.filters.svf import warped_gain as warped_gain
