"""The methods of an evaluation, and one piece of work for each of them on a suite."""

import functools
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from ddsprl.agents.playing import Player, playing
from ddsprl.env import MatchEnv
from ddsprl.evaluation import baselines
from ddsprl.evaluation.hearing import judge
from ddsprl.evaluation.playing import play
from ddsprl.evaluation.search import Found, Progress
from ddsprl.evaluation.suites import Suite
from ddsprl.evaluation.tuning import tuned
from ddsprl.fitting.guess.model import load_guess
from ddsprl.fitting.guess.of_targets import fits

AGENT, POLICY = "agent", "agent, policy alone"
NOTHING, RANDOM, GUESSES = "do nothing", "random actions", "guesses"
Arrays = dict[str, np.ndarray]


class Piece(NamedTuple):
    """A method's work on a suite.

    Attributes:
        numbers: as JSON holds them.
        arrays: `u [n, d]`, `loss [n]`, `curve [n, renders]`, `terms.NAME [n]`; of an agent also `knobs`,
            `losses`, `modules` and `lengths` of its episodes.
    """

    numbers: dict[str, Any]
    arrays: Arrays


Method = Callable[[Suite, Progress | None], Piece]


def cma_es_name(budget: int) -> str:
    """What CMA-ES with a budget is called."""
    return f"CMA-ES, {budget:,} renders"


def methods(budgets: tuple[int, ...], player: Player | None, env: MatchEnv) -> dict[str, Method]:
    """All methods by name, in the order in which they are shown.

    Args:
        budgets: of CMA-ES.
        player: an agent, if there is one.
        env: the environment; guesses are for one instrument only.
    """
    found: dict[str, Method] = {}
    if player is not None:
        found[AGENT] = lambda suite, _: agent(suite, player, returns=True)
        found[POLICY] = lambda suite, _: agent(suite, player, returns=False)
    found |= {NOTHING: lambda suite, _: do_nothing(suite), RANDOM: lambda suite, _: random_actions(suite)}
    if fits(load_guess(None), env):
        found[GUESSES] = lambda suite, _: guesses(suite)
    for budget in budgets:

        def search(suite: Suite, progress: Progress | None, budget: int = budget) -> Piece:
            return cma_es(suite, budget, progress)

        found[cma_es_name(budget)] = search
    return found


def agent(suite: Suite, player: Player, *, returns: bool) -> Piece:
    """Episodes of the agent, and the best of their first 50 renders."""
    episodes = play(suite, playing(player), (player.state, jnp.asarray(returns)), timed=True)
    u, curve = episodes.best(suite, baselines.EPISODE_RENDERS)
    extra = {name: getattr(episodes, name) for name in ("knobs", "modules", "lengths", "returns")}
    piece = _piece(suite, Found(u, curve, curve.shape[1], episodes.seconds), {})
    # Infinite after the end, which the file may hold and JSON may not.
    return Piece(piece.numbers, piece.arrays | extra | {"losses": episodes.losses})


def do_nothing(suite: Suite) -> Piece:
    """The start of every episode."""
    return _piece(suite, baselines.do_nothing(suite), {})


def random_actions(suite: Suite) -> Piece:
    """Episodes of random actions."""
    return _piece(suite, baselines.random_actions(suite, timed=True), {})


def guesses(suite: Suite) -> Piece:
    """The best of what the shipped guess says."""
    return _piece(suite, baselines.guesses(suite, timed=True), {})


def cma_es(suite: Suite, budget: int, progress: Progress | None) -> Piece:
    """Tuned CMA-ES."""
    setting = tuned(suite.env.config, suite.stage, budget)
    found = baselines.tuned_cma_es(suite, budget=budget, timed=True, progress=progress)
    return _piece(suite, found, {"setting": vars(setting), "label": setting.label})


def _piece(suite: Suite, found: Found, about: Mapping[str, Any]) -> Piece:
    """A method's result, judged."""
    verdict = judge(suite, found.u)
    numbers = {"renders": found.renders, "seconds": found.seconds, "targets": suite.count, **about}
    arrays = {"u": found.u, "loss": verdict.loss, "curve": found.curve}
    return Piece(numbers, arrays | {f"terms.{name}": x for name, x in verdict.terms.items()})


def sound(suite: Suite, u: np.ndarray, index: int) -> np.ndarray:
    """What a preset `[d]` sounds like in the episode of a target, its probes one after the other, `[n]`."""
    episode = jax.tree.map(lambda x: x[index], suite.episodes)
    audio = _render(suite.env)(jnp.asarray(u), episode.notes, episode.render_key)
    return np.asarray(audio).reshape(-1)


def target_sound(suite: Suite, index: int) -> np.ndarray:
    """The sound of a target, likewise."""
    episode = jax.tree.map(lambda x: x[index], suite.episodes)
    audio = _render(suite.env)(episode.u, episode.notes, episode.target_key)
    return np.asarray(audio).reshape(-1)


@functools.lru_cache(maxsize=4)
def _render(env: MatchEnv) -> Any:
    return jax.jit(env.render)
