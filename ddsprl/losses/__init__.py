"""The ear's judgement: losses between a clip and a target, and the objective that joins them."""

from ddsprl.losses.matching import match_loudness, matched_yardstick, matching_gain_db
from ddsprl.losses.mrstft import multi_resolution_stft, yardstick
from ddsprl.losses.objective import (
    LOSSES,
    LossResult,
    Objective,
    ObjectiveConfig,
    ObjectiveWeights,
    TargetFeatures,
)
from ddsprl.losses.registry import TERMS
from ddsprl.losses.term import AnalysisConfig, Clip, Term

__all__ = [
    "LOSSES",
    "TERMS",
    "AnalysisConfig",
    "Clip",
    "LossResult",
    "Objective",
    "ObjectiveConfig",
    "ObjectiveWeights",
    "TargetFeatures",
    "Term",
    "match_loudness",
    "matched_yardstick",
    "matching_gain_db",
    "multi_resolution_stft",
    "yardstick",
]
