"""Demonstrations: known presets, or what solvers find, played as episodes for an agent to begin with.

    demos = record(env, params, config.warm, key)
    demos.transitions                            Transition, leaves [n, ...]

    target ─ reset ─▶ start ─ solver ─▶ goal ─ edits ─▶ env.step in a scan ─▶ rows, until the episode ends
                   └─ or the target's own preset ─┘

An episode begins as the environment begins one: mostly at the neutral patch, sometimes near the target.
Every observation, reward and end is the environment's own. How goals are found and become edits stands in
`planning`, how an episode is played in `playing`. The actions that were carried out, with what came of them,
are the rows for the replay; what the demonstrator had chosen are the labels for cloning. Pictures are kept as
the replay keeps them, in 8 bits.
"""

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from ddsprl.agents import Sight, Transition, sight_of
from ddsprl.agents.replay import Rows, unpack
from ddsprl.agents.types import Labels
from ddsprl.env import EnvParams, MatchEnv
from ddsprl.env.match.curriculum import stages_of
from ddsprl.env.match.references import setup_of
from ddsprl.io import UserError, versions
from ddsprl.training.config import WarmConfig
from ddsprl.training.demonstrations.planning import PRESET, Disturbance, expected_steps, known, seek
from ddsprl.training.demonstrations.playing import Episodes, Way, play_out
from synth_jax.params import table_digest

# Episodes searched for and played side by side: on a CPU more would leave its caches.
CPU_GROUP, ACCELERATOR_GROUP = 8, 128


@dataclass(frozen=True, kw_only=True)
class About:
    """Where demonstrations come from; JSON-ready.

    Attributes:
        instrument: its name.
        table: digest of its knobs.
        setup: of environment and reward, see `setup_for`.
        rest: names of the observed parts beside the pictures.
        stage: 1 to 5; 0 where the unlocked knobs are those of no stage.
        free: 1 for unlocked knobs.
        solver: that found the goals; `preset` where they are the targets' own presets.
        budget: renders asked for, of each search; 0 without searches.
        charged: renders charged for each search, gradients at their price; likewise.
        played: environment steps played in all, those after an episode's end included.
        episodes: of which there is a row.
        key: data of the key.
        disturbance: chance and spread.
        start_loss: median over episodes.
        goal_loss: median of the goals' losses, penalties included, as the solver heard them; of known presets
            as their episodes would hear them.
        best_loss: median of the best played sound.
        end_loss: median of the last one kept.
        terminated: share of episodes that came close enough.
        versions: of packages.
    """

    instrument: str
    table: str
    setup: dict[str, Any]
    rest: tuple[str, ...]
    stage: int
    free: tuple[int, ...]
    solver: str
    budget: int
    charged: int
    played: int
    episodes: int
    key: tuple[int, ...]
    disturbance: tuple[float, float]
    start_loss: float
    goal_loss: float
    best_loss: float
    end_loss: float
    terminated: float
    versions: dict[str, str]


@dataclass(frozen=True)
class Demonstrations:
    """Recorded episodes, one after the other.

    Attributes:
        rows: transitions as the replay stores them, of the actions carried out, labelled with the
            demonstrator's own choices, leaves `[n, ...]`.
        episode: the episode of each row, int32 `[n]`, from 0 and rising.
        about: where they come from.
    """

    rows: Rows
    episode: np.ndarray
    about: About

    @property
    def count(self) -> int:
        """Transitions, n."""
        return self.episode.shape[0]

    @property
    def labels(self) -> Labels:
        """The demonstrator's choices, leaves `[n, ...]`."""
        assert self.rows.labels is not None  # given by `record` and by the file
        return self.rows.labels

    @property
    def transitions(self) -> Transition:
        """The transitions, leaves `[n, ...]`; pictures in float32 take four times the memory."""
        return unpack(self.rows)


