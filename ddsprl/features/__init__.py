"""The ear: what can be heard in a clip, one feature a file, joined by `analyze`."""

from ddsprl.features.analyze import FEATURES, Feature, Features, analyze
from ddsprl.features.framing import default_hop, frame, frame_count
from ddsprl.features.loudness import integrated_loudness, k_weight, k_weighting_biquads, ungated_loudness
from ddsprl.features.mel import mel_filterbank, mel_from_power, mel_power
from ddsprl.features.mfcc import mfcc_from_mel_db
from ddsprl.features.periodicity import Periodicity, periodicity
from ddsprl.features.record import Record
from ddsprl.features.rms import rms
from ddsprl.features.sound import Sound
from ddsprl.features.stft import stft_power_frames

__all__ = [
    "FEATURES",
    "Feature",
    "Features",
    "Periodicity",
    "Record",
    "Sound",
    "analyze",
    "default_hop",
    "frame",
    "frame_count",
    "integrated_loudness",
    "k_weight",
    "k_weighting_biquads",
    "mel_filterbank",
    "mel_from_power",
    "mel_power",
    "mfcc_from_mel_db",
    "periodicity",
    "rms",
    "stft_power_frames",
    "ungated_loudness",
]
