"""The work of a comparison, piece by piece: references, searches, judgements, metrics of the field.

A group of targets of one length is worked on at a time. Every finished piece is on disk before the next one
begins (`ddsprl.measuring.cells`), and whatever is there already is not done again, so the order of the
pieces and the number of interruptions change nothing.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from ddsprl.comparison import pricing
from ddsprl.comparison.judging import Judge
from ddsprl.comparison.plan import Experiment, Method
from ddsprl.comparison.searching import Searcher
from ddsprl.comparison.suites import Case, make_suite
from ddsprl.fitting.core.solver import COUNTS, legs_of
from ddsprl.fitting.inversion.inverter import InversionConfig, Inverter, make_problem
from ddsprl.fitting.solvers.registry import make_solver
from ddsprl.fitting.starts.registry import SharedWork, shared_renders, shared_works
from ddsprl.io import UserError
from ddsprl.measuring.cells import Cells, Job
from ddsprl.metrics import field_metrics_batch, parameter_error


@dataclass(frozen=True)
class Group:
    """Targets that are worked on together.

    Attributes:
        name: for files.
        cases: filled up with copies of the last one, so that one shape is compiled.
        count: how many of them are meant.
    """

    name: str
    cases: list[Case]
    count: int

    @property
    def n(self) -> int:
        """Samples of a clip."""
        return len(self.cases[0].audio)


class Execution:
    """One comparison in one directory."""

    def __init__(self, experiment: Experiment, cells: Cells) -> None:
        """Renders the targets; nothing is searched yet.

        Args:
            experiment: what is compared, with its group settled.
            cells: where finished pieces are.

        Raises:
            UserError: a target cannot be used, or a budget does not pay for shared work.
        """
        assert experiment.group is not None
        self.experiment, self.cells = experiment, cells
        self._inverters: dict[float, Inverter] = {}
        self._judges: dict[int, Judge] = {}
        self._searchers: dict[tuple[str, int], Searcher] = {}
        self.suite = make_suite(experiment.targets, experiment.seed, self.inverter)
        self.groups = list(_grouped(self.suite.cases, experiment.group))
        self._check_budgets()

    @property
    def jobs(self) -> list[Job]:
        """How all pieces are made, in order."""
        experiment = self.experiment
        found: list[Job] = [
            (f"references-{group.name}", lambda group=group: self._references(group)) for group in self.groups
        ]
        lengths = list(dict.fromkeys(group.n for group in self.groups))
        # Before any search: what a gradient is charged as must be known by then.
        batches = dict.fromkeys(b for method in experiment.methods for b in gradient_batches(method))
        found += [
            (gradient_piece(batch, n), lambda batch=batch, n=n: self._gradient(batch, n))
            for batch in batches
            for n in lengths
        ]
        for method in experiment.methods:
            found += [
                (f"cost-{method.label}-n{n}", lambda method=method, n=n: self._cost(method, n))
                for n in lengths
            ]
        for seed in range(experiment.seeds):
            for budget in experiment.budgets:
                for method in experiment.methods:
                    found += self._runs(method, budget, seed)
        return found

    def _runs(self, method: Method, budget: int, seed: int) -> list[Job]:
        """Of one method with one budget and seed."""
        task = task_name(method.label, budget, seed)
        runs: list[Job] = [
            (f"run-{task}-{group.name}", lambda group=group: self._run(method, budget, seed, group))
            for group in self.groups
        ]
        return [*runs, (f"field-{task}", lambda: self._field(task))]

    def inverter(self, duration_s: float) -> Inverter:
        """The programs and the library of clips of one length."""
        if duration_s not in self._inverters:
            rate, instrument = self.experiment.targets.sample_rate, self.experiment.instrument
            problem = make_problem(rate, duration_s, instrument=instrument)
            self._inverters[duration_s] = Inverter(problem, InversionConfig())
        return self._inverters[duration_s]

    def _inverter_of(self, n: int) -> Inverter:
        return self.inverter(n / self.experiment.targets.sample_rate)

    def _judge(self, n: int) -> Judge:
        if n not in self._judges:
            self._judges[n] = Judge(self._inverter_of(n).problem, self.experiment.seed)
        return self._judges[n]

    def _searcher(self, method: Method, n: int) -> Searcher:
        if (method.label, n) not in self._searchers:
            self._searchers[method.label, n] = Searcher(
                self._inverter_of(n),
                method,
                seed=self.experiment.seed,
                gradient_cost=self._price(method, n),
            )
        return self._searchers[method.label, n]

    def _references(self, group: Group) -> float:
        rows = self._judge(group.n).references(group.cases, group.count)
        names = [case.name for case in group.cases[: group.count]]
        self.cells.write(f"references-{group.name}", {"targets": dict(zip(names, rows, strict=True))})
        return float("nan")

    def _price(self, method: Method, n: int) -> float:
        """Renders that a gradient of a method is charged as; where it takes none, that does not matter."""
        costs = [self.cells.read(gradient_piece(batch, n)) for batch in gradient_batches(method)]
        return pricing.dearest(costs) if costs else 1.0

    def _gradient(self, batch: int, n: int) -> float:
        """Measure what a gradient costs, and settle what it is charged as: once, whoever goes on."""
        cases = next(group for group in self.groups if group.n == n).cases
        problem, judge = self._inverter_of(n).problem, self._judge(n)
        found = pricing.measure(
            problem, judge.targets(cases), batch=batch, group=len(cases), seed=self.experiment.seed
        )
        given = self.experiment.gradient_cost
        charged = pricing.rounded_up(found["measured"]) if given == pricing.MEASURED else float(given)
        numbers = {"samples": n, "batch": batch, "charged": charged, **found}
        self.cells.write(gradient_piece(batch, n), numbers)
        return float("nan")

    def _cost(self, method: Method, n: int) -> float:
        """Compile the programs of a method."""
        group = next(group for group in self.groups if group.n == n)
        targets = self._judge(n).targets(group.cases)
        seconds = self._searcher(method, n).warm_up(targets, group.cases)
        self.cells.write(f"cost-{method.label}-n{n}", {"samples": n, "compile_s": seconds})
        return float("nan")

    def _run(self, method: Method, budget: int, seed: int, group: Group) -> float:
        """Search, judge and store one group."""
        judge = self._judge(group.n)
        targets = judge.targets(group.cases)
        left = _left(method, budget, self._shared(method))
        timed = self._searcher(method, group.n).run(targets, group.cases, budget=left, seed=seed)
        found, counts = timed.solution, timed.solution.course.counts
        verdict = judge.verdict(found.u, targets, group.cases)
        rows = [
            {
                "target": case.name,
                "loss": float(verdict.loss[i]),
                "yardstick": float(verdict.yardstick[i]),
                "terms": {name: float(value[i]) for name, value in verdict.terms.items()},
                "parameter_error": self._parameter_error(found.u[i], case),
                "renders": found.renders,
                "gradients": found.gradients,
                "failures": int(counts["failures"][i]),
                # None where the method has no such thing, which is not the same as never.
                **{name: int(counts[name][i]) if name in counts else None for name in COUNTS},
                # Of a group that ran at once, a target's share.
                "seconds": found.seconds / group.count,
                "curve": timed.curve(i, group.count),
                "works": self._works(method, case),
            }
            for i, case in enumerate(group.cases[: group.count])
        ]
        arrays = {"u": found.u[: group.count], "audio": verdict.audio[: group.count].astype(np.float32)}
        name = f"run-{task_name(method.label, budget, seed)}-{group.name}"
        self.cells.write(name, {"method": method.label, "budget": budget, "seed": seed, "rows": rows}, arrays)
        return float(np.mean([row["loss"] for row in rows]))

    def _parameter_error(self, u: np.ndarray, case: Case) -> float | None:
        if case.u is None:
            return None
        instrument = self._inverter_of(len(case.audio)).problem.instrument
        free = self.experiment.targets.notes != "given"
        return float(parameter_error(u, case.u, instrument, midi_free=free).mean)

    def _check_budgets(self) -> None:
        """Refuse, before anything is rendered, a budget that shared work alone is known to spend.

        Raises:
            UserError: the method, its budget and what is left of it.
        """
        case, count = self.suite.cases[0], len(self.suite.cases)
        for method in self.experiment.methods:
            library = self._inverter_of(len(case.audio)).library
            synth = library.instrument
            least = shared_renders(method.start, synth, count=method.count, library=library) / count
            _left(method, min(self.experiment.budgets), least)

    def _works(self, method: Method, case: Case) -> tuple[SharedWork, ...]:
        """What the start of a method shares with other targets."""
        library = self._inverter_of(len(case.audio)).library
        return shared_works(method.start, library.instrument, case.note, count=method.count, library=library)

    def _shared(self, method: Method) -> float:
        """Renders that a method's start shares, divided by the targets of this comparison.

        Every target of the suite counts once, however many seeds there are.
        """
        works = {work for case in self.suite.cases for work in self._works(method, case)}
        return sum(work.renders for work in works) / len(self.suite.cases)

    def _field(self, task: str) -> float:
        """Metrics of the field for all targets of one task, one length at a time."""
        found: dict[str, dict[str, float]] = {}
        for n in dict.fromkeys(group.n for group in self.groups):
            groups = [group for group in self.groups if group.n == n]
            cases = [case for group in groups for case in group.cases[: group.count]]
            sounds = np.concatenate(
                [self.cells.arrays(f"run-{task}-{group.name}")["audio"] for group in groups]
            )
            heard = sounds * np.stack([case.window for case in cases])
            metrics = field_metrics_batch(
                np.stack([case.audio for case in cases]), heard, self.experiment.targets.sample_rate
            )
            for i, case in enumerate(cases):
                values = {name: float(np.nan_to_num(x[i])) for name, x in metrics._asdict().items()}
                found[case.name] = values
        self.cells.write(f"field-{task}", {"targets": found})
        return float("nan")


def task_name(label: str, budget: int, seed: int) -> str:
    """What a method's runs with one budget and seed are called."""
    return f"{label}-b{budget}-s{seed}"


