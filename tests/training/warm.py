"""Demonstrations of the toy instrument, recorded once for all tests of the warm start."""

import functools
from typing import Any

import jax

from ddsprl.agents import NetworkConfig, action_spec, seen_spec, sight_of
from ddsprl.agents.sac import Sac, SacConfig
from ddsprl.env import EnvParams, stage_params
from ddsprl.training import WarmConfig
from ddsprl.training.demonstrations.recording import Demonstrations, record
from tests.env.toy import Made, toy, toy_config

BUDGET, EPISODES = 200, 96


def warm(**settings: Any) -> WarmConfig:
    """Settings; what is tested is not how good a search of few renders is."""
    return WarmConfig(**{"demonstrations": EPISODES, "solver": "cma_es", "budget": BUDGET, **settings})


@functools.cache
def made() -> Made:
    return Made(toy_config(steps=24, bucket=EPISODES, delta_max=0.2), toy())


@functools.cache
def recorded() -> Demonstrations:
    """All knobs."""
    return record(made().env, made().params, warm(), jax.random.key(3))


@functools.cache
def easy() -> tuple[EnvParams, EnvParams, Demonstrations]:
    """Of two modules: parameters to learn with and to judge by, and demonstrations."""
    env = made().env
    params, cold = (stage_params(env, 3, split=split, count=EPISODES)[0] for split in ("train", "held_out"))
    return params, cold, record(env, params, warm(solver="hybrid"), jax.random.key(4))


@functools.cache
def agent() -> Sac:
    network = NetworkConfig(width=32, blocks=1, patch_features=8, patch_summary=2)
    config = SacConfig(network=network, batch=32, capacity=64)
    env = made().env
    return Sac(config, action_spec(env.action), seen_spec(env.observation, sight_of(env.observation)))
