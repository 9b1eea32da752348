"""One method on targets of one length: its starts and its searches."""

import math
import time
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from ddsprl.comparison.keys import Stream, stream
from ddsprl.comparison.plan import Method
from ddsprl.comparison.suites import Case
from ddsprl.fitting.core.budget import Progress, plan_budget
from ddsprl.fitting.core.problem import Target
from ddsprl.fitting.core.solve import Solution, solve
from ddsprl.fitting.core.solver import iteration_cost, legs_of
from ddsprl.fitting.inversion.inverter import Inverter
from ddsprl.fitting.solvers.registry import make_solver
from ddsprl.fitting.starts.registry import make_starts
from synth_jax.presets import shipped_positions


class Found(NamedTuple):
    """What a search found for a group of targets.

    Attributes:
        u: best presets, snapped, `[G, d]`.
        curve_renders: charged, `[points]`.
        curve_seconds: of the group, `[points]`.
        curve_loss: best so far under the search's own noise key, `[G, points]`.
        renders: of one target.
        gradients: likewise.
        failures: evaluations that were not finite, `[G]`.
        counts: what the solver counted (`ddsprl.fitting.core.solver.COUNTS`), where it does, `[G]`.
        seconds: of the group.
    """

    u: np.ndarray
    curve_renders: np.ndarray
    curve_seconds: np.ndarray
    curve_loss: np.ndarray
    renders: int
    gradients: int
    failures: np.ndarray
    counts: dict[str, np.ndarray]
    seconds: float


class Searcher:
    """A method and the inverter whose library its starts come from."""

    def __init__(self, inverter: Inverter, method: Method, *, seed: int, gradient_cost: float) -> None:
        """Nothing is compiled yet."""
        self.inverter, self.method, self.seed = inverter, method, seed
        self.solver = make_solver(method.solver, **method.solver_settings())
        self._bank = shipped_positions(inverter.problem.instrument.name)
        self.gradient_cost = gradient_cost
        self._warm = False

    def run(self, targets: Target, cases: list[Case], *, budget: int, seed: int) -> Found:
        """Search for a group of targets; what is compiled for it first is not in its seconds."""
        self.warm_up(targets, cases)
        starts = self.starts(cases, seed)
        keys = jnp.stack([stream(self.seed, Stream.SEARCH, case.name, seed) for case in cases])
        begun, passed = time.perf_counter(), [(0, 0.0)]

        def progress(renders: int, total: int, loss: float) -> None:
            del total, loss
            passed.append((renders, time.perf_counter() - begun))

        found = self._solve(targets, starts, keys, budget, progress)
        renders, seconds = (np.array(x, np.float64) for x in zip(*passed, strict=True))
        return Found(
            found.u,
            found.curve_renders,
            # Time within a segment, and that of the starts, is shared out evenly over the renders.
            np.interp(found.curve_renders, renders, seconds),
            found.curve_loss,
            found.renders,
            found.gradients,
            found.failures,
            found.counts,
            found.seconds,
        )

    def warm_up(self, targets: Target, cases: list[Case]) -> float:
        """Run a few iterations, so that every program is there; returns the seconds, 0 if they were."""
        if self._warm:
            return 0.0
        begun = time.perf_counter()
        starts = self.starts(cases, 0)
        keys = jnp.stack([stream(self.seed, Stream.START, case.name) for case in cases])
        self._solve(targets, starts, keys, starts.shape[1] + self._taste(), None)
        self._warm = True
        return time.perf_counter() - begun

    def starts(self, cases: list[Case], seed: int) -> np.ndarray:
        """Starting points `[G, k, d]`."""
        return np.stack([self._start(case, seed) for case in cases])

    def _taste(self) -> int:
        """Renders that take a search through all its programs: every leg, and finalists heard again."""
        legs, cost = legs_of(self.solver), self.gradient_cost
        least = math.ceil(max(2 * iteration_cost(leg.solver, cost) / leg.share for leg in legs))
        plan = plan_budget(self.solver, least, 0, cost)
        return least if plan.left or not plan.most_left else least + 1

    def _solve(
        self, targets: Target, starts: np.ndarray, keys: jax.Array, budget: int, progress: Progress | None
    ) -> Solution:
        return solve(
            self.inverter.problem,
            self.solver,
            targets,
            starts,
            keys,
            budget=budget,
            gradient_cost=self.gradient_cost,
            progress=progress,
        )

    def _start(self, case: Case, seed: int) -> np.ndarray:
        # A shipped preset that is itself the target is not among the starts.
        own = np.zeros(len(self._bank), bool) if case.u is None else np.abs(self._bank - case.u).max(1) < 1e-6
        bank = self._bank[~own]
        points, _ = make_starts(
            self.method.start,
            case.audio,
            case.note,
            instrument=self.inverter.problem.instrument,
            count=self.method.count,
            key=stream(self.seed, Stream.START, case.name, seed),
            library=self.inverter.library,
            # One less for everyone, so that one shape is compiled.
            bank=(bank if own.any() else bank[:-1]) if len(bank) else None,
        )
        return points
