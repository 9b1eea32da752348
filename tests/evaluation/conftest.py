"""A toy environment, a tiny untrained agent on it, and one suite for all tests: each compiles once."""

from typing import NamedTuple

import jax
import pytest

from ddsprl.agents import Agent, LoopConfig, NetworkConfig
from ddsprl.agents.sac import SAC, SacConfig, SacState
from ddsprl.env import EnvConfig, MatchEnv, make_matcher
from ddsprl.evaluation.suites import Suite, make_suite
from synth_jax import Instrument
from tests.env.toy import toy, toy_config

NETWORK = NetworkConfig(width=16, blocks=1, patch_features=4, patch_summary=2)


class TinyAgent(NamedTuple):
    """What a loaded agent is to its users."""

    env: MatchEnv
    agent: Agent
    state: SacState
    stage: int
    iteration: int
    damaged: tuple[str, ...] = ()


def tiny_agent(config: EnvConfig, instrument: Instrument | None = None, *, stage: int = 5) -> TinyAgent:
    env = make_matcher(config, instrument=instrument)
    settings = SacConfig(network=NETWORK, capacity=8, batch=2)
    agent = SAC.make(settings, env, LoopConfig(), False)
    return TinyAgent(env, agent, jax.jit(agent.init)(jax.random.key(0)), stage, 7)


@pytest.fixture(scope="session")
def player() -> TinyAgent:
    # As a run has it: training keeps no history.
    return tiny_agent(toy_config(history=False), toy(), stage=5)


@pytest.fixture(scope="session")
def suite() -> Suite:
    return make_suite(make_matcher(toy_config(), instrument=toy()), 5, count=4)
