"""The environment: match a sound by turning knobs, as an agent sees it."""

from ddsprl.env.episodes import Results, episode, evaluate
from ddsprl.env.match.actions import from_flat, to_flat
from ddsprl.env.match.curriculum import CurriculumState, advance, free_mask, stages_of
from ddsprl.env.match.embedding import EpisodicReward, load_embedding
from ddsprl.env.match.environment import MatchEnv
from ddsprl.env.match.make import make_env, make_matcher, stage_params
from ddsprl.env.match.observation import Field, flatten, layout, unflatten
from ddsprl.env.match.references import References, committed
from ddsprl.env.match.targets import make_bucket, preset_targets, recording_targets
from ddsprl.env.match.types import EnvConfig, EnvParams, EnvState, RewardWeights, Targets, Timestep
from ddsprl.env.wrappers import AutoReset, ManyState, StopGradients, default_chunk

__all__ = [
    "AutoReset",
    "CurriculumState",
    "EnvConfig",
    "EnvParams",
    "EnvState",
    "EpisodicReward",
    "Field",
    "ManyState",
    "MatchEnv",
    "References",
    "Results",
    "RewardWeights",
    "StopGradients",
    "Targets",
    "Timestep",
    "advance",
    "committed",
    "default_chunk",
    "episode",
    "evaluate",
    "flatten",
    "free_mask",
    "from_flat",
    "layout",
    "load_embedding",
    "make_bucket",
    "make_env",
    "make_matcher",
    "preset_targets",
    "recording_targets",
    "stage_params",
    "stages_of",
    "to_flat",
    "unflatten",
]
