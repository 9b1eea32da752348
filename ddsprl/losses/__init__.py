"""The ear's judgement: losses between a clip and a target, and the objective that joins them."""

from ddsprl.losses.matching import match_loudness, matched_yardstick, matching_gain_db
from ddsprl.losses.mrstft import multi_resolution_stft, yardstick
from ddsprl.losses.objective import (
    TERMS,
    LossResult,
    Objective,
    ObjectiveConfig,
    ObjectiveWeights,
    TargetFeatures,
)
from ddsprl.losses.registry import LOSSES
from ddsprl.losses.tracking import BestSoFar, init_best, update_best

__all__ = [
    "LOSSES",
    "TERMS",
    "BestSoFar",
    "LossResult",
    "Objective",
    "ObjectiveConfig",
    "ObjectiveWeights",
    "TargetFeatures",
    "init_best",
    "match_loudness",
    "matched_yardstick",
    "matching_gain_db",
    "multi_resolution_stft",
    "update_best",
    "yardstick",
]
