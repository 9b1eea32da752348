"""Soft actor-critic with a hybrid action."""

from ddsprl.agents.sac.agent import AgentAction, Sac, SacState
from ddsprl.agents.sac.config import SacConfig
from ddsprl.agents.sac.losses import Temperatures

__all__ = ["AgentAction", "Sac", "SacConfig", "SacState", "Temperatures"]
