"""The ear: what can be heard in a clip, one feature a file, joined by `analyze`."""

from ddsprl.features.analyze import FEATURES as FEATURES
from ddsprl.features.analyze import Features as Features
from ddsprl.features.analyze import analyze as analyze
from ddsprl.features.framing import default_hop as default_hop
from ddsprl.features.framing import frame as frame
from ddsprl.features.framing import frame_count as frame_count
from ddsprl.features.loudness import integrated_loudness as integrated_loudness
from ddsprl.features.loudness import k_weight as k_weight
from ddsprl.features.loudness import k_weighting_biquads as k_weighting_biquads
from ddsprl.features.loudness import ungated_loudness as ungated_loudness
from ddsprl.features.mel import mel_power as mel_power
from ddsprl.features.periodicity import periodicity as periodicity
from ddsprl.features.sound import Sound as Sound
from ddsprl.features.stft import stft_power_frames as stft_power_frames