def setup_for(env: MatchEnv, params: EnvParams) -> dict[str, Any]:
    """What makes a transition mean the same: environment, size of a step, reward; JSON-ready."""
    weights = {name: float(value) for name, value in params.reward._asdict().items()}
    objective = {name: float(value) for name, value in vars(params.objective).items()}
    return setup_of(env) | {
        "steps": env.config.steps,
        "delta_max": float(params.delta_max),
        "reward": weights,
        "weights": objective,
    }


def record(
    env: MatchEnv,
    params: EnvParams,
    config: WarmConfig,
    key: jax.Array,
    *,
    sight: Sight | None = None,
    disturbance: Disturbance | None = None,
) -> Demonstrations:
    """Search, or take what is known, play and write down.

    Targets are drawn from the bucket without replacement; if more are asked for than there are, all of them
    come again.

    Args:
        env: the environment.
        params: of a stage and its bucket.
        config: how many, by which solver, at which budget.
        key: of everything random.
        sight: what is read of an observation, and whether a time limit counts as an end; by default what the
            environment offers, and not.
        disturbance: by default as in `Disturbance`.

    Raises:
        UserError: a number of demonstrations, a solver or a budget that cannot be, or known presets are asked
            for and the targets are recordings.
        KeyboardInterrupt: nothing is kept then.
    """
    count, noise = config.demonstrations, Disturbance() if disturbance is None else disturbance
    sight = sight_of(env.observation) if sight is None else sight
    if count < 1:
        raise UserError(f"demonstrations is {count}, allowed are 1 and more")
    _check_goals(params, config)
    order_key, run_key = jax.random.split(key)
    targets = jnp.shape(params.targets.notes.midi)[0]
    chosen = np.asarray(jax.random.permutation(order_key, targets))[np.arange(count) % targets]
    order = _order(env, params, config, chosen)
    size = min(count, CPU_GROUP if jax.default_backend() == "cpu" else ACCELERATOR_GROUP)
    parts, charged = [], 0
    for first in range(0, count, size):
        place = order[np.minimum(first + np.arange(size), count - 1)]
        keys = jax.vmap(lambda i: jax.random.fold_in(run_key, i))(jnp.asarray(place))
        group = _Group(env, params, jnp.asarray(chosen[place]), keys)
        played, charged = _play_group(group, config, sight, noise)
        parts.append(played)
    found = _in_order(parts, order)
    about = {
        "rest": sight.vectors,
        "solver": config.solver,
        "budget": 0 if config.solver == PRESET else config.budget,
        "charged": charged,
        "key": tuple(int(x) for x in np.ravel(jax.random.key_data(key))),
        "disturbance": (float(noise.chance), float(noise.spread)),
    }
    return _described(env, params, found, about)


def _check_goals(params: EnvParams, config: WarmConfig) -> None:
    if config.solver == PRESET and params.targets.u is None:
        raise UserError(
            f"warm.solver is {PRESET!r}, but the targets are recordings, whose presets nobody knows; "
            "allowed with them are hybrid, cma_es, adam"
        )


def _order(env: MatchEnv, params: EnvParams, config: WarmConfig, chosen: np.ndarray) -> np.ndarray:
    """The order in which episodes are recorded: where goals are known, those of a length side by side."""
    if config.solver != PRESET:
        return np.arange(len(chosen))
    goals = np.asarray(params.targets.u)[chosen]
    return np.argsort(expected_steps(env, params, goals), kind="stable")


class _Group(NamedTuple):
    """Episodes to record side by side.

    Attributes:
        env: the environment.
        params: shared by all.
        index: places of the targets, `[G]`.
        keys: one an episode, `[G]`.
    """

    env: MatchEnv
    params: EnvParams
    index: jax.Array
    keys: jax.Array


def _play_group(
    group: _Group,
    config: WarmConfig,
    sight: Sight,
    disturbance: Disturbance,
) -> tuple[Episodes, int]:
    """Episodes of a group, and the renders charged for each search."""
    env, params, index, keys = group
    start_keys, seek_keys, play_keys = jax.vmap(lambda k: jax.random.split(k, 3), out_axes=1)(keys)
    begun = _reset(env)(start_keys, params, index)
    if config.solver == PRESET:
        goals, losses, charged = *known(env, begun[1], params), 0
    else:
        try:
            found = seek(env, begun[1], params, seek_keys, solver=config.solver, budget=config.budget)
        except ValueError as error:
            raise UserError(f"warm start: {error}") from None
        goals, losses, charged = jnp.asarray(found.u), jnp.asarray(found.loss), round(found.charged)
    return play_out(env, params, begun, Way(goals, disturbance, play_keys), losses, sight=sight), charged


