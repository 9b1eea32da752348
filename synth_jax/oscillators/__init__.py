"""Oscillators: exact phase, band-limited waves, unison banks, noise."""

from synth_jax.oscillators.bank import oscillators as oscillators
from synth_jax.oscillators.correction import REACH as REACH
from synth_jax.oscillators.correction import correct as correct
from synth_jax.oscillators.noise import white_noise as white_noise
from synth_jax.oscillators.phase import base_phase as base_phase
from synth_jax.oscillators.phase import control_hop as control_hop
from synth_jax.oscillators.unison import OscParams as OscParams