def gradient_batches(method: Method) -> tuple[int, ...]:
    """Positions that a method differentiates in one iteration, of each leg that differentiates any."""
    legs = legs_of(make_solver(method.solver, **method.solver_settings()))
    return tuple(dict.fromkeys(leg.solver.gradients for leg in legs if leg.solver.gradients))


def gradient_piece(batch: int, n: int) -> str:
    """What the cost of a gradient is called."""
    return f"gradient-b{batch}-n{n}"


def _left(method: Method, budget: int, shared: float) -> int:
    """Renders for the search itself.

    Raises:
        UserError: fewer than it has starting points.
    """
    allowed = budget * method.times
    left = allowed - math.ceil(shared) if method.charge_shared else allowed
    if left < method.count:
        paid = f"{allowed} renders leave {left} after the shared work of its start"
        raise UserError(f"{method.label}: {paid}, fewer than its {method.count} starting points")
    return left


def _grouped(cases: tuple[Case, ...], size: int) -> Iterator[Group]:
    number = 0
    for n in dict.fromkeys(len(case.audio) for case in cases):
        same = [case for case in cases if len(case.audio) == n]
        for first in range(0, len(same), size):
            chosen = same[first : first + size]
            filled = chosen + [chosen[-1]] * (size - len(chosen))
            yield Group(f"g{number:03d}", filled, len(chosen))
            number += 1
