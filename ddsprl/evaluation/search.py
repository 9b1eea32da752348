"""CMA-ES of the fitting registry on a suite: all targets side by side, over the unlocked knobs only.

The solver sees a space of the `k` unlocked knobs, so locked ones cost it nothing. Starts, turns of the loop
and the last hearing of finalists are those of `ddsprl.fitting.core.driver`; only the hearing is the suite's,
so that one compiled program serves all settings, budgets and stages.
"""

import functools
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from ddsprl.evaluation.hearing import hear, hear_own, snapped
from ddsprl.evaluation.suites import Stream, Suite
from ddsprl.fitting.core import driver
from ddsprl.fitting.core.budget import plan_budget, whole
from ddsprl.fitting.core.solver import Answer, Query, Solver, Space
from ddsprl.fitting.core.streams import named
from ddsprl.fitting.solvers.registry import make_solver

Progress = Callable[[int, int, float], None]


@dataclass(frozen=True)
class Setting:
    """How CMA-ES is run; what is tuned.

    Attributes:
        start: random presets scored first, whose best is where it begins; 0 begins at the neutral patch.
        population: presets scored in one iteration.
        sigma: standard deviation of the first generation, in knob positions; a search that begins anew after
            a collapse has the registry's.
    """

    start: int
    population: int
    sigma: float

    @property
    def starts(self) -> int:
        """Renders spent before the first generation."""
        return max(1, self.start)

    @property
    def label(self) -> str:
        """A short name."""
        start = f"best of {self.start} random" if self.start else "neutral patch"
        return f"from the {start}, population {self.population}, sigma {self.sigma:g}"


class Found(NamedTuple):
    """What a search found.

    Attributes:
        u: the best presets by its own hearing, snapped, `[n, d]`.
        curve: best loss so far after each render that was heard once, `[n, renders]`.
        renders: spent on one target, those of finalists heard again included.
        seconds: of wall clock for all targets, compiling left out.
    """

    u: np.ndarray
    curve: np.ndarray
    renders: int
    seconds: float


class _Programs(NamedTuple):
    """The driver's parts of one solver, over targets."""

    begin: Any
    ask: Any
    tell: Any
    again: Any


def cma_es(
    suite: Suite, setting: Setting, *, budget: int, timed: bool = False, progress: Progress | None = None
) -> Found:
    """Spend a budget on every target of a suite.

    Args:
        suite: of a stage.
        setting: of the search.
        budget: renders for each target.
        timed: whether to compile in a short search first, so that `seconds` are of searching alone.
        progress: called with renders done, the budget, and the mean of the best losses.

    Raises:
        ValueError: the budget does not pay for the starts and one generation.
    """
    least = setting.starts + setting.population
    if budget < least:
        raise ValueError(f"a budget of {budget} renders is less than starts and one generation, {least}")
    if timed:
        _search(suite, setting, least, None)
    return _search(suite, setting, budget, progress)


def _search(suite: Suite, setting: Setting, budget: int, progress: Progress | None) -> Found:
    began = time.perf_counter()
    solver = make_solver("cma_es", population=setting.population)
    programs, space = _programs(solver), _space(suite)
    keys = jax.vmap(driver.keys_of)(suite.keys(Stream.SEARCH))
    starts = _starts(suite, setting)
    losses = [hear_own(suite, suite.filled(starts))]
    run = programs.begin(starts, losses[0], space, keys, np.float32(setting.sigma))
    plan = plan_budget(solver, budget, setting.starts, 1)
    for i in range(plan.total):
        query, run = programs.ask(run, keys, whole(plan.total))
        heard = _heard(suite, np.asarray(query.score))
        losses.append(hear_own(suite, suite.filled(heard)))
        run = programs.tell(run, query, *_told(heard, losses[-1]), keys)
        if progress is not None:
            done = setting.starts + (i + 1) * setting.population
            progress(done, budget, float(np.mean([x.min() for x in np.asarray(run.archive.loss)])))
    archive = _heard_again(suite, programs, run, keys, plan.left)
    curve = np.minimum.accumulate(np.concatenate(losses, axis=1), axis=1)
    best = suite.filled(np.asarray(archive.u[:, 0]))
    return Found(best, curve, budget, time.perf_counter() - began)


def _starts(suite: Suite, setting: Setting) -> np.ndarray:
    """Where searches begin, unlocked knobs, snapped, `[n, starts, k]`."""
    if not setting.start:
        return suite.start[:, None, suite.knobs]
    (key,) = named(suite.key(Stream.SEARCH), "start")
    return _heard(suite, np.asarray(jax.random.uniform(key, (suite.count, setting.start, len(suite.knobs)))))


def _heard(suite: Suite, knobs: np.ndarray) -> np.ndarray:
    """Positions of the unlocked knobs as they are heard: snapped, `[n, m, k]`."""
    return snapped(suite, suite.filled(knobs))[..., suite.knobs]


def _heard_again(suite: Suite, programs: _Programs, run: driver.Run, keys: driver.Keys, left: int) -> Any:
    """The finalists, after what was left of the budget was spent on hearing them once more."""
    if not left:
        return run.archive
    places = np.arange(left) % driver.FINALISTS
    again = np.asarray(run.archive.u)[:, places]
    # One key a turn, as in the driver; never the judge's.
    turns = jax.vmap(lambda key: jax.vmap(lambda t: jax.random.fold_in(key, t))(jnp.arange(left)))
    noise = turns(keys.judge)[:, np.arange(left) // driver.FINALISTS]
    return programs.again(run.archive, hear(suite, suite.filled(again), noise).loss, left)


def _space(suite: Suite) -> Space:
    table = suite.env.instrument.table
    choices = jnp.asarray([float(table[i].choices) for i in suite.knobs])
    return Space(jnp.ones(len(suite.knobs)), jnp.zeros(len(suite.knobs)), choices)


def _told(heard: np.ndarray, loss: np.ndarray) -> tuple[Query, Answer]:
    """What was heard, and the losses of it: scores only, no slopes."""
    n, _, k = heard.shape
    slopes, nothing = jnp.zeros((n, 0, k)), jnp.zeros((n, 0))
    return Query(jnp.asarray(heard), slopes), Answer(jnp.asarray(loss, jnp.float32), nothing, slopes)


def _first_run(
    solver: Solver, starts: jax.Array, raw: jax.Array, space: Space, keys: driver.Keys, sigma: jax.Array
) -> driver.Run:
    """The driver's first state with its spread as data, so that a grid of spreads compiles once."""
    run = driver.first_run(solver, starts, raw, space, keys)
    inner = run.state.inner
    return run._replace(state=run.state._replace(inner=inner.replace(std=jnp.full_like(inner.std, sigma))))


@functools.lru_cache(maxsize=64)
def _programs(solver: Solver) -> _Programs:
    """Compiled anew for other numbers of knobs and targets."""
    return _Programs(
        jax.jit(jax.vmap(functools.partial(_first_run, solver), (0, 0, None, 0, None))),
        jax.jit(jax.vmap(functools.partial(driver.asked, solver), (0, 0, None))),
        jax.jit(jax.vmap(functools.partial(driver.told, solver))),
        jax.jit(jax.vmap(driver.averaged, (0, 0, None))),
    )
