"""Agents: networks, replay and learning; independent of the synthesizer but for `observing`."""

from ddsprl.agents.ascent import Ascent
from ddsprl.agents.encoder import NetworkConfig
from ddsprl.agents.observing import (
    action_spec,
    memory_of,
    parts,
    seen_of,
    seen_spec,
    transition_of,
    turn_of,
)
from ddsprl.agents.replay import Replay, add, empty_replay, sample, stored_bytes
from ddsprl.agents.returning import Memory
from ddsprl.agents.sac import AgentAction, Sac, SacConfig, SacState, Temperatures
from ddsprl.agents.types import ActionSpec, Allowed, Labels, Seen, SeenSpec, Transition

__all__ = [
    "ActionSpec",
    "AgentAction",
    "Allowed",
    "Ascent",
    "Labels",
    "Memory",
    "NetworkConfig",
    "Replay",
    "Sac",
    "SacConfig",
    "SacState",
    "Seen",
    "SeenSpec",
    "Temperatures",
    "Transition",
    "action_spec",
    "add",
    "empty_replay",
    "memory_of",
    "parts",
    "sample",
    "seen_of",
    "seen_spec",
    "stored_bytes",
    "transition_of",
    "turn_of",
]
