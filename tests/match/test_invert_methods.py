"""Inversion by name of a method, and of a stream of sounds, in memory."""

import dataclasses

import jax
import numpy as np
import pytest

import ddsprl
from ddsprl.fitting.core.streams import streams_of
from ddsprl.fitting.findings.references import references
from ddsprl.fitting.inversion.groups import prepare_group, search_group
from ddsprl.fitting.inversion.invert import Setup
from ddsprl.fitting.inversion.inverter import InversionConfig, Inverter, default_inverter, make_problem
from ddsprl.fitting.inversion.methods import FALL_BACK, make_method, usable_start
from ddsprl.fitting.inversion.records import Knobs, Sounds
from ddsprl.fitting.inversion.searching import SolverSearch
from ddsprl.fitting.solvers.monitor import VERDICTS, monitor_trace
from ddsprl.fitting.starts.library import LibraryConfig
from ddsprl.losses.objective import ObjectiveConfig
from ddsprl.plant import make_instrument
from synth_jax import Note

RATE, N = 8_000, 2_000
CONFIG = InversionConfig(candidates=16, library=LibraryConfig(size=64))
SETTINGS = {"method": "random", "start": "neutral", "budget": 1 + 2 * 64, "setup": Setup(config=CONFIG)}


def tone(pitch_hz: float, n: int = N) -> np.ndarray:
    t = np.arange(n) / RATE
    return (0.4 * np.sin(2 * np.pi * pitch_hz * t) * np.exp(-8 * t)).astype(np.float32)


SOUNDS = [tone(pitch_hz) for pitch_hz in (220.0, 262.0, 330.0)]


@pytest.fixture(scope="module")
def inverter() -> Inverter:
    return default_inverter(RATE, N, CONFIG)


@pytest.fixture(scope="module")
def found() -> ddsprl.Inversion:
    key = jax.random.key(4)
    return ddsprl.invert(np.stack(SOUNDS), RATE, key=key, midi=60.0, gate_s=0.2, **SETTINGS)


def test_a_solver_is_counted_and_judged(found, inverter):
    course, cost, finalists = found.course, found.cost, found.verdict.finalists
    assert (cost.renders.tolist(), cost.gradients.tolist()) == ([129] * 3, [0] * 3)
    assert cost.judgement.tolist() == [(8 + 1) * 8] * 3
    assert course.renders.tolist() == [[1, 65, 129]] * 3
    assert (np.diff(course.loss) <= 0).all()
    np.testing.assert_array_equal(found.u, inverter.problem.snap(found.u))
    np.testing.assert_allclose(sum(found.verdict.terms.values()), found.loss, rtol=1e-3)
    assert (found.loss <= finalists.loss.min(axis=1)).all()
    # Judged with fresh noise, yet of the same preset as the curve's end, or of one that proved better.
    assert (found.loss < 1.5 * course.loss[:, -1]).all()


def test_what_a_solver_counts_is_told(found, inverter):
    assert list(found.course.counts) == ["failures"]
    assert found.course.counts["failures"].tolist() == [0, 0, 0]
    settings = SETTINGS | {"method": "cma_es", "budget": 1 + 3 * 32, "setup": Setup(inverter=inverter)}
    sounds, key = np.stack(SOUNDS[:2]), jax.random.key(4)
    counts = ddsprl.invert(sounds, RATE, key=key, midi=60.0, gate_s=0.2, **settings).course.counts
    assert counts["restarts"].shape == counts["failures"].shape == (2,)


def test_a_search_begins_at_the_positions_that_are_given(found, inverter):
    """Each target at what was found for it before, so the search cannot end above that."""
    settings = {name: value for name, value in SETTINGS.items() if name not in ("start", "setup")}
    again = ddsprl.invert(
        np.stack(SOUNDS),
        RATE,
        key=jax.random.key(4),
        midi=60.0,
        gate_s=0.2,
        given=found.u[:, None],
        setup=Setup(inverter=inverter),
        **settings,
    )
    assert again.task.start.tolist() == ["given"] * 3
    assert (again.course.loss[:, 0] < found.course.loss[:, 0]).all()
    # What this very preset was judged by fresh noise: another than the one at the curve's end may have won.
    np.testing.assert_allclose(again.course.loss[:, 0], found.loss, rtol=1e-2)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"start": "given"}, "the start 'given' needs positions"),
        ({"given": np.zeros((1, 25))}, "start is 'neutral'"),
        ({"start": None, "given": np.zeros((2, 7))}, r"given has shape \(2, 7\); expected \[k, 25\]"),
        ({"start": None, "given": np.full((1, 25), 1.5)}, r"not in \[0, 1\]"),
    ],
)
def test_positions_that_do_not_fit_are_refused(changed, message):
    with pytest.raises(ValueError, match=message):
        ddsprl.invert(
            np.stack(SOUNDS), RATE, key=jax.random.key(0), midi=60.0, gate_s=0.2, **SETTINGS | changed
        )


def test_a_method_without_a_monitor_has_no_trace_of_one(found):
    assert [monitor_trace(found.course, i) for i in range(3)] == [None] * 3


