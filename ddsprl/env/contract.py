"""What an environment is: all that a training loop, an evaluation and the adapters know of one.

    obs, state = env.reset(key, params)                     an episode with a task drawn from the parameters
    obs, state, reward, terminated, truncated, info = env.step(key, state, action, params)

An environment is static and hashable; everything that changes is in `state`, what may change between
episodes without compiling anew in `params`. Functions take one episode; batch with `vmap`. The raw step never
resets, passes gradients on, and tells an end (`terminated`) from a time limit (`truncated`).

A class that names `Environment` as its base gets what is optional as an environment that has none of it:

    way_back      where the episode's best point lies from here, for players that return to it
    sample_rate   of sounds that an ended episode can be heard by, and `sounds`, which renders them

What training needs beside (stages, teachers, demonstrations) is told by `ddsprl.env.domain`.
"""

from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import jax
import jax.numpy as jnp

from ddsprl.env.specs import Action, ActionSpec, Observation, ObservationSpec

Info = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class EnvironmentConfig:
    """Settings that every environment has; the base of its own record of settings.

    Attributes:
        name: of the kind of environment, see `ddsprl.training.config.DOMAINS`.
        steps: T, after which an episode is truncated.
    """

    name: str
    steps: int


class Timestep(NamedTuple):
    """What `step` returns, by name.

    Attributes:
        obs: the observation after the action.
        state: after the action.
        reward: scalar.
        terminated: scalar bool, the task has ended.
        truncated: scalar bool, the time is up; never together with `terminated`.
        info: named terms.
    """

    obs: Observation
    state: Any
    reward: jax.Array
    terminated: jax.Array
    truncated: jax.Array
    info: Info


class Score(NamedTuple):
    """How an episode stands; scalars.

    Attributes:
        loss: of the present point; lower is better.
        best: of the best point so far.
        solved: bool, whether the present point solves the task.
    """

    loss: jax.Array
    best: jax.Array
    solved: jax.Array


class WayBack(NamedTuple):
    """What a player remembers of its episode.

    Attributes:
        away: from the numbers that actions turn to those of the best point, `[d]`.
        back: numbers of an action that would go there at once, `[d]`, perhaps beyond -1 and 1.
        since: int scalar, steps since that point was found.
    """

    away: jax.Array
    back: jax.Array
    since: jax.Array


class State(Protocol):
    """An episode under way: a named tuple with these fields and others of its own."""

    @property
    def episode(self) -> Any:
        """What does not change from reset to the end, so that a step need not copy it; may be ()."""
        ...

    @property
    def t(self) -> jax.Array:
        """Steps taken, scalar int."""
        ...

    def _replace(self, **changes: Any) -> Any: ...


class Environment(Protocol):
    """An environment, which names this as its base; static and hashable.

    Attributes:
        steps: T, of a whole episode.
        observation: what is observed.
        action: what may be done.
        sample_rate: Hz of what `sounds` gives; None for an environment that is not heard.
    """

    steps: int
    observation: ObservationSpec
    action: ActionSpec
    sample_rate: int | None = None

    def reset(self, key: jax.Array, params: Any) -> tuple[Observation, Any]:
        """A new episode with a task drawn from those of `params`."""
        ...

    def reset_at(self, key: jax.Array, params: Any, index: jax.Array) -> tuple[Observation, Any]:
        """A new episode with the task at `index`, scalar int."""
        ...

    def step(self, key: jax.Array, state: Any, action: Action, params: Any) -> Timestep:
        """One action; never resets, and lets gradients through."""
        ...

    def count(self, params: Any) -> int:
        """How many tasks there are."""
        ...

    def score(self, state: Any) -> Score:
        """How an episode stands."""
        ...

    def mask(self, params: Any) -> jax.Array:
        """1 for the numbers of an action that count in all episodes, `[d]`."""
        return jnp.ones(self.action.size)

    def episode_mask(self, state: Any) -> jax.Array:
        """1 for the numbers of an action that count in this episode, `[d]`."""
        return jnp.ones(self.action.size)

    def final(self, state: Any) -> Any:
        """What an ended episode leaves, a small pytree; what `sounds` needs."""
        return ()

    def way_back(self, state: Any, params: Any) -> WayBack | None:
        """Where the best point lies; None where nobody may return to it."""
        return None

    def sounds(self, final: Any, params: Any) -> tuple[jax.Array, jax.Array]:
        """What was asked for and the best that was found, clips `[p, n]` each, from `final`."""
        raise ValueError(f"{type(self).__name__} makes no sounds")
