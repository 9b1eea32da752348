"""What a guess listens to: three pictures of a clip that do not change with its level, and three numbers.

The mel picture shows filter and envelopes; spectra on a frequency axis in octaves over the note's fundamental
show waveforms, detuning and the second oscillator at every pitch in the same place; a fine level curve shows
attacks. Pitch and gate are known. All of it is heard at one rate and for one length.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import soxr

from ddsprl.features.framing import frame
from ddsprl.features.mel import mel_power
from ddsprl.features.stft import hann_window
from synth_jax.numerics import safe_sqrt
from synth_jax.units import amplitude_to_db, midi_to_hz, power_to_db

RATE_HZ, DURATION_S = 16_000, 0.5
N_SAMPLES = round(RATE_HZ * DURATION_S)
LOWEST_MIDI, HIGHEST_MIDI = 24.0, 96.0
SHORTEST_GATE_S = 0.08
MEL_BANDS, MEL_N_FFT, MEL_HOP = 48, 1024, 320
# 128 ms resolve the detuned voices of all but the lowest notes.
RELATIVE_WINDOW, RELATIVE_N_FFT, RELATIVE_HOP = 2048, 4096, 1000
BINS_PER_OCTAVE, LOWEST_OCTAVE, OCTAVES = 24, -1, 7
LEVEL_WINDOW, LEVEL_HOP = 256, 128
RANGE_DB = 80.0
LEVEL_DB = 40.0  # of the loudest frame, that are 1 in the feature
LOUDNESS_FLOOR = 1e-5  # the loudest frame of silence, for a level that is finite


class GuessFeatures(NamedTuple):
    """Features of one clip, all about -1 to 1.

    Attributes:
        mel: log-mel picture, `[26, MEL_BANDS]`.
        relative: spectra over the fundamental, `[9, BINS_PER_OCTAVE * OCTAVES]`.
        level: level curve, `[63]`.
        numbers: pitch, gate and level, `[3]`; only the last depends on the clip's gain.
    """

    mel: jax.Array
    relative: jax.Array
    level: jax.Array
    numbers: jax.Array


def guess_features(audio: jax.Array, midi: jax.Array, gate_s: jax.Array) -> GuessFeatures:
    """Features of a clip `[N_SAMPLES]` at `RATE_HZ`; pitch and gate are clipped to what was learnt."""
    midi = jnp.clip(midi, LOWEST_MIDI, HIGHEST_MIDI)
    gate_s = jnp.clip(gate_s, SHORTEST_GATE_S, DURATION_S)
    frames = frame(audio, LEVEL_WINDOW, LEVEL_HOP)
    level = safe_sqrt(jnp.mean(jnp.square(frames), axis=-1), 1e-20)
    loudest = jnp.maximum(jnp.max(level), LOUDNESS_FLOOR)
    audio = audio / loudest
    mel = mel_power(audio, RATE_HZ, n_mels=MEL_BANDS, n_fft=MEL_N_FFT, hop=MEL_HOP).T
    numbers = jnp.stack(
        [(midi - 60.0) / 36.0, jnp.log(gate_s / 0.2), amplitude_to_db(loudest) / LEVEL_DB + 0.5],
    )
    relative = relative_power(audio, midi_to_hz(midi))
    return GuessFeatures(_scaled(mel), _scaled(relative), _scaled(jnp.square(level / loudest)), numbers)


def relative_power(audio: jax.Array, f0_hz: jax.Array) -> jax.Array:
    """Power spectra on an axis of octaves over `f0_hz`, `[frames, bins]`; nothing above half the rate."""
    frames = frame(audio, RELATIVE_WINDOW, RELATIVE_HOP)
    windowed = frames * jnp.asarray(hann_window(RELATIVE_WINDOW), audio.dtype)
    spectrum = jnp.fft.rfft(windowed, RELATIVE_N_FFT, axis=-1)
    power = jnp.square(spectrum.real) + jnp.square(spectrum.imag)
    octave = LOWEST_OCTAVE + np.arange(BINS_PER_OCTAVE * OCTAVES) / BINS_PER_OCTAVE
    place = f0_hz * jnp.asarray(2.0**octave, audio.dtype) * (RELATIVE_N_FFT / RATE_HZ)
    last = RELATIVE_N_FFT // 2
    below = jnp.clip(jnp.floor(place), 0, last - 1).astype(jnp.int32)
    share = jnp.clip(place - below, 0.0, 1.0)
    between = power[:, below] * (1.0 - share) + power[:, below + 1] * share
    return jnp.where(place < last, between, 0.0)


def heard(audio: np.ndarray, sample_rate: int) -> np.ndarray:
    """A recording `[n]` of any length and rate as `guess_features` takes it, float32 `[N_SAMPLES]`."""
    # What lies behind the stretch that is heard only costs time; a little of it feeds the resampler's filter.
    audio = np.asarray(audio, np.float32)[: round(2.0 * DURATION_S * sample_rate)]
    audio = np.nan_to_num(audio, posinf=0.0, neginf=0.0)
    if sample_rate != RATE_HZ:
        audio = soxr.resample(audio, sample_rate, RATE_HZ, quality="HQ")
    audio = audio[:N_SAMPLES]
    return np.pad(audio, (0, N_SAMPLES - len(audio)))


def _scaled(power: jax.Array) -> jax.Array:
    """Power to dB below the picture's loudest point, from `RANGE_DB` to 0, as -1 to 1."""
    level = power_to_db(power, 1e-12)
    return jnp.maximum(level - jnp.max(level), -RANGE_DB) * (2.0 / RANGE_DB) + 1.0