@functools.lru_cache(maxsize=8)
def _reset(env: MatchEnv) -> Callable[..., Any]:
    """Compiled: resets, side by side."""
    return jax.jit(jax.vmap(env.reset_at, in_axes=(0, None, 0)))


def _in_order(parts: list[Episodes], order: np.ndarray) -> Episodes:
    """Groups recorded in some order as one, by the episodes' numbers; empties `parts`.

    What fills up the last group is dropped. Arrays are made and groups let go one leaf at a time, so that
    hardly more memory is needed than for the result.
    """
    count = len(order)
    each = {
        name: np.concatenate([np.asarray(getattr(part, name)) for part in parts])[:count]
        for name in ("lengths", "start_loss", "goal_loss", "best_loss", "end_loss", "solved")
    }
    back = np.argsort(order)
    ordered = {name: x[back] for name, x in each.items()}
    first_row = np.cumsum(ordered["lengths"]) - ordered["lengths"]
    # Of every recorded row its place in the result; what is dropped has none.
    place = np.repeat(first_row[order], each["lengths"]) + _counted(each["lengths"])
    leaves = [jax.tree.flatten(part.rows) for part in parts]
    tree, columns = leaves[0][1], [list(x) for x in zip(*(leaf for leaf, _ in leaves), strict=True)]
    steps = sum(part.steps * len(part.lengths) for part in parts)
    parts.clear()
    del leaves
    rows = jax.tree.unflatten(tree, [_placed(columns, i, place) for i in range(len(columns))])
    return Episodes(rows, **ordered, steps=steps)


def _counted(lengths: np.ndarray) -> np.ndarray:
    """0, 1, ... anew for every length, one after the other."""
    return np.arange(lengths.sum()) - np.repeat(np.cumsum(lengths) - lengths, lengths)


def _placed(columns: list[list[np.ndarray]], i: int, place: np.ndarray) -> np.ndarray:
    """Column i with every row at its place; empties it."""
    column, done = columns[i], 0
    made = np.empty((len(place), *column[0].shape[1:]), column[0].dtype)
    column.reverse()
    while column:
        part = column.pop()[: len(place) - done]
        made[place[done : done + len(part)]] = part
        done += len(part)
    return made


def _described(env: MatchEnv, params: EnvParams, found: Episodes, asked: Mapping[str, Any]) -> Demonstrations:
    """Recorded episodes, and what there is to say of them beside what was asked for."""
    episodes = len(found.lengths)
    about = About(
        instrument=env.instrument.name,
        table=table_digest(env.instrument.table),
        setup=setup_for(env, params),
        stage=_stage_of(env, params),
        free=tuple(int(x) for x in np.asarray(params.free) > 0),
        played=found.steps,
        episodes=episodes,
        start_loss=float(np.median(found.start_loss)),
        goal_loss=float(np.median(found.goal_loss)),
        best_loss=float(np.median(found.best_loss)),
        end_loss=float(np.median(found.end_loss)),
        terminated=float(np.mean(found.solved)),
        versions=versions(),
        **asked,
    )
    numbers = np.repeat(np.arange(episodes, dtype=np.int32), found.lengths)
    return Demonstrations(found.rows, numbers, about)


def _stage_of(env: MatchEnv, params: EnvParams) -> int:
    """The stage that unlocks these knobs, 0 if none does; the lowest where some add nothing."""
    free = np.asarray(params.free)
    numbers = range(1, len(stages_of(env.instrument)) + 1)
    same = (number for number in numbers if np.array_equal(free, env.stage_mask(number)))
    return next(same, 0)
