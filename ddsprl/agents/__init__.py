"""Agents: the contract and the registry, and what agents share; each is a folder of its own.

contract.py registry.py playing.py         what an agent is, which there are, how one plays
types.py observing.py replay.py            records, observations for networks, a ring of transitions
networks.py encoder.py distributions.py    actor and critics
ascent.py imitation.py opening.py returning.py      what may lead an actor beside critics
sac/                                       soft actor-critic
"""

from ddsprl.agents.ascent import Ascent
from ddsprl.agents.contract import Agent, AgentConfig, Choice, LoopConfig, Share, Step, View
from ddsprl.agents.encoder import NetworkConfig
from ddsprl.agents.observing import (
    Sight,
    action_spec,
    seen_of,
    seen_spec,
    sight_of,
    transition_of,
)
from ddsprl.agents.registry import AGENTS
from ddsprl.agents.replay import Replay, add, empty_replay, sample
from ddsprl.agents.types import ActionSpec, Allowed, Labels, Seen, SeenSpec, Transition

__all__ = [
    "AGENTS",
    "ActionSpec",
    "Agent",
    "AgentConfig",
    "Allowed",
    "Ascent",
    "Choice",
    "Labels",
    "LoopConfig",
    "NetworkConfig",
    "Replay",
    "Seen",
    "SeenSpec",
    "Share",
    "Sight",
    "Step",
    "Transition",
    "View",
    "action_spec",
    "add",
    "empty_replay",
    "sample",
    "seen_of",
    "seen_spec",
    "sight_of",
    "transition_of",
]
