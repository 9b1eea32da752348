"""Environments: the contract, what goes round any of them, and the one in `match`.

contract.py  specs.py        what an environment is, what is observed and what may be done
wrappers.py  episodes.py     many episodes side by side, whole episodes under a policy
adapters_gymnasium.py        as gymnasium knows environments
match/                       match a sound by turning knobs
"""

from ddsprl.env.contract import Environment as Environment
from ddsprl.env.contract import EnvironmentConfig as EnvironmentConfig
from ddsprl.env.contract import Score as Score
from ddsprl.env.contract import Timestep as Timestep
from ddsprl.env.contract import WayBack as WayBack
from ddsprl.env.episodes import Results as Results
from ddsprl.env.episodes import episode as episode
from ddsprl.env.episodes import episodes as episodes
from ddsprl.env.episodes import evaluate as evaluate
from ddsprl.env.match.curriculum import CurriculumState as CurriculumState
from ddsprl.env.match.curriculum import advance as advance
from ddsprl.env.match.curriculum import free_mask as free_mask
from ddsprl.env.match.curriculum import stages_of as stages_of
from ddsprl.env.match.embedding import EpisodicReward as EpisodicReward
from ddsprl.env.match.embedding import load_embedding as load_embedding
from ddsprl.env.match.environment import MatchEnv as MatchEnv
from ddsprl.env.match.make import make_env as make_env
from ddsprl.env.match.make import make_matcher as make_matcher
from ddsprl.env.match.make import stage_params as stage_params
from ddsprl.env.match.references import committed as committed
from ddsprl.env.match.targets import make_bucket as make_bucket
from ddsprl.env.match.targets import preset_targets as preset_targets
from ddsprl.env.match.targets import recording_targets as recording_targets
from ddsprl.env.match.types import EnvConfig as EnvConfig
from ddsprl.env.match.types import EnvParams as EnvParams
from ddsprl.env.match.types import EnvState as EnvState
from ddsprl.env.match.types import RewardWeights as RewardWeights
from ddsprl.env.match.types import Targets as Targets
from ddsprl.env.specs import Action as Action
from ddsprl.env.specs import ActionSpec as ActionSpec
from ddsprl.env.specs import Field as Field
from ddsprl.env.specs import Observation as Observation
from ddsprl.env.specs import ObservationSpec as ObservationSpec
from ddsprl.env.specs import Selector as Selector
from ddsprl.env.specs import Vector as Vector
from ddsprl.env.specs import fields_of as fields_of
from ddsprl.env.specs import flatten as flatten
from ddsprl.env.specs import unflatten as unflatten
from ddsprl.env.wrappers import AutoReset as AutoReset
from ddsprl.env.wrappers import ManyState as ManyState
from ddsprl.env.wrappers import default_chunk as default_chunk
