"""One method on targets of one length: its starts, its searches, and what its gradient costs here."""

import statistics
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from ddsprl.comparison.keys import Stream, stream
from ddsprl.comparison.plan import Method
from ddsprl.comparison.suites import Case
from ddsprl.fitting.inverter import Inverter
from ddsprl.fitting.problem import Target
from ddsprl.fitting.registry import make_solver
from ddsprl.fitting.solve import Solution, solve
from ddsprl.fitting.solver import iteration_cost
from ddsprl.fitting.starts import Starts, make_starts
from ddsprl.sharding import shard_batch
from synth_jax import load_bank, shipped_presets_dir

ROUNDS = 5


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
        seconds: of the group.
        shared: renders behind the starts that other targets share, one a target.
    """

    u: np.ndarray
    curve_renders: np.ndarray
    curve_seconds: np.ndarray
    curve_loss: np.ndarray
    renders: int
    gradients: int
    failures: np.ndarray
    seconds: float
    shared: list[int]


class Searcher:
    """A method and the inverter whose library its starts come from."""

    def __init__(self, inverter: Inverter, method: Method, *, seed: int, gradient_cost: int) -> None:
        """Nothing is compiled yet."""
        self.inverter, self.method, self.seed = inverter, method, seed
        self.solver = make_solver(method.solver, **method.solver_settings())
        self._bank = _shipped(inverter.problem.instrument.name)
        self.gradient_cost = gradient_cost
        self._warm = False

    def run(self, targets: Target, cases: list[Case], *, budget: int, seed: int) -> Found:
        """Search for a group of targets; what is compiled for it first is not in its seconds."""
        self._compile(targets, cases)
        starts, shared = self.starts(cases, seed)
        keys = jnp.stack([stream(self.seed, Stream.SEARCH, case.name, seed) for case in cases])
        begun, passed = time.perf_counter(), [(0, 0.0)]

        def progress(done: int, total: int, loss: float) -> None:
            del total, loss
            passed.append((done, time.perf_counter() - begun))

        found: Solution = solve(
            self.inverter.problem,
            self.solver,
            targets,
            starts,
            keys,
            budget=budget,
            gradient_cost=self.gradient_cost,
            progress=progress,
        )
        done, seconds = (np.array(x, np.float64) for x in zip(*passed, strict=True))
        # Time within a segment, and that of the starts, is shared out evenly over the renders.
        share = starts.shape[1] / iteration_cost(self.solver, self.gradient_cost)
        done[1:] += share
        at = np.interp(np.arange(found.iterations + 1) + share, done, seconds)
        return Found(
            found.u,
            found.curve_renders,
            at,
            found.curve_loss,
            found.renders,
            found.gradients,
            found.failures,
            found.seconds,
            shared,
        )

    def measure(self, targets: Target, cases: list[Case]) -> dict[str, Any]:
        """Seconds for compiling, and what a gradient costs in renders at the solver's own batch."""
        numbers: dict[str, Any] = {"compile_s": self._compile(targets, cases), "gradient": None}
        batch = self.solver.gradients
        if batch:
            numbers["gradient"] = {"batch": batch, **self._gradient_cost(targets, batch, len(cases))}
        return numbers

    def _compile(self, targets: Target, cases: list[Case]) -> float:
        """Run a few iterations, so that every program is there."""
        if self._warm:
            return 0.0
        begun = time.perf_counter()
        starts, _ = self.starts(cases, 0)
        keys = jnp.stack([stream(self.seed, Stream.START, case.name) for case in cases])
        cost = iteration_cost(self.solver, self.gradient_cost)
        budget = starts.shape[1] + 2 * cost + (1 if cost > 1 else 0)
        problem, cost = self.inverter.problem, self.gradient_cost
        solve(problem, self.solver, targets, starts, keys, budget=budget, gradient_cost=cost)
        self._warm = True
        return time.perf_counter() - begun

    def _gradient_cost(self, targets: Target, batch: int, group: int) -> dict[str, float]:
        """Time scores and gradients of one batch in turns."""
        problem = self.inverter.problem
        keys = jnp.stack([stream(self.seed, Stream.START, i) for i in range(group)])
        u = jnp.stack([jax.random.uniform(key, (batch, problem.instrument.n_params)) for key in keys])
        programs = [shard_batch(jax.vmap(f)) for f in (problem.scores, problem.gradients)]
        for program in programs:
            jax.block_until_ready(program(u, targets, keys))
        taken = [
            [_seconds(lambda p=program: p(u, targets, keys)) for program in programs] for _ in range(ROUNDS)
        ]
        ratio = statistics.median(gradient / score for score, gradient in taken)
        score = statistics.median(score for score, _ in taken) / (batch * group)
        return {"measured": ratio, "charged": float(self.gradient_cost), "score_s": score, "rounds": ROUNDS}

    def starts(self, cases: list[Case], seed: int) -> tuple[np.ndarray, list[int]]:
        """Starting points `[G, k, d]`, and the shared renders behind those of each target."""
        found = [self._start(case, seed) for case in cases]
        return np.stack([points for points, _ in found]), [shared for _, shared in found]

    def _start(self, case: Case, seed: int) -> Starts:
        # A shipped preset that is itself the target is not among the starts.
        own = np.zeros(len(self._bank), bool) if case.u is None else np.abs(self._bank - case.u).max(1) < 1e-6
        bank = self._bank[~own]
        return make_starts(
            self.method.start,
            case.audio,
            case.note,
            instrument=self.inverter.problem.instrument,
            count=self.method.count,
            key=stream(self.seed, Stream.START, case.name, seed),
            library=self.inverter.library,
            # One less for everyone, so that one shape is compiled.
            bank=bank if own.any() else bank[:-1],
        )


def _shipped(instrument: str) -> np.ndarray:
    """Presets that come with an instrument, `[b, d]`."""
    return np.stack([p.to_unit() for p in load_bank(shipped_presets_dir()) if p.instrument == instrument])


def _seconds(call: Callable[[], Any]) -> float:
    begun = time.perf_counter()
    jax.block_until_ready(call())
    return time.perf_counter() - begun
