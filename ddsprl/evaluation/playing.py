"""Episodes of a suite under a policy: what was turned, what was heard, and the best of it.

An episode's start is its first render, so that 50 renders are the start and 49 edits; an edit that comes
later does not count, though the episode goes on.
"""

import functools
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import jax
import jax.numpy as jnp
import numpy as np

from ddsprl.agents import (
    Sac,
    SacState,
    action_spec,
    memory_of,
    parts,
    seen_of,
    seen_spec,
    turn_of,
)
from ddsprl.env import EnvParams, MatchEnv, evaluate
from ddsprl.env.match.actions import module_mask
from ddsprl.env.match.types import Action, EnvState, Observation
from ddsprl.evaluation.hearing import snapped
from ddsprl.evaluation.suites import Stream, Suite

# A pure policy, hashable: its own state, the environment's parameters, a key, an observation, and the
# episode, of which it may remember what it did and how good that was.
Act = Callable[[Any, EnvParams, jax.Array, Observation, EnvState], Action]


class Player(Protocol):
    """What is needed of a loaded agent; `ddsprl.training.restore.LoadedAgent` is one."""

    @property
    def env(self) -> MatchEnv:
        """The environment it was trained in."""
        ...

    @property
    def agent(self) -> Sac:
        """Its static part."""
        ...

    @property
    def state(self) -> SacState:
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


class Episodes(NamedTuple):
    """Played episodes of all targets.

    Attributes:
        knobs: after every step, row 0 the start, `[n, T + 1, d]`, relaxed.
        losses: likewise `[n, T + 1]`, infinite after the end.
        modules: chosen, `[n, T]`, -1 after the end.
        lengths: steps, `[n]`.
        returns: sums of rewards, `[n]`.
        seconds: of wall clock for all.
    """

    knobs: np.ndarray
    losses: np.ndarray
    modules: np.ndarray
    lengths: np.ndarray
    returns: np.ndarray
    seconds: float

    def best(self, suite: Suite, renders: int) -> tuple[np.ndarray, np.ndarray]:
        """The best presets of the first renders, snapped `[n, d]`, and the curve `[n, renders]`."""
        losses = self.losses[:, :renders]
        rows = losses.argmin(axis=1)
        best = snapped(suite, self.knobs[np.arange(len(rows)), rows])
        return best, np.minimum.accumulate(losses, axis=1)


@dataclass(frozen=True)
class RandomActions:
    """A module of those with something unlocked, and uniform deltas; keeps no state."""

    env: MatchEnv

    def __call__(
        self, state: None, params: EnvParams, key: jax.Array, obs: Observation, episode: EnvState
    ) -> Action:
        """An action that looks at nothing."""
        del state, obs, episode
        pick, spread = jax.random.split(key)
        usable = module_mask(params.free, self.env.instrument.table)
        module = jax.random.choice(pick, len(usable), p=usable / jnp.sum(usable))
        return {"module": module, "delta": jax.random.uniform(spread, params.free.shape, minval=-1.0)}


@dataclass(frozen=True)
class Playing:
    """An agent that draws from its policy and returns to its best patch.

    What it plays by is the agent's state and whether it returns, a bool scalar; without it is the policy
    alone. That is data, so that both are one program.

    Attributes:
        agent: static part.
        rest: parts of the observation that it reads besides the pictures.
        steps: of a whole episode.
        mode: what its actions are, `delta` or `absolute`.
    """

    agent: Sac
    rest: tuple[str, ...]
    steps: int
    mode: str

    def __call__(
        self,
        by: tuple[SacState, Any],
        params: EnvParams,
        key: jax.Array,
        obs: Observation,
        episode: EnvState,
    ) -> Action:
        """A module and its deltas, drawn."""
        state, returns = by
        allowed = self.agent.actions.allowed(params.free)
        seen, turn = seen_of(obs, self.rest), turn_of(obs, self.steps)
        memory = memory_of(episode, params, self.mode)
        # Who believes to have just found the best patch has nothing to return to.
        memory = memory._replace(since=jnp.where(returns, memory.since, 0))
        chosen = self.agent.act(key, state, seen, allowed, turn=turn, memory=memory)
        return {"module": chosen.module, "delta": chosen.delta}


def playing(player: Player) -> Playing:
    """The policy of a loaded agent, by what its networks read.

    Raises:
        ValueError: they were made for another environment.
    """
    layout = player.env.layout
    fits = player.agent.actions == action_spec(player.env.instrument.table)
    for finite in (False, True):
        rest = parts(finite_horizon=finite, guess=player.env.config.guess)
        made, seen = seen_spec(layout, rest), player.agent.seen
        if fits and (made.rest, made.picture) == (seen.rest, seen.picture):
            config = player.env.config
            return Playing(player.agent, rest, config.steps, config.action)
    raise ValueError("the agent's networks do not fit its environment")


def play(suite: Suite, act: Act, state: Any, *, timed: bool = False) -> Episodes:
    """One episode for every target.

    Args:
        suite: of a stage.
        act: hashable.
        state: of the policy.
        timed: whether to play twice, so that `seconds` hold no compiling.
    """
    run, key = program(suite.env, act), suite.key(Stream.EPISODE)
    if timed:
        jax.block_until_ready(run(state, key, suite.params))
    began = time.perf_counter()
    history, lengths, returns = jax.tree.map(np.asarray, run(state, key, suite.params))
    seconds = time.perf_counter() - began
    played = np.arange(history.loss.shape[1]) <= lengths[:, None]
    losses = np.where(played, history.loss, np.inf)
    return Episodes(history.knobs, losses, history.module, lengths, returns, seconds)


@functools.lru_cache(maxsize=8)
def program(env: MatchEnv, act: Act) -> Callable[..., Any]:
    """Compiled: histories, lengths and returns of an episode for every target of a bucket.

    Called with the policy's state, a key, and the environment's parameters.
    """
    if not env.config.history:
        raise ValueError("the environment keeps no history")

    @jax.jit
    def run(state, key, params):
        count = jnp.shape(params.targets.notes.midi)[0]
        policy = functools.partial(act, state, params)
        found = evaluate(env, policy, key, params, count=count)
        return found.state.history, found.length, found.returns

    return run
