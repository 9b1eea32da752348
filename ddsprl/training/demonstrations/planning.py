"""What a demonstrator wants and how it gets there: a goal, known or found by a solver, and edits towards it.

**The goal.** Where a target was made from a preset, that preset may be the goal (`known`): no search, and a
demonstration costs no more than playing it. Otherwise (`seek`) a solver of `ddsprl.fitting` searches for an
episode's target with the stage's knobs, through the driver of that room, and hears what the environment
hears: the same loss with the same penalties, locked knobs at the episode's values. It starts from the
episode's own start and some random presets, and every render is charged. Its best preset is the goal, and the
only waypoint: presets that a search went through on the way are worse and lie to the side.

**The edits.** With the gap g = goal - u over the unlocked knobs, a step chooses the module whose gap has the
largest Euclidean norm and asks for

    delta = clip(g / delta_max, -1, 1)

for each knob of it. A discrete knob is led to the middle of its choice, where noise does not change what is
heard, and its gap counts as 0 as soon as the goal's choice is heard, since any further move is inaudible.

**The disturbance.** A perfect demonstrator never shows how to come back from a mistake. So, as in Laskey et
al. 2017, "DART: Noise Injection for Robust Imitation Learning" (arXiv:1703.09327, section 3), noise is
injected into what is carried out while what is written down as the demonstrator's choice, the label, stays
clean. Here a step is disturbed with a fixed chance; then a module is drawn uniformly among the allowed ones
and normal noise is added to its clean delta. Steps between are undisturbed, so that the goal is reached
nevertheless.
"""

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from ddsprl.agents import action_spec
from ddsprl.agents.types import ActionSpec
from ddsprl.env import EnvParams, EnvState, MatchEnv
from ddsprl.env.match.types import Episode
from ddsprl.fitting.core.archive import BAD_LOSS
from ddsprl.fitting.core.problem import GRADIENT_SAMPLES, SCORE_SAMPLES, chunk_size
from ddsprl.fitting.core.solve import Solution, solve
from ddsprl.fitting.core.solver import Space, space_of
from ddsprl.fitting.solvers.registry import make_solver
from ddsprl.plant import in_chunks

# The name that stands for no solver: the goal is the target's own preset.
PRESET = "preset"
# Presets at which a search starts, the episode's own among them.
STARTS = 16
# Settings for budgets of some hundreds of renders, where the registry's are for thousands.
SMALL: dict[str, Mapping[str, Any]] = {
    "hybrid": {},
    "cma_es": {"population": 16},
    "adam": {"members": 4},
}


class Task(NamedTuple):
    """What a solver works on: one episode.

    Attributes:
        episode: of the environment.
        locked: values of the locked knobs, `[d]`.
        params: of the environment, without targets.
    """

    episode: Episode
    locked: jax.Array
    params: EnvParams


def task_of(state: EnvState, params: EnvParams) -> Task:
    """The task of an episode that has just begun: its locked knobs stay where they are."""
    return Task(state.episode, state.u, params._replace(targets=None))  # pyright: ignore[reportArgumentType]


