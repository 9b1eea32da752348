"""Agents: the contract and the registry, and what agents share; each is a folder of its own.

contract.py registry.py playing.py         what an agent is, which there are, how one plays
types.py observing.py replay.py            records, observations for networks, a ring of transitions
networks.py encoder.py distributions.py    actor and critics
ascent.py imitation.py opening.py returning.py      what may lead an actor beside critics
sac/                                       soft actor-critic
"""

from ddsprl.agents.contract import Agent as Agent
from ddsprl.agents.contract import AgentConfig as AgentConfig
from ddsprl.agents.contract import Choice as Choice
from ddsprl.agents.contract import LoopConfig as LoopConfig
from ddsprl.agents.contract import Share as Share
from ddsprl.agents.contract import Step as Step
from ddsprl.agents.contract import View as View
from ddsprl.agents.encoder import NetworkConfig as NetworkConfig
from ddsprl.agents.observing import Sight as Sight
from ddsprl.agents.observing import action_spec as action_spec
from ddsprl.agents.observing import seen_of as seen_of
from ddsprl.agents.observing import seen_spec as seen_spec
from ddsprl.agents.observing import sight_of as sight_of
from ddsprl.agents.observing import transition_of as transition_of
from ddsprl.agents.registry import AGENTS as AGENTS
from ddsprl.agents.replay import add as add
from ddsprl.agents.replay import empty_replay as empty_replay
from ddsprl.agents.types import Allowed as Allowed
from ddsprl.agents.types import Seen as Seen
from ddsprl.agents.types import SeenSpec as SeenSpec
from ddsprl.agents.types import Transition as Transition
