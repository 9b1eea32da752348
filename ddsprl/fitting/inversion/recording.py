"""From a recording to a target: onset trimmed, pitch and gate estimated, length chosen.

Pitch comes from the periodicity of the sound. Where that is not sure of itself, a few hypotheses (the
octaves around it, and two plain guesses) are each given to the library, and the one that some random preset
matches best is taken: analysis by synthesis.
"""

from dataclasses import dataclass

import jax
import numpy as np

from ddsprl.features import periodicity
from ddsprl.io import choose_length, estimate_gate, fit_length, trim_onset
from ddsprl.io.audio import Clip
from synth_jax import Note
from synth_jax.units import hz_to_midi

SURE, HOPELESS = 0.8, 0.2
LOWEST_MIDI, HIGHEST_MIDI = 12.0, 120.0
GUESSES = (48.0, 60.0)
# A recording that ends louder than this (relative to its peak) was cut off, not finished.
CUT_OFF_DB = -40.0
CUT_FADE_S = 0.008


@dataclass(frozen=True)
class Recording:
    """A recording made ready to be matched.

    Attributes:
        clip: the file as read.
        audio: `[n]`, from the onset on, padded or cut to the render length.
        window: `[n]`, 1 where the recording is known, faded to 0 where it was cut off.
        duration_s: render length.
        onset_s: what was trimmed off the front.
        gate_s: estimated or given.
        midi: pitch hypotheses, best first; one if sure or given.
        strength: periodicity of the sound, 0 to 1; 1 if the pitch was given.
    """

    clip: Clip
    audio: np.ndarray
    window: np.ndarray
    duration_s: float
    onset_s: float
    gate_s: float
    midi: tuple[float, ...]
    strength: float


def ready(
    clip: Clip, *, midi: float | None = None, gate_s: float | None = None, max_s: float = 4.0
) -> Recording:
    """Trim, measure and cut one clip.

    Args:
        clip: as loaded.
        midi: the note, if known.
        gate_s: how long it was held, if known.
        max_s: longest render length.
    """
    rate = clip.sample_rate
    samples, onset_s = trim_onset(clip.samples, rate)
    duration_s = choose_length(samples, rate, max_s=max_s)
    n = round(duration_s * rate)
    gate_s = estimate_gate(samples, rate) if gate_s is None else gate_s
    pitches, strength = ((midi,), 1.0) if midi is not None else pitch_hypotheses(samples[:n], rate)
    window = _known(samples, n, rate)
    audio = fit_length(samples, n, fade=0) * window
    return Recording(clip, audio, window, duration_s, onset_s, min(gate_s, duration_s), pitches, strength)


def pitch_hypotheses(samples: np.ndarray, sample_rate: int) -> tuple[tuple[float, ...], float]:
    """MIDI notes that a sound may have, and how periodic it is (0 to 1).

    Only one if the sound is surely periodic. Otherwise the estimate's octaves and plain guesses join it; of a
    sound that is hardly periodic only the guesses are left.
    """
    # A fixed length, so that clips of any length share one compiled program.
    window = np.asarray(fit_length(samples, sample_rate), np.float32)
    found = _periodicity(window, sample_rate)
    strength, f0_hz = float(found.strength), float(found.f0_hz)
    if f0_hz <= 0.0 or strength < HOPELESS:
        return GUESSES, strength
    midi = float(hz_to_midi(found.f0_hz))
    if strength >= SURE:
        return (midi,), strength
    octaves = (midi, midi + 12.0, midi - 12.0, *GUESSES)
    return tuple(m for m in octaves if LOWEST_MIDI <= m <= HIGHEST_MIDI), strength


def choose_pitch(recording: Recording, inverter, key: jax.Array) -> float:
    """The hypothesis under which some preset of the library comes closest; see the module.

    Args:
        recording: made ready.
        inverter: of the recording's rate and length.
        key: noise key.
    """
    gate_s, window = recording.gate_s, recording.window
    return most_plausible(recording.audio, recording.midi, gate_s, inverter, key, window)


def most_plausible(
    audio: np.ndarray,
    hypotheses: tuple[float, ...],
    gate_s: float,
    inverter,
    key: jax.Array,
    window: np.ndarray | None = None,
) -> float:
    """The note at which some preset of the library comes closest to a sound `[n]`; the only one unheard."""
    if len(hypotheses) == 1:
        return hypotheses[0]
    best = [inverter.best_start(audio, Note(m, gate_s, 1.0), key, window) for m in hypotheses]
    return hypotheses[int(np.argmin(best))]


def _known(samples: np.ndarray, n: int, sample_rate: int) -> np.ndarray:
    """Gain that hides what comes after the end of a recording that was cut off while it still sounded."""
    window = np.ones(n, np.float32)
    have = min(len(samples), n)
    tail = samples[max(0, have - int(0.02 * sample_rate)) : have]
    peak = float(np.max(np.abs(samples))) + 1e-9
    if have == n == len(samples) or 20.0 * np.log10(float(np.max(np.abs(tail))) / peak + 1e-9) < CUT_OFF_DB:
        return window
    fade = min(int(CUT_FADE_S * sample_rate), have)
    window[have:] = 0.0
    window[have - fade : have] = 0.5 + 0.5 * np.cos(np.pi * np.arange(1, fade + 1) / fade)
    return window


_periodicity = jax.jit(periodicity, static_argnums=1)
