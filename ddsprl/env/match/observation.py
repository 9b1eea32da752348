"""Observations: what an agent hears and sees, as a dict with a known layout and as one flat vector.

    current, target   [64, p * frames]   log-mel, (dB + 50) / 50
    deltas            [3]                current against target: MFCC L1 (in 10 dB), centroid (octaves),
                                         loudness (in 10 LU)
    knobs             [d]                positions, relaxed: a discrete knob shows how near the next choice is
    note              [3 p]              of every probe the pitch, (midi - 60) / 36, the gate as a share of
                                         the clip, and the velocity: who plays knows what is played
    guess             [2 d]              where configured: the target's knobs as they were guessed from its
                                         sound before the first edit, and their standard deviations
    best              [5]                best loss, loss above it, and current against best as in `deltas`
    time              [1]                t / T, for networks with the finite-horizon switch only
    modules           [m]                1 where a module has something unlocked

All values are bounded, so that the layout can state the bounds. Differences are current minus the other.
"""

import math

import jax
import jax.numpy as jnp

from ddsprl.env.match.types import AudioFeatures, Best, EnvState
from ddsprl.env.specs import Field, Observation, fields_of
from ddsprl.features.framing import default_hop, frame_count
from ddsprl.features.loudness import ungated_loudness
from ddsprl.features.mel import DEFAULT_N_MELS, POWER_FLOOR, mel_filterbank
from ddsprl.features.mfcc import mfcc_from_mel_db
from ddsprl.features.stft import bin_frequencies_hz, magnitude_from_power, stft_power_frames
from synth_jax import Instrument, Note
from synth_jax.numerics import safe_divide
from synth_jax.units import LN2, power_to_db

MEL_CENTRE_DB, MEL_SPAN_DB = -50.0, 50.0
MFCC_SCALE_DB, LOUDNESS_SCALE_LU = 10.0, 10.0
MEL_HIGH, DELTA_HIGH, LOSS_HIGH = 2.0, 10.0, 100.0
LOWEST_CENTROID_HZ = 20.0
MIDDLE_MIDI, MIDI_SPAN, NOTE_HIGH = 60.0, 36.0, 2.0
# Half the features' default window: an observation then costs half, and each of 64 bands still gets a bin.
WINDOW_S = 0.032
_SILENT_SUM = 1e-5


def window(sample_rate: int) -> int:
    """Transform length in samples: 32 ms, rounded up to a power of two."""
    return 1 << math.ceil(math.log2(WINDOW_S * sample_rate) - 1e-9)


# What networks read beside the pictures, in this order: `modules` comes to them as a mask.
VECTORS = ("deltas", "knobs", "best", "note")


def layout(instrument: Instrument, probes: int, *, guess: bool = False) -> tuple[Field, ...]:
    """Names, shapes, bounds and flat places of everything that is observed, in order.

    Args:
        instrument: the synthesizer.
        probes: notes played at every step.
        guess: whether a guess at the target's knobs is a part of it.
    """
    frames = probes * frame_count(instrument.n_samples, default_hop(instrument.sample_rate))
    mel = (DEFAULT_N_MELS, frames)
    entries = (
        ("current", mel, -1.0, MEL_HIGH),
        ("target", mel, -1.0, MEL_HIGH),
        ("deltas", (3,), -DELTA_HIGH, DELTA_HIGH),
        ("knobs", (instrument.n_params,), 0.0, 1.0),
        ("note", (3 * probes,), -NOTE_HIGH, NOTE_HIGH),
        *((("guess", (2 * instrument.n_params,), 0.0, 1.0),) if guess else ()),
        ("best", (5,), -DELTA_HIGH, LOSS_HIGH),
        ("time", (1,), 0.0, 1.0),
        ("modules", (len(instrument.modules),), 0.0, 1.0),
    )
    return fields_of(entries)


