"""Any solver on a group of targets, from starts to a ranked archive: what the host does around the driver.

    solve(problem, solver, targets, starts, keys, budget=4000) ──▶ Solution

Programs are compiled once for a problem, a solver and the shapes of the arguments; the budget is data.
Targets are worked on side by side and shared out over the devices; how many suit this machine is
`ddsprl.fitting.core.programs.group_size()`.
"""

import time
from collections.abc import Callable, Iterator
from functools import lru_cache, partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from ddsprl.fitting.core import driver
from ddsprl.fitting.core.archive import Members
from ddsprl.fitting.core.budget import GRADIENT_COST, Plan, Progress, Stretch, plan_budget
from ddsprl.fitting.core.driver import SEGMENT, Keys, Plantlike, Run, Segment
from ddsprl.fitting.core.programs import over_targets
from ddsprl.fitting.core.solver import COUNTS, Solver

# A segment should last about this long: short enough for Ctrl-C and a moving display.
SEGMENT_S = 1.0


class Course(NamedTuple):
    """How searches went, target by target; NumPy's.

    Attributes:
        renders: charged after the starts and after every iteration, `[G, points]`.
        loss: best so far at these, each preset heard once, `[G, points]`; it may rise where a leg under fresh
            noise begins: only what was heard there counts from then on.
        traces: the solver's curves by name, a point an iteration, `[G, points - 1]`.
        counts: by name, over all legs, `[G]`: `failures`, evaluations that were not finite, and what the
            solver counts of `ddsprl.fitting.core.solver.COUNTS`.
    """

    renders: np.ndarray
    loss: np.ndarray
    traces: dict[str, np.ndarray]
    counts: dict[str, np.ndarray]


class Solution(NamedTuple):
    """What a solver found for G targets, and what that took; what is counted is of one target.

    Attributes:
        archive: the best distinct presets, snapped, best first: `u [G, finalists, d]`, and their mean loss
            over all that they were heard, `loss [G, finalists]`; `BAD_LOSS` for places not taken. By another
            judge a loss will be a little worse.
        handed: the archive with which the last leg began; None where no leg was reached but the first.
        course: of the searches.
        renders: scores, of starts, candidates and finalists.
        gradients: values with their gradients.
        charged: `renders` + gradient cost x `gradients`; the budget, unless interrupted.
        seconds: of wall clock, for the group, compiling included.
        interrupted: by Ctrl-C; the best so far is here, not heard again.
    """

    archive: Members
    handed: Members | None
    course: Course
    renders: int
    gradients: int
    charged: float
    seconds: float
    interrupted: bool

    @property
    def u(self) -> Any:
        """The best preset of every target, snapped, `[G, d]`."""
        return self.archive.u[:, 0]

    @property
    def loss(self) -> Any:
        """Its loss, `[G]`."""
        return self.archive.loss[:, 0]

    @property
    def iterations(self) -> int:
        """Iterations that were done."""
        return self.course.loss.shape[1] - 1


class Programs(NamedTuple):
    """The compiled driver of one problem and solver, over targets."""

    begin: Callable[[Any, jax.Array, Keys], Run]
    hand_over: Callable[[Run, Any, Keys], Run]
    advance: Callable[[Run, Any, Keys, Any, Stretch], tuple[Run, Segment]]


def solve(
    problem: Plantlike,
    solver: Solver,
    targets: Any,
    starts: np.ndarray | jax.Array,
    keys: jax.Array,
    *,
    budget: int,
    gradient_cost: float = GRADIENT_COST,
    progress: Progress | None = None,
) -> Solution:
    """Spend a budget on each of G targets.

    A `KeyboardInterrupt` ends the search and the best so far is returned; before the starts are scored there
    is none, and it is passed on.

    Args:
        problem: hashable.
        solver: hashable.
        targets: pytree with leaves `[G, ...]`.
        starts: positions to begin at, `[G, k, d]`; charged.
        keys: one PRNG key a target, `[G]`.
        budget: renders for each target.
        gradient_cost: renders that a gradient is charged as.
        progress: called with renders charged, those that the search will have been charged for at its end,
            both rounded, and the mean of the best losses.

    Raises:
        ValueError: the budget does not pay for the starts.
    """
    began = time.perf_counter()
    check_budget(budget, starts.shape[1])
    plan, streams = plan_budget(solver, budget, starts.shape[1], gradient_cost), _keys_of(keys)
    run = _programs(problem, solver).begin(targets, jnp.asarray(starts, jnp.float32), streams)
    course = _Advance(run, run.archive, [np.asarray(run.archive.loss)[:, :1]], [], 0, 0, None)
    interrupted = False
    try:
        for further in _courses(problem, plan, course, targets, streams):
            course = further
            if progress is not None and not course.again:
                charged = plan.charged()
                loss = float(course.best[-1][:, -1].mean())
                progress(round(charged[course.done]), round(charged[-1]), loss)
    except KeyboardInterrupt:
        interrupted = True
    traces = {name: np.concatenate([x[name] for x in course.traces], axis=1) for name in _names(course)}
    end = SearchEnd(
        course.archive,
        np.concatenate(course.best, axis=1),
        traces,
        course.run.failures,
        plan.starts + plan.counts(course.done)[0] + course.again,
        course.handed,
    )
    return make_solution(plan, end, seconds=time.perf_counter() - began, interrupted=interrupted)


