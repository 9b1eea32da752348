"""The trace of a monitor: short, and no alarm of it is lost."""

import json

import jax
import numpy as np
import pytest

import laws
from ddsprl.fitting.core.solve import Solution, solve
from ddsprl.fitting.solvers.hybrid import Hybrid
from ddsprl.fitting.solvers.monitor import DIVERGING, PLATEAU, STABLE, kept_places, monitor_trace
from ddsprl.fitting.solvers.random_search import RandomSearch
from ddsprl.fitting.solvers.schedule import ScheduleConfig

SETTINGS = {"keys": jax.random.key(3)[None], "gradient_cost": 3}


@pytest.fixture(scope="module")
def found() -> Solution:
    """Steps so long that replicas diverge, in both legs."""
    wild = Hybrid(replicas=2, probes=2, schedule=ScheduleConfig(first_rate=1.5, last_rate=1.5))
    return solve(laws.BOWL, wild, laws.bowls(), laws.far_starts(), budget=4000, **SETTINGS)


def test_places_are_even_in_renders_and_end_with_the_last():
    renders = np.concatenate([np.arange(0, 1000, 20), np.arange(1000, 2000, 3)])
    kept = kept_places(renders, 50)
    assert len(kept) == 50
    assert kept[-1] == len(renders) - 1
    assert np.diff(renders[kept]).max() <= 60
    assert (np.diff(kept) > 0).all()
    np.testing.assert_array_equal(kept_places(renders[:7], 50), np.arange(7))


def test_every_alarm_is_in_the_trace(found):
    verdict = found.course.traces["verdict"][0]
    alarms = np.flatnonzero(verdict == DIVERGING)
    assert 1 <= len(alarms) < 0.5 * len(verdict)
    trace = monitor_trace(found.course, 0, most=40)
    assert trace is not None
    assert len(trace.renders) <= 40 < found.iterations
    # Each alarm stands at the first point that is not before it, and nowhere else is one.
    at = np.unique(np.searchsorted(trace.renders, found.course.renders[0][1:][alarms]))
    np.testing.assert_array_equal(np.flatnonzero(trace.verdict == DIVERGING), at)
    assert set(trace.verdict) <= {STABLE, PLATEAU, DIVERGING}
    places = np.searchsorted(found.course.renders[0][1:], trace.renders)
    for name in ("loss", "drift", "confidence", "alpha", "sigma"):
        np.testing.assert_array_equal(getattr(trace, name), found.course.traces[name][0, places])


def test_counts_are_of_all_legs(found):
    """Each leg counts from 0: rises of the curve, and what it begins with where it falls."""
    curve = found.course.traces["backed_off"][0]
    first = np.flatnonzero(np.diff(found.course.renders[0]) == 3)[0]  # of the leg of one replica
    assert found.course.counts["backed_off"][0] == curve[first - 1] + curve[-1]
    assert curve[first - 1] > 0 < curve[-1]
    trace = monitor_trace(found.course, 0)
    assert trace is not None
    assert (trace.backed_off, trace.restored) == (
        found.course.counts["backed_off"][0],
        found.course.counts["restored"][0],
    )


def test_the_record_is_plain(found):
    trace = monitor_trace(found.course, 0, most=10)
    assert trace is not None
    record = json.loads(json.dumps(trace.record(), allow_nan=False))
    assert {len(x) for x in record.values() if isinstance(x, list)} == {len(trace.renders)}
    assert "diverging" in record["verdict"]
    np.testing.assert_allclose(record["loss"], trace.loss, rtol=1e-4)


def test_a_solver_without_a_monitor_has_no_trace():
    found = solve(laws.BOWL, RandomSearch(8), laws.bowls(), laws.far_starts(), budget=40, **SETTINGS)
    assert monitor_trace(found.course, 0) is None
    assert list(found.course.counts) == ["failures"]
