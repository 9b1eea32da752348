"""The driver for plants that are played and recorded: a Python loop around compiled ask and tell.

    starts ─ measure ─▶ [ ask ─▶ measure each ─▶ tell ]* ─▶ finalists measured again ─▶ Solution

Steps, keys, archive and the use of what is left of the budget are those of `ddsprl.fitting.core.driver`, so a
plant that could be traced gives the same result either way. There is no gradient to be had. Measurements are
dear: Ctrl-C loses no more than the one under way, and the best so far is always at hand.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np

from ddsprl.fitting.core import driver
from ddsprl.fitting.core.archive import BAD_LOSS
from ddsprl.fitting.core.budget import Progress, plan_budget, whole
from ddsprl.fitting.core.driver import FINALISTS, Run
from ddsprl.fitting.core.problem import Problem, Target
from ddsprl.fitting.core.solve import SearchEnd, Solution, check_budget, make_solution
from ddsprl.fitting.core.solver import Answer, Solver, Space, needs_gradient
from ddsprl.fitting.solvers.registry import gradient_free
from ddsprl.plant import RemotePlant

_begin = jax.jit(driver.first_run, static_argnums=0)
_ask = jax.jit(driver.asked, static_argnums=0)
_tell = jax.jit(driver.told, static_argnums=0)
_keep = jax.jit(driver.with_heard)
_average = jax.jit(driver.averaged)


@dataclass(frozen=True)
class RemoteProblem:
    """One target on a remote plant.

    Attributes:
        plant: what is measured.
        space: of its knobs.
        snap: positions `[m, d]` with discrete knobs at their nearest choice.
        listen: loss of a measurement `[probes, n_samples]`; may be NaN.
    """

    plant: RemotePlant
    space: Space
    snap: Callable[[jax.Array], jax.Array]
    listen: Callable[[np.ndarray], float]


def remote_problem(plant: RemotePlant, problem: Problem, target: Target) -> RemoteProblem:
    """A software problem's target, knobs and ear, with another plant behind them.

    The target is one note, so the plant is heard at its first probe.

    Raises:
        ValueError: the plant has another number of knobs.
    """
    d = problem.instrument.n_params
    if plant.n_params != d:
        raise ValueError(f"the plant has {plant.n_params} knobs; {problem.instrument.name} has {d}")

    @jax.jit
    def total(audio: jax.Array) -> jax.Array:
        return problem.objective(audio * target.window, target.features, target.weights).total

    def listen(audio: np.ndarray) -> float:
        return float(total(jnp.asarray(audio[0], target.audio.dtype)))

    return RemoteProblem(plant, problem.space(target), problem.snap, listen)


def solve_remote(
    problem: RemoteProblem,
    solver: Solver,
    starts: np.ndarray,
    key: jax.Array,
    *,
    budget: int,
    progress: Progress | None = None,
) -> Solution:
    """Spend a budget of measurements on one target.

    A `KeyboardInterrupt` ends the search and the best so far is returned, with all that was measured; before
    anything is, it is passed on.

    Args:
        problem: plant, knobs and ear.
        solver: one that needs no gradient.
        starts: positions to begin at, `[k, d]`; charged.
        key: PRNG key.
        budget: measurements.
        progress: called with presets measured, the budget, and the best loss.

    Returns:
        A `Solution` for a group of one.

    Raises:
        ValueError: the solver needs gradients, or the budget does not pay for the starts.
    """
    check_gradient_free(solver)
    check_budget(budget, len(starts))
    began, interrupted = time.perf_counter(), False
    loop = _Loop(problem, solver, key)
    plan = plan_budget(solver, budget, len(starts), gradient_cost=0)
    try:
        loop.begin(starts)
        while len(loop.traces) < plan.total:
            loop.iterate(plan.total)
            if progress is not None:
                progress(loop.measured, budget, loop.curve[-1])
        loop.hear_again(plan.left, most=plan.most_left)
    except KeyboardInterrupt:
        if not loop.measured:
            raise
        interrupted = True
        loop.keep_heard()
    end = SearchEnd(
        jax.tree.map(lambda x: np.asarray(x)[None], loop.archive),
        np.array([loop.curve or loop.archive.loss[:1]], np.float32),
        {name: np.array([[row[name] for row in loop.traces]]) for name in (loop.traces or [{}])[0]},
        [loop.failures],
        loop.measured,
    )
    return make_solution(plan, end, seconds=time.perf_counter() - began, interrupted=interrupted)


def check_gradient_free(solver: Solver) -> None:
    """Refuse a solver that a remote plant cannot answer.

    Raises:
        ValueError: listing the solvers that need no gradient.
    """
    if needs_gradient(solver):
        raise ValueError(
            f"{type(solver).__name__} needs gradients, which a remote plant does not give; "
            f"these need none: {', '.join(gradient_free())}"
        )


class _Loop:
    """A search under way on a remote plant; changes as measurements come in.

    Attributes:
        archive: the best distinct presets so far.
        curve: best loss after the starts and after every iteration.
        traces: the solver's scalars after every iteration.
        measured: presets so far.
        failures: of these, those whose loss was not finite.
    """

    def __init__(self, problem: RemoteProblem, solver: Solver, key: jax.Array) -> None:
        """Nothing is measured yet."""
        self._problem, self._solver, self._keys = problem, solver, driver.keys_of(key)
        self.archive = driver.empty_archive(problem.plant.n_params)
        self.curve: list[float] = []
        self.traces: list[dict[str, np.ndarray]] = []
        self.measured = self.failures = 0
        self._pending: tuple[np.ndarray, np.ndarray] | None = None

    def begin(self, starts: np.ndarray) -> None:
        """Measure the starts and make the solver's first state."""
        space = self._problem.space
        u = self._problem.snap(space.admit(jnp.asarray(starts, jnp.float32)))
        self._take(_begin(self._solver, u, self._measure(u), space, self._keys))

    def iterate(self, total: int) -> None:
        """Ask, measure, tell."""
        query, run = _ask(self._solver, self._run, self._keys, whole(total))
        heard = driver.presets_of(query, self._problem.space, self._problem.snap)
        nothing = jnp.zeros(0, query.score.dtype)
        answer = Answer(jnp.asarray(self._measure(heard.score)), nothing, query.slope)
        self._take(_tell(self._solver, run, query, heard, answer, self._keys))
        self.traces.append(jax.device_get(self._solver.trace(self._run.state)))

    def hear_again(self, left: int, *, most: int) -> None:
        """Spend what is left on the finalists."""
        if left == 0:
            return
        u = self.archive.u[np.arange(left) % FINALISTS]
        loss = np.pad(self._measure(u, known=True), (0, most - left))
        self.archive = _average(self.archive, loss, np.int32(left))

    def keep_heard(self) -> None:
        """Put what was measured since the last answer into the archive."""
        if self._pending is not None:
            self.archive = _keep(self.archive, *self._pending)

    def _take(self, run: Run) -> None:
        self._run, self.archive, self._pending = run, run.archive, None
        self.curve.append(float(run.archive.loss[0]))

    def _measure(self, u: jax.Array, *, known: bool = False) -> np.ndarray:
        """Losses of presets, one after the other; of these, pending are those not yet in the archive."""
        presets, losses = np.asarray(u), np.full(len(u), np.nan, np.float32)
        self._pending = None if known else (presets, losses)
        for i, preset in enumerate(presets):
            audio = self._problem.plant.measure(preset)
            self.measured += 1
            losses[i] = self._problem.listen(audio)
            self.failures += not losses[i] < BAD_LOSS
        return losses
