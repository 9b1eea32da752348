"""A trained agent at play: its policy as `ddsprl.env.evaluate` takes it, and episodes with their histories.

    act = playing(player)
    history, lengths, returns = program(env, act)((player.state, True), keys, params)

An agent that always does the likeliest comes back for ever to what it is wrong about; of fifty sounds, whose
best one counts, draws make more (see docs/evaluation.md). So it draws, and besides it may return to its best
point.
"""

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import jax
import jax.numpy as jnp

from ddsprl.agents.contract import Agent, View
from ddsprl.env import Action, Environment, MatchEnv, Observation, episodes


class Act(Protocol):
    """A pure policy, hashable."""

    def memory(self) -> Any:
        """What it carries from step to step, at the beginning of an episode; None for nothing."""
        ...

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """An action; with a memory, what is carried on as well.

        Given are its own state, the environment's parameters, a key, an observation, the episode, of which it
        may remember what it did and how good that was, and the memory if there is one.
        """
        ...


class Player(Protocol):
    """What is needed of a loaded agent; `ddsprl.training.restore.LoadedAgent` is one."""

    @property
    def env(self) -> MatchEnv:
        """The environment it was trained in."""
        ...

    @property
    def agent(self) -> Agent:
        """Its static part."""
        ...

    @property
    def state(self) -> Any:
        """What it has learnt."""
        ...

    @property
    def stage(self) -> int:
        """The stage that it has reached."""
        ...

    @property
    def iteration(self) -> int:
        """How long it has learnt."""
        ...


@dataclass(frozen=True)
class Playing:
    """An agent that draws from its policy and returns to its best point.

    What it plays by is the agent's state and whether it returns, a bool scalar; without it is the policy
    alone. That is data, so that both are one program.

    Attributes:
        agent: static part.
        env: the environment.
    """

    agent: Agent
    env: Environment

    def memory(self) -> Any:
        """The agent's."""
        return self.agent.memory()

    def __call__(
        self, by: tuple[Any, Any], params: Any, key: jax.Array, obs: Observation, episode: Any, *memory: Any
    ) -> tuple[Action, Any]:
        """An action, drawn, and what is carried on."""
        (state, returns), (carried,) = by, memory
        back = self.env.way_back(episode, params)
        if back is not None:
            # Who believes to have just found the best point has nothing to return to.
            back = back._replace(since=jnp.where(returns, back.since, 0))
        return self.agent.act(key, state, View(obs, self.env.mask(params), episode.t, back, carried))


def playing(player: Player) -> Playing:
    """The policy of a loaded agent."""
    return Playing(player.agent, player.env)


def policy_of(agent: Agent, env: Environment, state: Any, params: Any) -> Callable[..., Any]:
    """The policy as it was learnt, its draws included and nothing else.

    It is as `ddsprl.env.evaluate` takes it with the agent's memory.

    Args:
        agent: static part.
        env: the environment.
        state: what it has learnt.
        params: of the environment, for the numbers that count.
    """
    mask = env.mask(params)

    def policy(key: jax.Array, obs: Observation, episode: Any, memory: Any) -> tuple[Action, Any]:
        return agent.act(key, state, View(obs, mask, episode.t, memory=memory))

    return policy


@functools.lru_cache(maxsize=8)
def program(env: MatchEnv, act: Act) -> Callable[..., Any]:
    """Compiled: histories, lengths and returns of an episode for every task.

    Called with the policy's state, a key for each task, and the environment's parameters.
    """
    if not env.config.history:
        raise ValueError("the environment keeps no history")

    @jax.jit
    def run(state, keys, params):
        policy = functools.partial(act, state, params)
        found = episodes(env, policy, keys, params, memory=act.memory())
        return found.state.history, found.length, found.returns

    return run