class _Advance(NamedTuple):
    """How far a search has come; replaced whole, so that Ctrl-C finds it consistent.

    Attributes:
        run: of the driver.
        archive: the run's, or that after the last hearing.
        best: best losses, parts `[G, points]`.
        traces: parts of the solver's curves.
        done: iterations.
        again: renders spent on hearing finalists again.
        handed: the archive with which the last leg so far began; None in the first.
    """

    run: Run
    archive: Members
    best: list[np.ndarray]
    traces: list[dict[str, np.ndarray]]
    done: int
    again: int
    handed: Members | None


def _courses(
    problem: Plantlike, plan: Plan, course: _Advance, targets: Any, keys: Keys
) -> Iterator[_Advance]:
    """How far the search has come, segment by segment, to the end of its plan."""
    for i, (leg, stretch) in enumerate(zip(plan.legs, plan.stretches(), strict=True)):
        programs, size, end = _programs(problem, leg.solver), 1, stretch.first + stretch.iterations
        # Also where no leg before it had an iteration: the state at the beginning is the first leg's.
        if i and stretch.iterations:
            begun = programs.hand_over(course.run, targets, keys)
            course = course._replace(run=begun, handed=course.run.archive)
        while course.done < end:
            since, size = time.perf_counter(), min(size, end - course.done)
            course = _further(course, programs, targets, keys, size, stretch)
            yield course
            size = _next_size(size, time.perf_counter() - since)
    if plan.left:
        heard = _hear_again(problem, plan.most_left)(course.run, targets, keys, np.int32(plan.left))
        yield course._replace(archive=heard, again=plan.left)


def _further(
    course: _Advance, programs: Programs, targets: Any, keys: Keys, size: int, stretch: Stretch
) -> _Advance:
    """One segment of `size` iterations."""
    run, curves = programs.advance(course.run, targets, keys, np.int32(size), _as_data(stretch))
    part = jax.tree.map(lambda x: np.asarray(x)[:, :size], curves)
    return course._replace(
        run=run,
        archive=run.archive,
        best=[*course.best, part.best],
        traces=[*course.traces, part.trace],
        done=course.done + size,
    )


def _names(course: "_Advance") -> tuple[str, ...]:
    return tuple(course.traces[0]) if course.traces else ()


def check_budget(budget: int, starts: int) -> None:
    """Refuse a budget that is spent before the search begins.

    Raises:
        ValueError: with both numbers.
    """
    if starts < 1:
        raise ValueError("no start; a solver needs at least one")
    if budget < starts:
        raise ValueError(f"a budget of {budget} renders does not pay for scoring {starts} starts")


def _as_data(stretch: Stretch) -> Any:
    """A leg as arrays of fixed types: budgets and shares are data to a program."""
    return Stretch(*map(np.int32, stretch[:2]), *map(np.float32, stretch[2:]))  # pyright: ignore[reportArgumentType]


class SearchEnd(NamedTuple):
    """Where a search stands when it ends, by itself or early.

    Attributes:
        archive: `[G, finalists, ...]`.
        best: loss after the starts and after every iteration, `[G, 1 + iterations]`.
        traces: of the solver, leaves `[G, iterations]`.
        failures: evaluations that were not finite, `[G]`.
        renders: scores of one target.
        handed: as of `Solution`.
    """

    archive: Members
    best: np.ndarray
    traces: dict[str, np.ndarray]
    failures: Any
    renders: int
    handed: Members | None = None


def make_solution(plan: Plan, end: SearchEnd, *, seconds: float, interrupted: bool) -> Solution:
    """The record of a search from its plan and its end."""
    iterations = end.best.shape[1] - 1
    gradients = plan.counts(iterations)[1]
    charged = np.asarray(plan.charged()[: iterations + 1])
    counts = {"failures": np.asarray(end.failures), **_counted(plan, end.traces, iterations)}
    course = Course(np.broadcast_to(charged, end.best.shape), end.best, end.traces, counts)
    archive = Members(np.asarray(end.archive.u), np.asarray(end.archive.loss))  # pyright: ignore[reportArgumentType]
    return Solution(
        archive=archive,
        handed=end.handed,
        course=course,
        renders=end.renders,
        gradients=gradients,
        charged=end.renders + plan.gradient_cost * gradients,
        seconds=seconds,
        interrupted=interrupted,
    )


def _counted(plan: Plan, traces: dict[str, np.ndarray], iterations: int) -> dict[str, np.ndarray]:
    """Counts at the end of every leg, added up: each leg counts from 0."""
    ends = [min(leg.first + leg.iterations, iterations) for leg in plan.stretches() if leg.first < iterations]
    last = np.unique(ends).astype(int) - 1
    return {name: traces[name][:, last].sum(axis=1) for name in COUNTS if name in traces}


@lru_cache(maxsize=32)
def _programs(problem: Plantlike, solver: Solver) -> Programs:
    """Compiled once for the arguments, and again for other shapes."""

    def hand_over(run: Run, target: Any, keys: Keys) -> Run:
        return driver.handed_over(solver, run, problem.space(target), keys)

    return Programs(
        over_targets(partial(driver.begin, problem, solver), (0, 0, 0)),
        over_targets(hand_over, (0, 0, 0)),
        over_targets(partial(driver.advance, problem, solver), (0, 0, 0, None, None)),
    )


@lru_cache(maxsize=32)
def _hear_again(problem: Plantlike, most: int) -> Callable[[Run, Any, Keys, Any], Members]:
    """Compiled once for the arguments; a run's solver state is not looked at."""
    return over_targets(partial(driver.hear_again, problem, most=most), (0, 0, 0, None))


_keys_of = jax.jit(jax.vmap(driver.keys_of))


def _next_size(size: int, seconds: float) -> int:
    """Iterations of the next segment."""
    return min(2 * size, SEGMENT) if seconds < SEGMENT_S else max(size // 2, 1)
