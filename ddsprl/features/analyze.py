"""Everything the ear hears in a clip, in one call and one record.

    features = analyze(audio, 16_000)
    features.log_mel_db        # [64, frames]
    features.f0_hz             # scalar

`FEATURES` names the measurements; a new one is one file and one line there. All spectral features share one
transform and one time grid of `frames = 1 + n // default_hop(sample_rate)` frames, 11.6 ms apart.
"""

import functools
from collections.abc import Callable

import jax

from ddsprl.features.centroid import centroid_hz
from ddsprl.features.deltas import log_mel_delta_db, mfcc_delta
from ddsprl.features.flatness import flatness
from ddsprl.features.loudness import loudness_lufs, ungated_loudness_lufs
from ddsprl.features.mel import log_mel_db
from ddsprl.features.mfcc import mfcc
from ddsprl.features.peakiness import peakiness_db
from ddsprl.features.periodicity import f0_hz, strength, track_f0_hz, track_strength
from ddsprl.features.record import Record
from ddsprl.features.rms import frame_rms
from ddsprl.features.rolloff import rolloff_hz
from ddsprl.features.sound import Sound
from ddsprl.features.stft import stft_magnitude

Feature = Callable[[Sound], jax.Array]

FEATURES: dict[str, Feature] = {
    "stft_magnitude": stft_magnitude,  # [513, frames], linear, window 1024
    "log_mel_db": log_mel_db,  # [64, frames], dB of mel power
    "mfcc": mfcc,  # [20, frames], dB
    "log_mel_delta_db": log_mel_delta_db,  # [64, frames], change since the frame before
    "mfcc_delta": mfcc_delta,  # [20, frames], change since the frame before
    "centroid_hz": centroid_hz,  # [frames], centre of gravity of the magnitudes
    "rolloff_hz": rolloff_hz,  # [frames], 85 % of the magnitude lies below
    "flatness": flatness,  # [frames], 0 (one partial) to 1 (white)
    "peakiness_db": peakiness_db,  # [frames], highest bin over mean power
    "rms": frame_rms,  # [frames], linear
    "track_f0_hz": track_f0_hz,  # [pitch_frames], every second frame; 0 where nothing repeats
    "track_periodicity": track_strength,  # [pitch_frames], strength of that pitch, 0..1
    "f0_hz": f0_hz,  # scalar, the clip's fundamental
    "periodicity": strength,  # scalar, its strength, 0..1
    "loudness_lufs": loudness_lufs,  # scalar, gated (BS.1770-4), at least -70
    "ungated_loudness_lufs": ungated_loudness_lufs,  # scalar, the whole clip as one block, at least -70
}
"""Every feature by name: a pure function of a `Sound`, and a field of `Features`."""


class Features(Record):
    """What the ear hears in one clip: a field for each of `FEATURES`, in its shape and unit.

    With a leading batch axis on every field for a batch.
    """


@functools.partial(jax.jit, static_argnames=("sample_rate", "wanted"))
def _analyze(audio: jax.Array, sample_rate: int, wanted: tuple[tuple[str, Feature], ...]) -> Features:
    def one(clip: jax.Array) -> Features:
        sound = Sound(clip, sample_rate)
        return Features(**{name: sound[feature] for name, feature in wanted})

    return one(audio) if audio.ndim == 1 else jax.vmap(one)(audio)


def analyze(audio: jax.Array, sample_rate: int) -> Features:
    """Measure all features of a clip, or of each clip of a batch.

    Compiled once per shape and rate.

    Args:
        audio: [n] or [batch, n], mono, 1.0 is full scale.
        sample_rate: Hz, a Python int.

    Returns:
        `Features`; with a leading batch axis if `audio` has one.

    Raises:
        ValueError: if `audio` is empty or has another number of axes, or the rate is not positive.
    """
    if audio.ndim not in (1, 2) or audio.shape[-1] == 0:
        raise ValueError(f"audio: shape {audio.shape}; allowed are [n] and [batch, n] with n >= 1")
    if sample_rate <= 0:
        raise ValueError(f"sample_rate: {sample_rate} Hz; must be positive")
    return _analyze(audio, sample_rate, tuple(FEATURES.items()))
