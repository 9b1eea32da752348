"""An objective in stages: coarse features first, the whole at the end, as a pure function of progress.

    target = target._replace(weights=staged_weights(progress, STAGES))
    found = solve_in_stages(problem, MultiStartAdam(), targets, starts, keys, budget=4000)

Weights are traced, so nothing is compiled again. Stages are knots: between two of them every weight is
interpolated linearly, and from the last knot on it is the last stage's. `STAGES` ends exactly at the default
weights, so that final losses are those of any other search.

No search uses stages unless asked to: they did not pay, measured on random presets with plain descent
(`python benchmarks/stages.py`, figures in benchmarks/results/stages.json).
"""

from functools import lru_cache, partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from ddsprl.fitting.core import driver
from ddsprl.fitting.core.archive import Members
from ddsprl.fitting.core.budget import GRADIENT_COST, plan_budget, whole
from ddsprl.fitting.core.driver import FINALISTS, SEGMENT
from ddsprl.fitting.core.problem import Problem, Target
from ddsprl.fitting.core.programs import over_targets
from ddsprl.fitting.core.solver import Solver
from ddsprl.losses.objective import ObjectiveWeights
from ddsprl.losses.registry import TERMS

# Parts of the budget with constant weights; the last one has the weights of progress 1.
LEGS = 10


class Stage(NamedTuple):
    """Weights that hold at a share of the budget.

    Attributes:
        progress: share of the budget spent, in [0, 1].
        weights: of the terms.
    """

    progress: float
    weights: ObjectiveWeights


FINE = ObjectiveWeights()
# No fine structure of the spectrum: level, its course, and where the energy lies. The weights are raised so
# that the sum of the terms stays about what it is with the full set, and a step size keeps its meaning.
COARSE = ObjectiveWeights(mr=0.0, mfcc=0.05, cent=0.9, loud=0.15, log_mel=0.06, envelope=0.12, transport=1.0)
STAGES = (Stage(0.0, COARSE), Stage(0.2, COARSE), Stage(0.5, FINE))
"""Coarse for a fifth of the budget, then a gradual change; the default weights from half of it on."""


def staged_weights(progress: jax.Array | float, stages: tuple[Stage, ...] = STAGES) -> ObjectiveWeights:
    """Weights at a share of the budget.

    Args:
        progress: in [0, 1], may be traced.
        stages: in order of progress.

    Raises:
        ValueError: no stage, or their progress falls.
    """
    knots = [stage.progress for stage in stages]
    if not stages or any(b < a for a, b in zip(knots, knots[1:], strict=False)):
        raise ValueError(f"stages at {knots}; there must be one or more, in order of progress")
    at = jnp.asarray(progress, jnp.float32)
    tables = {name: jnp.asarray([getattr(stage.weights, name) for stage in stages]) for name in TERMS}
    return ObjectiveWeights(**{n: jnp.interp(at, jnp.asarray(knots), v) for n, v in tables.items()})


def solve_in_stages(
    problem: Problem,
    solver: Solver,
    targets: Target,
    starts: np.ndarray | jax.Array,
    keys: jax.Array,
    *,
    budget: int,
    stages: tuple[Stage, ...] = STAGES,
    gradient_cost: int = GRADIENT_COST,
) -> Members:
    """Spend a budget on each of G targets while their weights follow the stages; the archive, best first.

    The weights stand still for a leg. Between legs the finalists are scored again with the new weights, and
    charged. A solver that remembers losses (evolution, the hybrid) would compare losses of different legs:
    plain descent does not.

    Args:
        problem: hashable.
        solver: hashable, one of one leg that remembers no losses.
        targets: leaves `[G, ...]`; their weights are replaced.
        starts: positions to begin at, `[G, k, d]`; charged.
        keys: one PRNG key a target, `[G]`.
        budget: renders for each target.
        stages: see `staged_weights`.
        gradient_cost: renders that a gradient is charged as.

    Returns:
        Presets `[G, finalists, d]` with their losses at the weights of the last leg.

    Raises:
        ValueError: the budget does not pay for the starts and the finalists.
    """
    iterations = plan_budget(solver, budget - FINALISTS * LEGS, starts.shape[1], gradient_cost).total
    if iterations < LEGS:
        raise ValueError(f"a budget of {budget} renders pays for {iterations} iterations, under {LEGS} legs")
    begin, rescore, advance = _programs(problem, solver)
    streams = jax.vmap(driver.keys_of)(keys)
    ends = np.round(iterations * np.arange(1, LEGS + 1) / LEGS).astype(int)
    run, done = begin(_weighted(targets, 0.0, stages), jnp.asarray(starts, jnp.float32), streams), 0
    for leg, end in enumerate(ends):
        now = _weighted(targets, leg / (LEGS - 1), stages)
        run = rescore(run, now, streams)
        while done < end:
            count = min(SEGMENT, end - done)
            run, _ = advance(run, now, streams, np.int32(count), whole(iterations))
            done += count
    return run.archive


@lru_cache(maxsize=4)
def _programs(problem: Problem, solver: Solver) -> tuple[Any, Any, Any]:
    """Beginning, scoring the archive again, and advancing; over targets."""

    def rescored(run: driver.Run, target: Target, keys: driver.Keys) -> driver.Run:
        loss = problem.scores(run.archive.u, target, keys.noise)
        fresh = driver.with_heard(driver.empty_archive(run.archive.u.shape[1]), run.archive.u, loss)
        return run._replace(archive=fresh)

    functions = (
        (partial(driver.begin, problem, solver), (0, 0, 0)),
        (rescored, (0, 0, 0)),
        (partial(driver.advance, problem, solver), (0, 0, 0, None, None)),
    )
    programs = [over_targets(function, axes) for function, axes in functions]
    return programs[0], programs[1], programs[2]


def _weighted(targets: Target, progress: float, stages: tuple[Stage, ...]) -> Target:
    """Targets with the weights of a stage."""
    count = targets.audio.shape[0]
    weights = staged_weights(progress, stages)
    return targets._replace(weights=jax.tree.map(lambda x: jnp.broadcast_to(x, (count,)), weights))
