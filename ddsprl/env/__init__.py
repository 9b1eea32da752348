"""Environments: the contract, what goes round any of them, and the one in `match`.

contract.py  specs.py        what an environment is, what is observed and what may be done
wrappers.py  episodes.py     many episodes side by side, whole episodes under a policy
adapters_gymnasium.py        as gymnasium knows environments
match/                       match a sound by turning knobs
"""

from ddsprl.env.contract import Environment, EnvironmentConfig, Score, Timestep, WayBack
from ddsprl.env.episodes import Results, episode, episodes, evaluate
from ddsprl.env.match.actions import to_flat
from ddsprl.env.match.curriculum import CurriculumState, advance, free_mask, stages_of
from ddsprl.env.match.embedding import EpisodicReward, load_embedding
from ddsprl.env.match.environment import MatchEnv
from ddsprl.env.match.make import make_env, make_matcher, stage_params
from ddsprl.env.match.observation import layout
from ddsprl.env.match.references import References, committed
from ddsprl.env.match.targets import make_bucket, preset_targets, recording_targets
from ddsprl.env.match.types import EnvConfig, EnvParams, EnvState, RewardWeights, Targets
from ddsprl.env.specs import (
    Action,
    ActionSpec,
    Field,
    Observation,
    ObservationSpec,
    Part,
    Selector,
    Vector,
    fields_of,
    flatten,
    from_flat,
    unflatten,
)
from ddsprl.env.wrappers import AutoReset, ManyState, StopGradients, default_chunk

__all__ = [
    "Action",
    "ActionSpec",
    "AutoReset",
    "CurriculumState",
    "EnvConfig",
    "EnvParams",
    "EnvState",
    "Environment",
    "EnvironmentConfig",
    "EpisodicReward",
    "Field",
    "ManyState",
    "MatchEnv",
    "Observation",
    "ObservationSpec",
    "Part",
    "References",
    "Results",
    "RewardWeights",
    "Score",
    "Selector",
    "StopGradients",
    "Targets",
    "Timestep",
    "Vector",
    "WayBack",
    "advance",
    "committed",
    "default_chunk",
    "episode",
    "episodes",
    "evaluate",
    "fields_of",
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
