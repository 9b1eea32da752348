"""Everything the ear hears in a clip, in one call and one record.

    features = analyze(audio, 16_000)
    features.log_mel_db        # [64, frames]
    features.f0_hz             # scalar

`FEATURES` names the same measurements one by one; a new feature is one file, one line there and one
field of `Features`. All spectral features share one transform and one time grid of
`frames = 1 + n // default_hop(sample_rate)` frames, 11.6 ms apart.
"""

import functools
from collections.abc import Callable

import jax
from flax import struct

from ddsprl.features.centroid import centroid_from_magnitude, centroid_hz
from ddsprl.features.deltas import deltas, log_mel_delta, mfcc_delta
from ddsprl.features.flatness import flatness, flatness_from_power
from ddsprl.features.framing import default_hop
from ddsprl.features.loudness import integrated_loudness, ungated_loudness
from ddsprl.features.mel import POWER_FLOOR, log_mel, mel_from_power
from ddsprl.features.mfcc import mfcc, mfcc_from_mel_db
from ddsprl.features.peakiness import peakiness_db, peakiness_from_power
from ddsprl.features.periodicity import Periodicity, periodicity
from ddsprl.features.rms import rms
from ddsprl.features.rolloff import rolloff_from_magnitude, rolloff_hz
from ddsprl.features.stft import DEFAULT_N_FFT, magnitude_from_power, stft_magnitude, stft_power_frames
from synth_jax.units import power_to_db


@struct.dataclass
class Features:
    """What the ear hears in one clip; with a leading batch axis on every field for a batch.

    Attributes:
        stft_magnitude: [513, frames], linear, window 1024.
        log_mel_db: [64, frames], dB of mel power.
        mfcc: [20, frames], dB.
        log_mel_delta_db: [64, frames], change since the frame before.
        mfcc_delta: [20, frames], change since the frame before.
        centroid_hz: [frames], centre of gravity of the magnitudes.
        rolloff_hz: [frames], 85 % of the magnitude lies below.
        flatness: [frames], 0 (one partial) to 1 (white).
        peakiness_db: [frames], highest bin over mean power.
        rms: [frames], linear.
        track_f0_hz: [pitch_frames], every second frame; 0 where nothing repeats.
        track_periodicity: [pitch_frames], strength of that pitch, 0..1.
        f0_hz: scalar, the clip's fundamental.
        periodicity: scalar, its strength, 0..1.
        loudness_lufs: scalar, gated (BS.1770-4), at least -70.
        ungated_loudness_lufs: scalar, the whole clip as one block, at least -70.
    """

    stft_magnitude: jax.Array
    log_mel_db: jax.Array
    mfcc: jax.Array
    log_mel_delta_db: jax.Array
    mfcc_delta: jax.Array
    centroid_hz: jax.Array
    rolloff_hz: jax.Array
    flatness: jax.Array
    peakiness_db: jax.Array
    rms: jax.Array
    track_f0_hz: jax.Array
    track_periodicity: jax.Array
    f0_hz: jax.Array
    periodicity: jax.Array
    loudness_lufs: jax.Array
    ungated_loudness_lufs: jax.Array


def _stft_magnitude(audio: jax.Array, sample_rate: int) -> jax.Array:
    return stft_magnitude(audio, n_fft=DEFAULT_N_FFT, hop=default_hop(sample_rate))


FEATURES: dict[str, Callable[[jax.Array, int], jax.Array | Periodicity]] = {
    "stft_magnitude": _stft_magnitude,
    "log_mel_db": log_mel,
    "mfcc": mfcc,
    "log_mel_delta_db": log_mel_delta,
    "mfcc_delta": mfcc_delta,
    "centroid_hz": centroid_hz,
    "rolloff_hz": rolloff_hz,
    "flatness": flatness,
    "peakiness_db": peakiness_db,
    "rms": rms,
    "periodicity": periodicity,
    "loudness_lufs": integrated_loudness,
    "ungated_loudness_lufs": ungated_loudness,
}
"""Every feature by name, with its defaults: `FEATURES[name](audio [n], sample_rate)`. Each is the field of
`Features` of that name; `periodicity` fills four fields."""


def _analyze_clip(audio: jax.Array, sample_rate: int) -> Features:
    power = stft_power_frames(audio, n_fft=DEFAULT_N_FFT, hop=default_hop(sample_rate))
    magnitude = magnitude_from_power(power)
    mel_db = power_to_db(mel_from_power(power, sample_rate, DEFAULT_N_FFT), POWER_FLOOR)
    cepstrum = mfcc_from_mel_db(mel_db)
    pitch = periodicity(audio, sample_rate)
    return Features(
        stft_magnitude=magnitude.T,
        log_mel_db=mel_db,
        mfcc=cepstrum,
        log_mel_delta_db=deltas(mel_db),
        mfcc_delta=deltas(cepstrum),
        centroid_hz=centroid_from_magnitude(magnitude, sample_rate, DEFAULT_N_FFT),
        rolloff_hz=rolloff_from_magnitude(magnitude, sample_rate, DEFAULT_N_FFT),
        flatness=flatness_from_power(power),
        peakiness_db=peakiness_from_power(power),
        rms=rms(audio, sample_rate),
        track_f0_hz=pitch.track_f0_hz,
        track_periodicity=pitch.track_strength,
        f0_hz=pitch.f0_hz,
        periodicity=pitch.strength,
        loudness_lufs=integrated_loudness(audio, sample_rate),
        ungated_loudness_lufs=ungated_loudness(audio, sample_rate),
    )


@functools.partial(jax.jit, static_argnames="sample_rate")
def _analyze(audio: jax.Array, sample_rate: int) -> Features:
    if audio.ndim == 1:
        return _analyze_clip(audio, sample_rate)
    return jax.vmap(lambda clip: _analyze_clip(clip, sample_rate))(audio)


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
    return _analyze(audio, sample_rate)
