"""How a budget is spent: on starts, on the iterations of a search leg by leg, and on hearing finalists again.

    plan = plan_budget(solver, budget=2048, starts=128, gradient_cost=3.5)
    plan.iterations, plan.left        # of every leg; whole renders that no iteration is left for

Most solvers have one leg. One that changes its query on the way (`Hybrid`: many replicas first, then the best
alone) says so by `legs`; a leg ends where its share of the renders is spent.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from ddsprl.fitting.core.solver import Leg, Solver, iteration_cost, legs_of

# A gradient is charged as this many renders when a budget is spent; see benchmarks/gradient.py.
GRADIENT_COST = 3
# Told renders charged, those charged in the end, and the best loss so far.
Progress = Callable[[int, int, float], None]


class Stretch(NamedTuple):
    """A leg as the driver counts it; may be traced.

    Attributes:
        first: iterations of the whole search before this leg.
        iterations: of this leg.
        since: share of the budget spent when it begins.
        until: share of the budget spent when it is over.
    """

    first: int
    iterations: int
    since: float
    until: float


class Plan(NamedTuple):
    """What a budget pays for.

    Attributes:
        legs: of the solver.
        iterations: of every leg.
        starts: renders spent on starts.
        left: whole renders that are left for hearing finalists again.
        gradient_cost: renders that a gradient is charged as.
    """

    legs: tuple[Leg, ...]
    iterations: tuple[int, ...]
    starts: int
    left: int
    gradient_cost: float

    @property
    def total(self) -> int:
        """Iterations of all legs."""
        return sum(self.iterations)

    @property
    def most_left(self) -> int:
        """The largest `left` that a budget for this solver can have."""
        return most_left(self.legs[-1].solver, self.gradient_cost)

    def stretches(self) -> list[Stretch]:
        """The legs as the driver counts them."""
        found, first, since = [], 0, 0.0
        for leg, iterations in zip(self.legs, self.iterations, strict=True):
            found.append(Stretch(first, iterations, since, since + leg.share))
            first, since = first + iterations, since + leg.share
        return found

    def charged(self) -> np.ndarray:
        """Renders charged after the starts and after every iteration, `[1 + total]`."""
        costs = [iteration_cost(leg.solver, self.gradient_cost) for leg in self.legs]
        return self.starts + np.concatenate([[0], np.cumsum(np.repeat(costs, self.iterations))])

    def counts(self, done: int) -> tuple[int, int]:
        """Scores and gradients in the first iterations."""
        scores = np.repeat([leg.solver.scores for leg in self.legs], self.iterations)[:done]
        gradients = np.repeat([leg.solver.gradients for leg in self.legs], self.iterations)[:done]
        return int(scores.sum()), int(gradients.sum())


def plan_budget(solver: Solver, budget: int, starts: int, gradient_cost: float) -> Plan:
    """Iterations that a budget pays for after `starts` renders, and whole renders that are left over.

    A leg gets as many iterations as its share pays for; the last one also what the others left.
    """
    legs, money = legs_of(solver), budget - starts
    iterations, spent, share = [], 0.0, 0.0
    for leg in legs:
        share += leg.share
        cost = iteration_cost(leg.solver, gradient_cost)
        due = money if leg is legs[-1] else share * money
        iterations.append(max(0, int((due - spent) // cost)))
        spent += iterations[-1] * cost
    return Plan(legs, tuple(iterations), starts, int(money - spent), gradient_cost)


def most_left(solver: Solver, gradient_cost: float) -> int:
    """The most whole renders that are too few for one more iteration."""
    return math.ceil(iteration_cost(solver, gradient_cost)) - 1


def whole(iterations: int) -> Stretch:
    """The one leg of a search that has no others."""
    return Stretch(0, iterations, 0.0, 1.0)
