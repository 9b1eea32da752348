"""The ear's judgement: losses between a clip and a target, and the objective that joins them."""

from ddsprl.losses.matching import match_loudness as match_loudness
from ddsprl.losses.mrstft import multi_resolution_stft as multi_resolution_stft
from ddsprl.losses.mrstft import yardstick as yardstick
from ddsprl.losses.objective import LOSSES as LOSSES
from ddsprl.losses.objective import Objective as Objective
from ddsprl.losses.objective import ObjectiveConfig as ObjectiveConfig
from ddsprl.losses.objective import ObjectiveWeights as ObjectiveWeights
from ddsprl.losses.objective import TargetFeatures as TargetFeatures
from ddsprl.losses.registry import TERMS as TERMS
from ddsprl.losses.term import Term as Term
