"""The ear: what can be heard in a clip, one feature a file, joined by `analyze`."""

from ddsprl.features.analyze import FEATURES, Features, analyze
from ddsprl.features.centroid import centroid_hz
from ddsprl.features.deltas import deltas
from ddsprl.features.flatness import flatness
from ddsprl.features.framing import default_hop, frame, frame_count
from ddsprl.features.loudness import integrated_loudness, k_weight, k_weighting_biquads, ungated_loudness
from ddsprl.features.mel import log_mel, mel_filterbank, mel_from_power, mel_power
from ddsprl.features.mfcc import mfcc, mfcc_from_mel_db
from ddsprl.features.peakiness import peakiness_db
from ddsprl.features.periodicity import Periodicity, periodicity
from ddsprl.features.rms import rms
from ddsprl.features.rolloff import rolloff_hz
from ddsprl.features.stft import stft_magnitude, stft_power, stft_power_frames

__all__ = [
    "FEATURES",
    "Features",
    "Periodicity",
    "analyze",
    "centroid_hz",
    "default_hop",
    "deltas",
    "flatness",
    "frame",
    "frame_count",
    "integrated_loudness",
    "k_weight",
    "k_weighting_biquads",
    "log_mel",
    "mel_filterbank",
    "mel_from_power",
    "mel_power",
    "mfcc",
    "mfcc_from_mel_db",
    "peakiness_db",
    "periodicity",
    "rms",
    "rolloff_hz",
    "stft_magnitude",
    "stft_power",
    "stft_power_frames",
    "ungated_loudness",
]
