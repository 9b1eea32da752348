"""Episodes of a demonstrator, step by step through the environment.

    way = Way(goal, disturbance, key)
    under = begin(env, obs, state)
    under, played = play(env, params, state.episode, under, way, steps=10, sight=sight)     and so on

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

from ddsprl.agents import Sight, action_spec, transition_of
from ddsprl.agents.replay import Rows, pack
from ddsprl.agents.types import Labels
from ddsprl.env import EnvParams, EnvState, MatchEnv, Observation
from ddsprl.env.match.types import Episode
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


class Way(NamedTuple):
    """Where an episode is to go, and how straight.

    Attributes:
        goal: preset, snapped, `[d]`.
        disturbance: of the actions.
        key: of the disturbance, the same for all steps of an episode.
    """

    goal: jax.Array
    disturbance: Disturbance
    key: jax.Array


def play(
    env: MatchEnv,
    params: EnvParams,
    episode: Episode,
    under: Under,
    way: Way,
    *,
    steps: int,
    sight: Sight,
) -> tuple[Under, Played]:
    """Some steps towards a goal; pure, batch with `vmap`.

    Args:
        env: the environment.
        params: of the environment.
        episode: that does not change.
        under: where it stands.
        way: where it is to go.
        steps: to take; rows after the end are not kept.
        sight: see `record`.
    """
    spec, (goal, disturbance, key) = action_spec(env.action), way

    def advance(under, _):
        state = under.state._replace(episode=episode)
        now = jax.random.fold_in(key, state.t)
        edit = edit_towards(goal, state, params, env, spec)
        arrived = edit.farthest <= ARRIVED * params.delta_max
        left = jnp.where(arrived, jnp.minimum(under.left, LINGER), under.left) - 1
        module, delta = carried_out(now, edit, episode.free, spec, disturbance)
        action = env.action.compose(module, delta)
        found = env.step(now, state, action, params)
        transition = transition_of(under.obs, action, found, env.action, sight)
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
    params: EnvParams,
    begun: tuple[Observation, EnvState],
    ways: Way,
    goal_loss: jax.Array,
    *,
    sight: Sight,
) -> Episodes:
    """Whole episodes, side by side.

    Args:
        env: the environment.
        params: shared by all.
        begun: observations and states at the start, leaves `[G, ...]`.
        ways: goals `[G, d]` and keys `[G]`, with one disturbance for all.
        goal_loss: handed on, `[G]`.
        sight: see `record`.
    """
    start, go_on = _programs(env, sight)
    obs, state = begun
    episode, under, parts = state.episode, start(obs, state), []
    for _ in range(0, env.config.steps, SEGMENT):
        under, played = go_on(params, episode, under, ways)
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
def _programs(env: MatchEnv, sight: Sight) -> tuple[Callable[..., Under], Callable[..., Any]]:
    """Compiled: beginnings and segments of episodes, side by side."""
    some = functools.partial(play, env, steps=SEGMENT, sight=sight)
    start = jax.jit(jax.vmap(functools.partial(begin, env)))
    axes: Any = Way(0, None, 0)  # pyright: ignore[reportArgumentType]
    return start, jax.jit(jax.vmap(some, in_axes=(None, 0, 0, axes)))
