"""The busy clock counts what is inside a compiled program, and nothing that the host does."""

import time

import jax.numpy as jnp
import numpy as np

from ddsprl.fitting.core import programs
from ddsprl.fitting.core.programs import BusyClock, busy_s, over_targets
from ddsprl.fitting.solvers.registry import make_solver

from .test_solve import run


def test_calls_at_the_same_time_count_once():
    now = [10.0]
    clock = BusyClock(lambda: now[0])

    def wait(seconds):
        now[0] += seconds

    with clock.inside():
        wait(2.0)
        with clock.inside():  # as another thread would be
            wait(3.0)
        wait(1.0)
        assert clock.seconds() == 6.0
    wait(100.0)
    assert clock.seconds() == 6.0
    try:
        with clock.inside():
            wait(1.0)
            raise KeyboardInterrupt
    except KeyboardInterrupt:
        wait(5.0)
    assert clock.seconds() == 7.0


class Slow:
    """An array that is there after a while."""

    def __init__(self, seconds):
        self.until = time.perf_counter() + seconds

    def is_ready(self):
        return time.perf_counter() >= self.until


def test_a_program_is_busy_until_its_results_are_there(monkeypatch):
    monkeypatch.setattr(programs, "shard_batch", lambda function, in_axes: lambda x: [Slow(0.03), Slow(x)])
    call = over_targets(lambda x: x)
    before = busy_s()
    call(0.08)
    assert 0.08 <= busy_s() - before < 0.5


def test_results_are_those_of_the_function():
    double = over_targets(lambda x, y: {"sum": x + y}, (0, None))
    np.testing.assert_array_equal(double(jnp.arange(3.0), jnp.asarray(1.0))["sum"], [1.0, 2.0, 3.0])


def test_what_the_host_does_during_a_search_is_outside():
    """A display that takes its time, between the segments of a search that is compiled already."""
    solver, shown = make_solver("random", population=16), []

    def slow(*said):
        shown.append(said)
        time.sleep(0.2)

    run(solver=solver)
    begun, busy = time.perf_counter(), busy_s()
    run(solver=solver, progress=slow)
    wall, inside = time.perf_counter() - begun, busy_s() - busy
    assert shown and 0.0 < inside <= wall - 0.2 * len(shown)
