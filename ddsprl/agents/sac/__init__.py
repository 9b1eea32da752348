"""Soft actor-critic with a hybrid action.

config.py records.py     settings, and what is learnt, kept and done
losses.py agent.py       the equations, and the networks in them
acting.py learning.py    how it explores, and the gradient steps of one iteration
learner.py               the agent of the contract, and its line in the registry
"""

from ddsprl.agents.sac.agent import Sac as Sac
from ddsprl.agents.sac.agent import SacState as SacState
from ddsprl.agents.sac.config import SacConfig as SacConfig
from ddsprl.agents.sac.learner import SAC as SAC
from ddsprl.agents.sac.learner import SacAgent as SacAgent
from ddsprl.agents.sac.losses import Temperatures as Temperatures
from ddsprl.agents.sac.records import Experience as Experience