def test_what_the_monitor_said_is_kept_for_every_target():
    """And where the search stood side by side. On a small instrument: a gradient is compiled in both legs."""
    few = ObjectiveConfig(terms=("mr", "loud"), n_ffts=(256,), mel_n_fft=256)
    small = Inverter(make_problem(RATE, 0.05, instrument="sine", objective=few), CONFIG)
    settings = {"method": "hybrid", "start": "neutral", "budget": 401, "midi": 60.0, "gate_s": 0.04}
    sounds = np.stack(SOUNDS[:2])[:, :400]
    setup = Setup(inverter=small)
    many = ddsprl.invert(sounds, RATE, key=jax.random.key(4), setup=setup, **settings)
    np.testing.assert_array_equal(many.spread[:, 0], many.u)
    assert many.spread.shape == many.members.shape
    assert np.ptp(many.spread, axis=1).max() > 0.01
    for i in range(2):
        trace = monitor_trace(many.course, i)
        assert trace is not None
        assert len(trace.verdict) == len(trace.loss) == len(trace.renders) <= 100
        assert trace.renders[-1] == many.course.renders[i, -1]
        assert np.isfinite(trace.loss).all()
        assert set(trace.record()["verdict"]) <= set(VERDICTS)


def prepared(inverter, sounds, midi=60.0, start="neutral"):
    d, count = inverter.problem.instrument.n_params, len(sounds)
    free, locked = np.ones(d, np.float32), np.zeros(d, np.float32)
    free[3], locked[3] = 0.0, 0.25
    note = Note(np.full(count, midi), np.full(count, 0.2), np.ones(count))
    streams = jax.vmap(streams_of)(jax.random.split(jax.random.key(9), count))
    method, audio = make_method("random", start), np.stack(sounds)
    knobs = Knobs(free, locked, np.zeros((0, d)))
    return method, prepare_group(inverter, method, Sounds(audio, note, np.ones_like(audio), streams), knobs)


def test_the_random_reference_is_the_best_of_its_presets(inverter):
    _, group = prepared(inverter, SOUNDS[:1])
    few, some, many = (references(inverter, group, count=n)[0] for n in (1, 24, 40))
    assert few.loss > some.loss >= many.loss
    assert some.count == 24
    assert some.u[3] == 0.25
    np.testing.assert_allclose(some.u, inverter.problem.snap(some.u), atol=1e-6)
    assert sum(some.terms.values()) == pytest.approx(some.loss, rel=1e-3)
    # Another noise key: close, not equal.
    wide = np.broadcast_to(some.u, (len(group.starts), 16, len(some.u)))
    again = inverter.scores(wide, group.targets, jax.random.split(jax.random.key(5), len(group.starts)))
    assert some.loss == pytest.approx(float(again[0, 0]), rel=0.1)


def test_several_searches_are_pooled(inverter):
    method, group = prepared(inverter, SOUNDS[:1], start="random")
    told = []

    def progress(done, total, loss):
        told.append((done, total))

    many = SolverSearch(method, 64 + 2 * 64, searches=3).search(inverter, group, progress=progress)
    one = search_group(inverter, method, group, budget=64 + 2 * 64)
    np.testing.assert_array_equal(many.cost.renders, 3 * one.cost.renders)
    np.testing.assert_array_equal(many.cost.judgement, 3 * one.cost.judgement)
    assert many.members.shape[1] == 3 * one.members.shape[1]
    assert {name: x.shape for name, x in many.course.counts.items()} == {"failures": many.loss.shape}
    losses = many.verdict.finalists.loss
    assert (np.diff(losses) >= 0).all()
    assert many.loss[0] == losses[0, 0] <= one.loss[0]
    np.testing.assert_array_equal(many.u, many.members[:, 0])
    np.testing.assert_allclose(sum(many.verdict.terms.values()), many.loss, rtol=1e-3)
    assert set(one.verdict.finalists.loss[0].tolist()) < set(losses[0].tolist())
    assert told[-1] == (3 * 192, 3 * 192)
    assert many.course.loss.shape == one.course.loss.shape


def test_ctrl_c_keeps_the_searches_that_were_over(inverter):
    method, group = prepared(inverter, SOUNDS[:1], start="random")

    def stop(done, total, loss):
        if done > 192:
            raise KeyboardInterrupt

    short = SolverSearch(method, 192, searches=3).search(inverter, group, progress=stop)
    assert short.interrupted.all()
    assert np.isfinite(short.loss).all()


@pytest.mark.parametrize(("midi", "start"), [(60.0, "guess"), (110.0, FALL_BACK)])
def test_the_guess_is_used_where_it_was_trained(inverter, midi, start):
    _, group = prepared(inverter, SOUNDS[:1], midi=midi, start="guess")
    assert group.task.start.tolist() == [start]
    assert (group.task.start_note[0] is None) == (start == "guess")
    assert np.isfinite(group.starts).all()


def test_why_the_guess_is_not_used(inverter):
    strange = make_instrument("sine", RATE, 0.25)
    assert usable_start("random", strange, 60.0) == ("random", None)
    start, why = usable_start("guess", strange, 60.0)
    assert start == FALL_BACK
    assert why is not None
    assert why == "no guess is trained for sine"
    table = inverter.problem.instrument.table[1:]
    other = dataclasses.replace(inverter.problem.instrument, table=table)
    _, why = usable_start("guess", other, 60.0)
    assert why == "the guess for serum_lite is trained for other knobs than these"
