"""One method on targets of one length: its starts and its searches."""

import math
import time
from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from ddsprl.comparison.plan import Method
from ddsprl.comparison.suites import Case, Stream
from ddsprl.fitting.core.budget import Progress, plan_budget
from ddsprl.fitting.core.problem import Target
from ddsprl.fitting.core.solve import Solution, solve
from ddsprl.fitting.core.solver import iteration_cost, legs_of
from ddsprl.fitting.inversion.inverter import Inverter
from ddsprl.fitting.solvers.registry import make_solver
from ddsprl.fitting.starts.registry import StartRequest, make_starts
from ddsprl.measuring.keys import stream
from synth_jax.presets import shipped_positions

# Places of a curve that are kept at most: far finer than can be drawn.
CURVE_POINTS = 64

# Lists of one length: `renders` (charged), `seconds` (of one target), `loss` (the search's own best so far).
# It is a staircase: between two places the loss is that of the earlier one.
Curve = dict[str, list[float]]


class Found(NamedTuple):
    """What a search found for a group of targets, and when.

    Attributes:
        solution: of the search.
        passed: seconds, of the group, at the points of its course, `[points]`.
    """

    solution: Solution
    passed: np.ndarray

    def curve(self, i: int, count: int) -> Curve:
        """The curve of one target, thinned; of a group of `count` that ran at once, its share of time."""
        course, seconds = self.solution.course, self.passed / count
        return thinned({"renders": course.renders[i], "seconds": seconds, "loss": course.loss[i]})


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
        # Time within a segment, and that of the starts, is shared out evenly over the renders.
        return Found(found, np.interp(found.course.renders[0], renders, seconds))

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
        request = StartRequest(
            instrument=self.inverter.problem.instrument,
            audio=case.audio,
            note=case.note,
            count=self.method.count,
            key=stream(self.seed, Stream.START, case.name, seed),
            library=self.inverter.library,
            # One less for everyone, so that one shape is compiled.
            bank=(bank if own.any() else bank[:-1]) if len(bank) else None,
        )
        points, _ = make_starts(self.method.start, request)
        return points


def thinned(curve: Mapping[str, Any]) -> Curve:
    """A curve where it got better, and its end; at most `CURVE_POINTS` places.

    What is more than that is chosen evenly over the logarithm of the renders. Thinning twice changes nothing.
    A search that begins to hear other noise on its way begins a best of its own: there the staircase stays at
    what it had until that one first improves, and may then stand higher.
    """
    arrays = {name: np.asarray(curve[name], np.float64) for name in ("renders", "seconds", "loss")}
    loss = arrays["loss"]
    if not len(loss):
        return {name: [] for name in arrays}
    kept = np.union1d(np.flatnonzero(np.diff(loss, prepend=np.inf) < 0), len(loss) - 1)
    if len(kept) > CURVE_POINTS:
        places = arrays["renders"][kept]
        spread = np.geomspace(max(places[0], 1.0), max(places[-1], 1.0), CURVE_POINTS)
        kept = kept[np.unique(np.clip(np.searchsorted(places, spread), 0, len(kept) - 1))]
    return {name: array[kept].tolist() for name, array in arrays.items()}
