"""What an agent is compared with on a suite: nothing, chance, guesses, and CMA-ES over the unlocked knobs.

All end alike: with the best preset by the method's own hearing within its renders, which is then judged.
"""

import time

import jax
import numpy as np

from ddsprl.evaluation.hearing import hear_own, snapped
from ddsprl.evaluation.playing import RandomActions, play
from ddsprl.evaluation.search import Found, Progress, cma_es
from ddsprl.evaluation.suites import Stream, Suite
from ddsprl.evaluation.tuning import tuned
from ddsprl.fitting.guess.of_targets import guessed_points

EPISODE_RENDERS = 50


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
        key = jax.random.fold_in(suite.key(Stream.SEARCH), 2)
        knobs = np.asarray(guessed_points(suite.env, suite.params, key, renders))[..., suite.knobs]
        u = snapped(suite, suite.filled(knobs))
        losses = hear_own(suite, u)
    curve = np.minimum.accumulate(losses, axis=1)
    best = u[np.arange(suite.count), losses.argmin(axis=1)]
    return Found(best, curve, renders, time.perf_counter() - began)


def tuned_cma_es(
    suite: Suite, *, budget: int, timed: bool = False, progress: Progress | None = None
) -> Found:
    """CMA-ES with the settings that were tuned for the stage and the budget."""
    setting = tuned(suite.env, suite.stage, budget)
    return cma_es(suite, setting, budget=budget, timed=timed, progress=progress)
