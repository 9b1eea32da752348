"""What a budget pays for, leg by leg, with numbers worked out by hand."""

from dataclasses import dataclass, replace

import numpy as np
import pytest

from ddsprl.fitting.core.budget import Stretch, plan_budget, whole
from ddsprl.fitting.core.solver import Leg
from ddsprl.fitting.solvers.random_search import RandomSearch


@dataclass(frozen=True)
class Asks:
    """As much of a solver as costs something."""

    scores: int
    gradients: int
    legs: tuple[Leg, ...]


def search(*parts: tuple[int, int, float]):
    """A search of legs, each of scores, gradients and share."""
    legs = tuple(Leg(Asks(scores, gradients, ()), share) for scores, gradients, share in parts)  # pyright: ignore
    return replace(legs[0].solver, legs=legs)  # pyright: ignore


def test_a_leg_ends_where_its_share_is_spent_and_the_last_one_takes_the_rest():
    # 1,000 renders after the starts; 8 + 4 x 3.5 = 22 an iteration: 500 pay for 22 of them, 484.
    plan = plan_budget(search((8, 4, 0.5), (0, 1, 0.5)), 1064, 64, 3.5)
    # 516 are left: 147 iterations of 3.5 are 514.5, and one whole render hears a finalist again.
    assert (plan.iterations, plan.total, plan.left, plan.most_left) == ((22, 147), 169, 1, 3)
    assert plan.counts(plan.total) == (22 * 8, 22 * 4 + 147)
    assert plan.counts(23) == (22 * 8, 22 * 4 + 1)
    charged = plan.charged()
    assert (charged[0], charged[22], charged[23], charged[-1]) == (64, 548, 551.5, 1062.5)
    assert plan.stretches() == [Stretch(0, 22, 0.0, 0.5), Stretch(22, 147, 0.5, 1.0)]


def test_a_solver_without_legs_is_one():
    plan = plan_budget(RandomSearch(population=8), 103, 3, 4.0)
    assert (plan.iterations, plan.left, plan.most_left) == ((12,), 4, 7)
    assert plan.stretches() == [whole(12)]
    np.testing.assert_array_equal(plan.charged(), 3 + 8 * np.arange(13))


@pytest.mark.parametrize("budget", [5, 6, 8, 12, 30])
def test_a_short_budget_leaves_legs_out(budget):
    plan = plan_budget(search((8, 4, 0.5), (0, 1, 0.5)), budget, 5, 4)
    assert plan.iterations == (0, (budget - 5) // 4)
    assert plan.left == (budget - 5) % 4 <= plan.most_left
