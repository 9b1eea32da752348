"""The Python-loop driver: equal to the compiled one, exact, and never without a best so far."""

from dataclasses import dataclass, field

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import laws
from ddsprl.fitting.core.solve import solve
from ddsprl.fitting.inversion.remote import RemoteProblem, remote_problem, solve_remote
from ddsprl.fitting.solvers.registry import SOLVERS, gradient_free, make_solver
from ddsprl.plant import RemotePlant
from synth_jax import Note

KEY = jax.random.key(11)
TARGET = jax.tree.map(lambda x: x[0], laws.bowls())
loss_of = jax.jit(laws.BOWL.loss)


@dataclass
class Recorder:
    """A plant whose sound is its knobs; counts, fails and breaks off where it is told to."""

    n_params: int = 4
    stop_at: int | None = None
    deaf: bool = False
    heard: list[np.ndarray] = field(default_factory=list)

    def measure(self, u: np.ndarray) -> np.ndarray:
        if len(self.heard) == self.stop_at:
            raise KeyboardInterrupt
        self.heard.append(u)
        return np.full((1, 4), np.nan, np.float32) if self.deaf else u[None]


def remote(plant: Recorder, target=TARGET) -> RemoteProblem:
    def listen(audio: np.ndarray) -> float:
        return float(loss_of(jnp.asarray(audio[0]), target))

    return RemoteProblem(plant, laws.BOWL.space(target), laws.BOWL.snap, listen)


def found_by(plant: Recorder, name: str = "cma_es", budget: int = 130, **settings):
    solver = make_solver(name, **({"population": 16} | settings))
    return solve_remote(remote(plant), solver, laws.far_starts()[0], KEY, budget=budget)


@pytest.mark.parametrize("name", ["cma_es", "differential_evolution", "random"])
def test_it_equals_the_compiled_driver(name):
    plant, solver = Recorder(), make_solver(name, population=16)
    found = found_by(plant, name)
    same = solve(laws.BOWL, solver, laws.bowls(), laws.far_starts(), KEY[None], budget=130)
    for x, y in zip(found.archive, same.archive, strict=True):
        np.testing.assert_allclose(x, y, rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(found.course.loss, same.course.loss, rtol=1e-3, atol=1e-4)
    np.testing.assert_array_equal(found.course.renders[0], same.course.renders[0])
    assert found.course.traces.keys() == same.course.traces.keys()
    assert all(
        found.course.traces[name].shape == same.course.traces[name].shape for name in found.course.traces
    )
    assert (found.charged, found.renders, found.iterations) == (same.charged, same.renders, same.iterations)


@pytest.mark.parametrize("budget", [8, 9, 24, 39, 40])
def test_a_budget_is_that_many_measurements(budget):
    plant = Recorder()
    found = found_by(plant, budget=budget)
    assert len(plant.heard) == budget == found.renders == found.charged


def test_presets_are_measured_as_they_sound():
    plant, target = Recorder(), jax.tree.map(lambda x: x[0], laws.bowls(locked={1: 0.375}))
    solver = make_solver("cma_es", population=16)
    solve_remote(remote(plant, target), solver, laws.far_starts()[0], KEY, budget=60)
    heard = np.stack(plant.heard)
    np.testing.assert_array_equal(heard[:, 1], np.float32(0.375))
    np.testing.assert_allclose(4.0 * heard[:, 3] % 1.0, 0.0, atol=1e-6)
    assert ((heard >= 0.0) & (heard <= 1.0)).all()


@pytest.mark.parametrize("stop_at", [3, 8, 30, 122])
def test_an_interrupt_keeps_all_that_was_measured(stop_at):
    # Among the starts, at the first candidate, in the second generation, while finalists are heard again.
    plant = Recorder(stop_at=stop_at)
    found = found_by(plant)
    assert found.interrupted
    assert found.renders == stop_at == len(plant.heard)
    losses = [float(loss_of(jnp.asarray(u), TARGET)) for u in plant.heard]
    np.testing.assert_allclose(found.loss[0], min(losses), rtol=1e-5)
    np.testing.assert_array_equal(found.u[0], plant.heard[int(np.argmin(losses))])


def test_an_interrupt_before_anything_is_measured_is_passed_on():
    with pytest.raises(KeyboardInterrupt):
        found_by(Recorder(stop_at=0))


def test_a_deaf_recorder_is_survived_and_counted():
    found = found_by(Recorder(deaf=True))
    assert found.course.counts["failures"][0] == 130
    assert np.isfinite(found.u).all()


def test_solvers_that_need_gradients_are_refused():
    free = gradient_free()
    assert set(free) < set(SOLVERS)
    assert "adam" not in free
    with pytest.raises(ValueError, match="MultiStartAdam needs gradients.*these need none: random, cma_es"):
        solve_remote(remote(Recorder()), make_solver("adam"), laws.far_starts()[0], KEY, budget=100)


def test_a_software_target_lends_its_ear(tiny):
    assert isinstance(Recorder(), RemotePlant)
    problem, note = tiny.inverter.problem, Note(60.0, 0.1, 1.0)
    u = np.asarray(tiny.synth.default)
    audio = tiny.sound(u, note, 0)
    target = tiny.target(jnp.asarray(audio), note)

    class Tape:
        n_params = problem.instrument.n_params

        def measure(self, u):
            return np.stack([audio * u[0], audio])

    heard = remote_problem(Tape(), problem, target)
    assert heard.listen(heard.plant.measure(np.ones(Tape.n_params))) < 1e-3
    assert heard.listen(heard.plant.measure(np.zeros(Tape.n_params))) > 0.1
    assert heard.space.free.shape == (Tape.n_params,)
    with pytest.raises(ValueError, match="the plant has 4 knobs; serum_lite has"):
        remote_problem(Recorder(), problem, target)
