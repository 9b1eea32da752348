"""The laws of solvers, over everything in the registry."""

import pytest

import laws
from ddsprl.fitting.solvers.registry import SOLVERS, make_solver

# Random search cannot do better than the density of its points; the others converge.
CLOSE = dict.fromkeys(SOLVERS, 1e-4) | {"random": 4e-3}

every = pytest.mark.parametrize("name", list(SOLVERS))


@every
def test_a_quadratic_is_solved(name):
    laws.check_solves(make_solver(name), within=CLOSE[name])


@every
def test_bounds_and_locks_are_kept(name):
    laws.check_bounds_and_locks(make_solver(name))


@every
def test_a_budget_is_spent_exactly(name):
    laws.check_budget(make_solver(name))


@every
def test_failed_evaluations_are_survived(name):
    laws.check_survives_failures(make_solver(name), within=10.0 * CLOSE[name])


@every
def test_the_same_key_gives_the_same_result(name):
    laws.check_same_key_same_result(make_solver(name))


@every
def test_compiled_is_eager(name):
    laws.check_solver_jit(make_solver(name))


@every
def test_one_trace_for_one_shape(name):
    laws.check_solver_traces(make_solver(name))
