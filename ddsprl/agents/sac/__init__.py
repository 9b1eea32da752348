"""Soft actor-critic with a hybrid action.

config.py records.py     settings, and what is learnt, kept and done
losses.py agent.py       the equations, and the networks in them
acting.py learning.py    how it explores, and the gradient steps of one iteration
learner.py entry.py      the agent of the contract, and its line in the registry
"""

from ddsprl.agents.sac.agent import AgentAction, Sac, SacState
from ddsprl.agents.sac.config import SacConfig
from ddsprl.agents.sac.entry import SAC
from ddsprl.agents.sac.learner import SacAgent
from ddsprl.agents.sac.losses import Temperatures
from ddsprl.agents.sac.records import Experience

__all__ = [
    "SAC",
    "AgentAction",
    "Experience",
    "Sac",
    "SacAgent",
    "SacConfig",
    "SacState",
    "Temperatures",
]
