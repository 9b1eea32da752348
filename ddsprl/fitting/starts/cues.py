"""What can be read off a recording directly, for a start: the loudness envelope, and how open the filter is.

Which knobs these are is the instrument's knowledge.
"""

import numpy as np

from synth_jax.knowledge import EnvelopeKnobs, FilterKnobs
from synth_jax.params import Table

FRAME_S = 0.004
LEVEL_FLOOR = 1e-4
# Share of the power that lies below the cutoff of a low-pass, roughly.
ROLLOFF = 0.99


def envelope_cues(
    knobs: EnvelopeKnobs, samples: np.ndarray, sample_rate: int, gate_s: float, *, period_s: float = 0.0
) -> dict[str, float]:
    """Envelope times and sustain level, by knob name.

    Read from the RMS envelope: attack is the time to 90 % of the peak; sustain the level at the gate
    relative to the peak; decay and release follow from when their (1 - x)^2 shapes have covered 90 % of
    their way, x = 0.68.

    Args:
        knobs: names of the envelope's.
        samples: `[n]`, beginning at the onset.
        sample_rate: in Hz.
        gate_s: when the key is let go.
        period_s: of the note; frames are at least that long, or a low note's swing would be read as decay.
    """
    frame = max(1, int(max(FRAME_S, period_s) * sample_rate))
    count = max(len(samples) // frame, 1)
    padded = np.resize(np.pad(samples, (0, max(0, count * frame - len(samples)))), count * frame)
    level = np.sqrt(np.mean(padded.reshape(count, frame) ** 2, axis=1))
    level = level / max(float(level.max()), LEVEL_FLOOR)
    time_s = (np.arange(count) + 0.5) * frame / sample_rate
    peak = int(np.argmax(level >= 0.9))
    gate = min(int(np.searchsorted(time_s, gate_s)), count - 1)
    sustain = float(np.clip(level[max(gate - 1, peak)], 0.0, 1.0))
    falling = np.flatnonzero(level[peak:] <= sustain + 0.1 * (1.0 - sustain))
    decay_s = (time_s[peak + falling[0]] - time_s[peak]) / 0.68 if falling.size else gate_s
    fading = np.flatnonzero(level[gate:] <= 0.1 * max(level[gate], LEVEL_FLOOR))
    release_s = (time_s[gate + fading[0]] - time_s[gate]) / 0.68 if fading.size else 2.0 * time_s[-1]
    return {
        knobs.attack: float(time_s[peak] / 0.9),
        knobs.decay: float(decay_s),
        knobs.sustain: sustain,
        knobs.release: float(release_s),
    }


def spectral_cues(knobs: FilterKnobs, samples: np.ndarray, sample_rate: int) -> dict[str, float]:
    """Filter cutoff, by knob name.

    Read from the power spectrum of the clip: the cutoff is where `ROLLOFF` of the power lies below (the
    spectral rolloff of Tzanetakis and Cook 2002, "Musical genre classification of audio signals"). How much
    lies between the partials says nothing of the noise level: a second oscillator at an interval, vibrato and
    detuned voices lie there too.

    Args:
        knobs: names of the filter's.
        samples: `[n]`, beginning at the onset.
        sample_rate: in Hz.
    """
    windowed = np.asarray(samples, np.float64) * np.hanning(len(samples))
    below = np.cumsum(np.square(np.abs(np.fft.rfft(windowed))))
    if not below[-1] > 0.0:
        return {}
    place = int(np.searchsorted(below, ROLLOFF * below[-1]))
    return {knobs.cutoff: place * sample_rate / len(samples)}


def with_cues(u: np.ndarray, cues: dict[str, float], table: Table) -> np.ndarray:
    """Knob positions `[m, d]` with the cued knobs put to their values; unknown names are skipped."""
    u = u.copy()
    for i, spec in enumerate(table):
        if spec.name in cues:
            u[:, i] = np.clip(spec.to_unit(float(np.clip(cues[spec.name], spec.low, spec.high))), 0.0, 1.0)
    return u
