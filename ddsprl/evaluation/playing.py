"""Episodes of a suite under a policy: what was turned, what was heard, and the best of it.

An episode's start is its first render, so that 50 renders are the start and 49 edits; an edit that comes
later does not count, though the episode goes on.
"""

import time
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from ddsprl.agents.playing import Act, program
from ddsprl.env import Action, EnvParams, EnvState, MatchEnv, Observation
from ddsprl.env.match.actions import module_mask
from ddsprl.evaluation.hearing import snapped
from ddsprl.evaluation.suites import Stream, Suite


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

    def memory(self) -> None:
        """Nothing."""

    def __call__(
        self, state: None, params: EnvParams, key: jax.Array, obs: Observation, episode: EnvState
    ) -> Action:
        """An action that looks at nothing."""
        del state, obs, episode
        pick, spread = jax.random.split(key)
        usable = module_mask(params.free, self.env.instrument.table)
        module = jax.random.choice(pick, len(usable), p=usable / jnp.sum(usable))
        return {"module": module, "delta": jax.random.uniform(spread, params.free.shape, minval=-1.0)}


def play(suite: Suite, act: Act, state: Any, *, timed: bool = False) -> Episodes:
    """One episode for every target.

    Args:
        suite: of a stage.
        act: hashable.
        state: of the policy.
        timed: whether to play twice, so that `seconds` hold no compiling.
    """
    run, keys = program(suite.env, act), suite.keys(Stream.EPISODE)
    if timed:
        jax.block_until_ready(run(state, keys, suite.params))
    began = time.perf_counter()
    history, lengths, returns = jax.tree.map(np.asarray, run(state, keys, suite.params))
    seconds = time.perf_counter() - began
    played = np.arange(history.loss.shape[1]) <= lengths[:, None]
    losses = np.where(played, history.loss, np.inf)
    return Episodes(history.knobs, losses, history.module, lengths, returns, seconds)