def hear(audio: jax.Array, sample_rate: int) -> AudioFeatures:
    """What the observation needs of the probes' clips `[p, n]`."""
    mel, cepstrum, centroid, loudness = jax.vmap(lambda clip: _hear_clip(clip, sample_rate))(audio)

    def in_sequence(x):
        return jnp.moveaxis(x, 0, 1).reshape(x.shape[1], -1)

    return AudioFeatures(in_sequence(mel), in_sequence(cepstrum), centroid, loudness)


def _hear_clip(clip: jax.Array, sample_rate: int) -> tuple[jax.Array, ...]:
    """Scaled log-mel, MFCC, centroid in octaves and loudness of one clip `[n]`, from one transform."""
    n_fft = window(sample_rate)
    power = stft_power_frames(clip, n_fft=n_fft, hop=default_hop(sample_rate))
    filters = jnp.asarray(mel_filterbank(sample_rate, n_fft).T, power.dtype)
    mel = jnp.matmul(power, filters, precision=jax.lax.Precision.HIGHEST)
    mel_db = power_to_db(mel, POWER_FLOOR).T
    # One centroid a clip, of its mean spectrum: loud frames count as they are heard, and it costs one row.
    magnitude = magnitude_from_power(jnp.mean(power, axis=0))
    bins_hz = jnp.asarray(bin_frequencies_hz(sample_rate, n_fft), magnitude.dtype)
    centre_hz = safe_divide(jnp.vdot(bins_hz, magnitude), jnp.sum(magnitude), _SILENT_SUM)
    octaves = jnp.log(jnp.maximum(centre_hz, LOWEST_CENTROID_HZ) / LOWEST_CENTROID_HZ) / LN2
    scaled = jnp.clip((mel_db - MEL_CENTRE_DB) / MEL_SPAN_DB, -1.0, MEL_HIGH)
    return scaled, mfcc_from_mel_db(mel_db), octaves, ungated_loudness(clip, sample_rate)


def difference(a: AudioFeatures | Best, b: AudioFeatures | Best) -> jax.Array:
    """MFCC L1, centroid and loudness of `a` against `b`, scaled, `[3]`; the last two are signed."""
    found = jnp.stack(
        [
            jnp.mean(jnp.abs(a.mfcc - b.mfcc)) / MFCC_SCALE_DB,
            jnp.mean(a.centroid - b.centroid),
            jnp.mean(a.loudness - b.loudness) / LOUDNESS_SCALE_LU,
        ]
    )
    return jnp.clip(found, -DELTA_HIGH, DELTA_HIGH)


def observe(
    current: AudioFeatures, state: EnvState, *, elapsed: jax.Array, modules: jax.Array, note: jax.Array
) -> Observation:
    """Put an observation together.

    Args:
        current: the sound now.
        state: of the episode, whose best sound may be the current one.
        elapsed: scalar, t / T.
        modules: mask `[4]`.
        note: from `note_row`.
    """
    target, best, guess = state.episode.heard, state.best, state.episode.guess
    told = {} if guess is None else {"guess": guess}
    losses = jnp.clip(jnp.stack([best.loss, state.loss - best.loss]), 0.0, LOSS_HIGH)
    return {
        "current": current.log_mel,
        "target": target.log_mel,
        "deltas": difference(current, target),
        "knobs": state.u,
        "note": note,
        **told,
        "best": jnp.concatenate([losses, difference(current, best)]),
        "time": jnp.reshape(elapsed, (1,)).astype(state.u.dtype),
        "modules": modules,
    }


def note_row(notes: Note, duration_s: float) -> jax.Array:
    """Pitches, gates and velocities of the probes (leaves `[p]`) as they are observed, `[3 p]`."""
    pitch = (jnp.asarray(notes.midi) - MIDDLE_MIDI) / MIDI_SPAN
    gate = jnp.minimum(jnp.asarray(notes.gate_s) / duration_s, 1.0)
    return jnp.clip(jnp.concatenate([pitch, gate, jnp.asarray(notes.velocity)]), -NOTE_HIGH, NOTE_HIGH)
