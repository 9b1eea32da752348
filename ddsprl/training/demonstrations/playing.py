"""Episodes of a demonstrator, step by step through the environment.

    under = begin(env, obs, state)
    under, played = play(env, key, params, state.episode, under, goal, disturbance, steps=10)     and so on

Of every step two actions are kept: what was carried out, with its consequences, and what the demonstrator had
chosen; they differ where the step was disturbed. Rows are kept until the environment ends the episode, or
until some steps after the goal was first reached, since a demonstrator that has arrived only repeats itself.
A group of episodes is played side by side, some steps at a time, until all of them have ended (`play_out`).
"""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from ddsprl.agents import action_spec, transition_of
from ddsprl.agents.observing import REST
from ddsprl.agents.replay import Rows, pack
from ddsprl.agents.types import Labels
from ddsprl.env import EnvParams, EnvState, MatchEnv
from ddsprl.env.match.types import Episode, Observation
from ddsprl.training.demonstrations.planning import Disturbance, carried_out, edit_towards

# At the goal: every knob within this share of one step. So many more steps are kept.
ARRIVED, LINGER = 0.25, 4
# Steps of a compiled call: between two of them the host looks whether any episode of the group goes on.
SEGMENT = 5


class Played(NamedTuple):
    """Steps as played; leaves `[T, ...]`, behind a leading axis for many episodes.

    Attributes:
        rows: transitions, labelled with the demonstrator's choices.
        kept: bool, whether the row belongs to the episode.
        solved: bool, whether the sound was close enough after the step.
        loss: after each step.
    """

    rows: Rows
    kept: jax.Array
    solved: jax.Array
    loss: jax.Array


class Under(NamedTuple):
    """An episode under way.

    Attributes:
        obs: at the next step.
        state: likewise, without its episode, which does not change.
        ended: bool scalar, whether no later row belongs to the episode.
        left: int scalar, steps until it is left; counts down from the first arrival, whatever comes after.
    """

    obs: Observation
    state: EnvState
    ended: jax.Array
    left: jax.Array


def begin(env: MatchEnv, obs: Observation, state: EnvState) -> Under:
    """An episode of which no step has been taken."""
    never = jnp.asarray(env.config.steps + LINGER + 1, jnp.int32)
    return Under(obs, state._replace(episode=None), jnp.zeros((), bool), never)  # pyright: ignore[reportArgumentType]


def play(
    env: MatchEnv,
    key: jax.Array,
    params: EnvParams,
    episode: Episode,
    under: Under,
    goal: jax.Array,
    disturbance: Disturbance,
    *,
    steps: int,
    rest: tuple[str, ...] = REST,
) -> tuple[Under, Played]:
    """Some steps towards a goal; pure, batch with `vmap`.

    Args:
        env: the environment.
        key: of the disturbance, the same for all steps of an episode.
        params: of the environment.
        episode: that does not change.
        under: where it stands.
        goal: preset, snapped, `[d]`.
        disturbance: of the actions.
        steps: to take; rows after the end are not kept.
        rest: see `record`.
    """
    spec = action_spec(env.instrument.table)

    def advance(under, _):
        state = under.state._replace(episode=episode)
        now = jax.random.fold_in(key, state.t)
        edit = edit_towards(goal, state, params, env, spec)
        arrived = edit.farthest <= ARRIVED * params.delta_max
        left = jnp.where(arrived, jnp.minimum(under.left, LINGER), under.left) - 1
        module, delta = carried_out(now, edit, episode.free, spec, disturbance)
        found = env.step(now, state, {"module": module, "delta": delta}, params)
        transition = transition_of(under.obs, module, delta, found, rest)
        labelled = transition._replace(labels=Labels(edit.module, edit.delta))
        kept = ~under.ended & (left >= 0)
        row = Played(pack(labelled), kept, found.terminated, found.state.loss)
        ended = under.ended | (left <= 0) | found.terminated | found.truncated
        return Under(found.obs, found.state._replace(episode=None), ended, left), row

    return jax.lax.scan(advance, under, None, length=steps)


class Episodes(NamedTuple):
    """What is kept of a group of G episodes; NumPy's.

    Attributes:
        rows: transitions of one episode after the other, leaves `[n, ...]`.
        lengths: rows of each episode, `[G]`.
        start_loss: `[G]`.
        goal_loss: `[G]`.
        best_loss: of the start and of what was played, `[G]`.
        end_loss: of the last row, `[G]`.
        solved: bool, whether the sound came close enough, `[G]`.
        steps: taken of each episode, those after its end included.
    """

    rows: Rows
    lengths: np.ndarray
    start_loss: np.ndarray
    goal_loss: np.ndarray
    best_loss: np.ndarray
    end_loss: np.ndarray
    solved: np.ndarray
    steps: int


def play_out(
    env: MatchEnv,
    keys: jax.Array,
    params: EnvParams,
    begun: tuple[Observation, EnvState],
    goals: jax.Array,
    goal_loss: jax.Array,
    disturbance: Disturbance,
    *,
    rest: tuple[str, ...] = REST,
) -> Episodes:
    """Whole episodes, side by side.

    Args:
        env: the environment.
        keys: of the disturbances, one an episode, `[G]`.
        params: shared by all.
        begun: observations and states at the start, leaves `[G, ...]`.
        goals: presets, snapped, `[G, d]`.
        goal_loss: handed on, `[G]`.
        disturbance: of the actions.
        rest: see `record`.
    """
    start, go_on = _programs(env, rest)
    obs, state = begun
    episode, under, parts = state.episode, start(obs, state), []
    for _ in range(0, env.config.steps, SEGMENT):
        under, played = go_on(keys, params, episode, under, goals, disturbance)
        parts.append(jax.tree.map(np.asarray, played))
        if np.asarray(under.ended).all():
            break
    played: Played = jax.tree.map(lambda *x: np.concatenate(x, axis=1), *parts)
    kept, start_loss = np.asarray(played.kept), np.asarray(state.loss)
    lengths, loss = kept.sum(axis=1), np.asarray(played.loss)
    return Episodes(
        jax.tree.map(lambda x: x[kept], played.rows),
        lengths=lengths,
        start_loss=start_loss,
        goal_loss=np.asarray(goal_loss),
        best_loss=np.minimum(np.where(kept, loss, np.inf).min(axis=1), start_loss),
        end_loss=np.take_along_axis(loss, lengths[:, None] - 1, axis=1)[:, 0],
        solved=np.any(kept & np.asarray(played.solved), axis=1),
        steps=kept.shape[1],
    )


@functools.lru_cache(maxsize=8)
def _programs(env: MatchEnv, rest: tuple[str, ...]) -> tuple[Callable[..., Under], Callable[..., Any]]:
    """Compiled: beginnings and segments of episodes, side by side."""
    some = functools.partial(play, env, steps=SEGMENT, rest=rest)
    start = jax.jit(jax.vmap(functools.partial(begin, env)))
    return start, jax.jit(jax.vmap(some, in_axes=(0, None, 0, 0, 0, None)))