@dataclass(frozen=True)
class EpisodeProblem:
    """An environment as a solver sees it, all its probes included; static and hashable.

    Attributes:
        env: the environment.
    """

    env: MatchEnv

    def space(self, target: Task) -> Space:
        """The knobs of an episode."""
        return space_of(self.env.instrument.table, target.episode.free, target.locked)

    def snap(self, u: jax.Array) -> jax.Array:
        """Positions `[..., d]` with discrete knobs at their nearest choice."""
        return self.env.instrument.snap(u)

    def loss(self, u: jax.Array, target: Task, key: jax.Array) -> jax.Array:
        """What the environment would take off the reward for a sound: loss and penalties, scalar."""
        judged = self.env.judge(u, target.episode, target.params, key)
        total = judged.loss + sum(judged.penalties.values(), jnp.zeros_like(judged.loss))
        return jnp.where(jnp.isfinite(total), total, BAD_LOSS)

    def scores(self, u: jax.Array, target: Task, key: jax.Array) -> jax.Array:
        """Losses of positions `[m, d]`, `[m]`."""
        return in_chunks(lambda x: self.loss(x, target, key), self._chunk(SCORE_SAMPLES), u)

    def gradients(self, u: jax.Array, target: Task, key: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Losses `[m]` and gradients `[m, d]`."""
        slope_of = jax.value_and_grad(lambda x: self.loss(x, target, key))
        return in_chunks(slope_of, self._chunk(GRADIENT_SAMPLES), u)

    def _chunk(self, samples: int) -> int:
        return chunk_size(samples, self.env.instrument.n_samples * self.env.config.probes)


def seek(
    env: MatchEnv,
    states: EnvState,
    params: EnvParams,
    keys: jax.Array,
    *,
    solver: str,
    budget: int,
) -> Solution:
    """Goals for episodes that have just begun, side by side.

    Args:
        env: the environment.
        states: of the episodes, leaves `[G, ...]`.
        params: shared by all.
        keys: one an episode, `[G]`.
        solver: a name of the registry; its settings are those in `SMALL`.
        budget: renders of each search.

    Raises:
        ValueError: no such solver, or a budget below `STARTS`.
        KeyboardInterrupt: the search was cut short.
    """
    chosen = make_solver(solver, **SMALL.get(solver, {}))
    tasks, starts, solving = _beginner(env)(states, params, keys)
    found = solve(EpisodeProblem(env), chosen, tasks, starts, solving, budget=budget)
    if found.interrupted:
        raise KeyboardInterrupt
    return found


def known(env: MatchEnv, states: EnvState, params: EnvParams) -> tuple[jax.Array, jax.Array]:
    """The targets' own presets as goals, snapped, `[G, d]`, and their losses `[G]`, penalties included.

    Each is heard once, as its episode would hear it, so that the record can say how good a goal it is.

    Args:
        env: the environment.
        states: of episodes that have just begun and whose targets' knobs are known, leaves `[G, ...]`.
        params: shared by all.
    """
    return _knower(env)(states, params)


@functools.lru_cache(maxsize=8)
def _knower(env: MatchEnv) -> Callable[..., tuple[jax.Array, jax.Array]]:
    def one(state, params):
        goal = env.instrument.snap(state.episode.u)
        return goal, EpisodeProblem(env).loss(goal, task_of(state, params), state.episode.render_key)

    return jax.jit(jax.vmap(one, in_axes=(0, None)))


def expected_steps(env: MatchEnv, params: EnvParams, goals: np.ndarray) -> np.ndarray:
    """Undisturbed steps from the neutral patch to within one step of goals `[n, d]`; whole numbers, `[n]`.

    Args:
        env: the environment.
        params: shared by all.
        goals: presets.
    """
    belongs = action_spec(env.action).belongs
    gap = np.abs(goals - np.asarray(env.instrument.default)) * (np.asarray(params.free) > 0)
    return np.ceil((belongs * gap[:, None, :]).max(axis=2) / float(params.delta_max)).sum(axis=1)


@functools.lru_cache(maxsize=8)
def _beginner(env: MatchEnv) -> Callable[..., tuple[Task, jax.Array, jax.Array]]:
    """Compiled: tasks, starts `[G, STARTS, d]` and the solver's keys `[G]`."""

    def one(state, params, key):
        drawing, solving = jax.random.split(key)
        drawn = jax.random.uniform(drawing, (STARTS - 1, env.n_params), state.u.dtype)
        return task_of(state, params), jnp.concatenate([state.u[None], drawn]), solving

    return jax.jit(jax.vmap(one, in_axes=(0, None, 0)))


class Edit(NamedTuple):
    """A choice of the demonstrator.

    Attributes:
        module: scalar int.
        delta: of all unlocked knobs, `[d]` in [-1, 1]: what it would do in any module that was chosen.
        farthest: scalar, the largest gap of an unlocked knob, in knob positions.
    """

    module: jax.Array
    delta: jax.Array
    farthest: jax.Array


def edit_towards(
    goal: jax.Array, state: EnvState, params: EnvParams, env: MatchEnv, actions: ActionSpec
) -> Edit:
    """The clean choice at a state.

    Args:
        goal: preset, snapped, `[d]`.
        state: of the episode.
        params: of the environment.
        env: the environment.
        actions: its modules and knobs.
    """
    discrete = jnp.asarray(np.array([spec.choices > 0 for spec in env.instrument.table]))
    heard = jnp.abs(env.instrument.snap(state.u) - goal) < 1e-4
    free = state.episode.free
    gap = jnp.where((free > 0) & ~(discrete & heard), goal - state.u, 0.0)
    allowed = actions.allowed(free)
    # Barred modules have no gap, and must not win a tie of zeros.
    far = jnp.where(allowed.modules > 0, actions.per_module(jnp.square(gap), allowed), -1.0)
    delta = jnp.clip(gap / params.delta_max, -1.0, 1.0)
    return Edit(jnp.argmax(far).astype(jnp.int32), delta, jnp.max(jnp.abs(gap)))


class Disturbance(NamedTuple):
    """Noise in what is carried out.

    Attributes:
        chance: of a step to be disturbed.
        spread: standard deviation of the noise in the deltas.
    """

    chance: Any = 0.25
    spread: Any = 0.5


def carried_out(
    key: jax.Array, edit: Edit, free: jax.Array, actions: ActionSpec, disturbance: Disturbance
) -> tuple[jax.Array, jax.Array]:
    """Module (scalar) and delta `[d]` as played: of the module's unlocked knobs, zero elsewhere."""
    hit_key, module_key, noise_key = jax.random.split(key, 3)
    allowed = actions.allowed(free)
    hit = jax.random.bernoulli(hit_key, disturbance.chance)
    stray = jax.random.categorical(module_key, jnp.where(allowed.modules > 0, 0.0, -jnp.inf))
    module = jnp.where(hit, stray, edit.module).astype(jnp.int32)
    noise = disturbance.spread * jax.random.normal(noise_key, edit.delta.shape, edit.delta.dtype)
    delta = jnp.where(hit, jnp.clip(edit.delta + noise, -1.0, 1.0), edit.delta)
    return module, actions.shown(delta, allowed)[module]
