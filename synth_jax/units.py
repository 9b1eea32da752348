"""Conversions between the units of audio: decibels, hertz, MIDI notes, semitones and cents.

Scalars or arrays in, the same shape out; all differentiable. Logarithms are clamped (see
`synth_jax.numerics`), so silence maps to a floor and not to minus infinity.
"""

import jax
import jax.numpy as jnp
import numpy as np

from synth_jax.numerics import safe_log, safe_log10

LN2 = float(np.log(2.0))


def amplitude_to_db(amplitude: jax.Array, floor: float = 1e-10) -> jax.Array:
    """Amplitude (1.0 is full scale) to dB, `20 log10(max(amplitude, floor))`."""
    return 20.0 * safe_log10(amplitude, floor)


def power_to_db(power: jax.Array, floor: float = 1e-10) -> jax.Array:
    """Power to dB, `10 log10(max(power, floor))`."""
    return 10.0 * safe_log10(power, floor)


def db_to_amplitude(db: jax.Array) -> jax.Array:
    """Decibels to a linear amplitude gain."""
    return jnp.exp(jnp.asarray(db) * float(np.log(10.0) / 20.0))


def semitones_to_ratio(semitones: jax.Array) -> jax.Array:
    """Equal-tempered interval in semitones to a frequency ratio, `2 ** (semitones / 12)`."""
    return jnp.exp(jnp.asarray(semitones) * (LN2 / 12.0))


def cents_to_ratio(cents: jax.Array) -> jax.Array:
    """Interval in cents (1/100 semitone) to a frequency ratio."""
    return semitones_to_ratio(jnp.asarray(cents) * 0.01)


def midi_to_hz(midi: jax.Array) -> jax.Array:
    """MIDI note number (may be fractional) to Hz; 69 is 440 Hz."""
    return 440.0 * semitones_to_ratio(jnp.asarray(midi) - 69.0)


def hz_to_midi(hz: jax.Array) -> jax.Array:
    """Frequency in Hz to a fractional MIDI note number; 440 Hz is 69."""
    return 69.0 + (12.0 / LN2) * safe_log(jnp.asarray(hz) / 440.0, 1e-6)
