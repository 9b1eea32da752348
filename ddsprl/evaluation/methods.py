"""The methods of an evaluation, and one piece of work for each of them on a suite.

An agent is compared with nothing, chance, guesses, and CMA-ES over the unlocked knobs. All end alike: with
the best preset by the method's own hearing within its renders, which is then judged.
"""

import functools
import time
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from ddsprl.agents.playing import Player, playing
from ddsprl.env import MatchEnv
from ddsprl.evaluation import search
from ddsprl.evaluation.hearing import hear_own, judge, references, snapped
from ddsprl.evaluation.playing import RandomActions, play
from ddsprl.evaluation.search import Found, Progress
from ddsprl.evaluation.suites import Stream, Suite
from ddsprl.evaluation.tuning import tuned
from ddsprl.fitting.core.streams import named
from ddsprl.fitting.guess.model import why_no_guess
from ddsprl.fitting.guess.of_targets import guessed_points

AGENT, POLICY = "agent", "agent, policy alone"
NOTHING, RANDOM, GUESSES = "do nothing", "random actions", "guesses"
EPISODE_RENDERS = 50
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
    found[NOTHING] = lambda suite, _: _piece(suite, do_nothing(suite), {})
    found[RANDOM] = lambda suite, _: _piece(suite, random_actions(suite, timed=True), {})
    if why_no_guess(env.instrument) is None:
        found[GUESSES] = lambda suite, _: _piece(suite, guesses(suite, timed=True), {})
    for budget in budgets:
        found[cma_es_name(budget)] = functools.partial(cma_es, budget)
    return found


def reference_piece(suite: Suite) -> Piece:
    """What the targets of a suite are measured against."""
    found = references(suite)
    judged = {"floor": found.floor, "random": found.random}
    arrays = {name: heard.loss for name, heard in judged.items()}
    for name, heard in judged.items():
        arrays |= {f"{name}_terms.{term}": x for term, x in heard.terms.items()}
    notes = suite.episodes.notes
    arrays |= {"midi": np.asarray(notes.midi), "gate_s": np.asarray(notes.gate_s)}
    arrays |= {"own": found.own, "u": found.u, "truth": suite.truth, "epsilon": suite.epsilon}
    return Piece({"rejected": suite.rejected}, arrays)


def agent(suite: Suite, player: Player, *, returns: bool) -> Piece:
    """Episodes of the agent, and the best of their first 50 renders."""
    episodes = play(suite, playing(player), (player.state, jnp.asarray(returns)), timed=True)
    u, curve = episodes.best(suite, EPISODE_RENDERS)
    extra = {name: getattr(episodes, name) for name in ("knobs", "modules", "lengths", "returns")}
    piece = _piece(suite, Found(u, curve, curve.shape[1], episodes.seconds), {})
    # Infinite after the end, which the file may hold and JSON may not.
    return Piece(piece.numbers, piece.arrays | extra | {"losses": episodes.losses})


def do_nothing(suite: Suite) -> Found:
    """The neutral patch, locked knobs as in the target; one render."""
    began = time.perf_counter()
    curve = hear_own(suite, suite.start[:, None])
    return Found(snapped(suite, suite.start), curve, 1, time.perf_counter() - began)


def random_actions(suite: Suite, *, renders: int = EPISODE_RENDERS, timed: bool = False) -> Found:
    """Episodes of random modules and uniform deltas."""
    episodes = play(suite, RandomActions(suite.env), None, timed=timed)
    u, curve = episodes.best(suite, renders)
    return Found(u, curve, curve.shape[1], episodes.seconds)


def guesses(suite: Suite, *, renders: int = EPISODE_RENDERS, timed: bool = False) -> Found:
    """What an agent is told that observes a guess, and nothing else: the network's means, then its draws.

    The network's distribution is over all knobs; of its presets the unlocked knobs are taken.
    """
    began = time.perf_counter()
    for _ in range(2 if timed else 1):
        began = time.perf_counter()
        (key,) = named(suite.key(Stream.SEARCH), "guess")
        knobs = np.asarray(guessed_points(suite.env, suite.params, key, renders))[..., suite.knobs]
        u = snapped(suite, suite.filled(knobs))
        losses = hear_own(suite, u)
    curve = np.minimum.accumulate(losses, axis=1)
    best = u[np.arange(suite.count), losses.argmin(axis=1)]
    return Found(best, curve, renders, time.perf_counter() - began)


def cma_es(budget: int, suite: Suite, progress: Progress | None) -> Piece:
    """CMA-ES with the settings that were tuned for the stage and the budget."""
    setting = tuned(suite.env, suite.stage, budget)
    found = search.cma_es(suite, setting, budget=budget, timed=True, progress=progress)
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
