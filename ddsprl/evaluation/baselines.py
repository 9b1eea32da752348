"""What an agent is compared with on a suite: nothing, chance, and CMA-ES over the same unlocked knobs.

All end alike: with the best preset by the method's own hearing within its renders, which is then judged.
"""

import time

from ddsprl.evaluation.hearing import hear_own, snapped
from ddsprl.evaluation.playing import RandomActions, play
from ddsprl.evaluation.search import Found, Progress, cma_es
from ddsprl.evaluation.suites import Suite
from ddsprl.evaluation.tuning import tuned

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


def tuned_cma_es(
    suite: Suite, *, budget: int, timed: bool = False, progress: Progress | None = None
) -> Found:
    """CMA-ES with the settings that were tuned for the stage and the budget."""
    setting = tuned(suite.env.config, suite.stage, budget)
    return cma_es(suite, setting, budget=budget, timed=timed, progress=progress)
