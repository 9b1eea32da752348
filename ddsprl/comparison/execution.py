"""The work of a comparison, piece by piece: references, searches, judgements, metrics of the field.

A group of targets of one length is worked on at a time. Every finished piece is on disk before the next one
begins (`ddsprl.comparison.cells`), and whatever is there already is not done again, so the order of the
pieces and the number of interruptions change nothing.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from ddsprl.comparison import pricing
from ddsprl.comparison.cells import Cells
from ddsprl.comparison.curve_points import thinned
from ddsprl.comparison.judging import Judge
from ddsprl.comparison.options import MEASURED, SUITES, Settings
from ddsprl.comparison.plan import Method
from ddsprl.comparison.searching import Found, Searcher
from ddsprl.comparison.suites import Case, Suite, estimated, preset_suite, recording_suite
from ddsprl.fitting.core.solver import COUNTS, legs_of
from ddsprl.fitting.inversion.inverter import InversionConfig, Inverter, make_problem
from ddsprl.fitting.solvers.registry import make_solver
from ddsprl.fitting.starts.registry import SharedWork, shared_renders, shared_works
from ddsprl.io import UserError
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

    def __init__(self, settings: Settings, cells: Cells, *, group: int) -> None:
        """Renders the targets; nothing is searched yet.

        Args:
            settings: of the comparison.
            cells: where finished pieces are.
            group: targets worked on together.
        """
        self.settings, self.cells = settings, cells
        self._inverters: dict[float, Inverter] = {}
        self._judges: dict[int, Judge] = {}
        self._searchers: dict[tuple[str, int], Searcher] = {}
        self.suite = self._make_suite()
        self.groups = list(_grouped(self.suite.cases, group))
        self._check_budgets()

    @property
    def pieces(self) -> list[tuple[str, Callable[[], float]]]:
        """All pieces in order: what each is called, and how it is made; a call returns a loss to show."""
        settings = self.settings
        found: list[tuple[str, Callable[[], float]]] = [
            (f"references-{group.name}", lambda group=group: self._references(group)) for group in self.groups
        ]
        lengths = list(dict.fromkeys(group.n for group in self.groups))
        # Before any search: what a gradient is charged as must be known by then.
        batches = dict.fromkeys(b for method in settings.methods for b in gradient_batches(method))
        found += [
            (gradient_piece(batch, n), lambda batch=batch, n=n: self._gradient(batch, n))
            for batch in batches
            for n in lengths
        ]
        for method in settings.methods:
            found += [
                (f"cost-{method.label}-n{n}", lambda method=method, n=n: self._cost(method, n))
                for n in lengths
            ]
        for seed in range(settings.seeds):
            for budget in settings.budgets:
                for method in settings.methods:
                    task = task_name(method.label, budget, seed)
                    found += [
                        (
                            f"run-{task}-{g.name}",
                            lambda m=method, b=budget, s=seed, g=g: self._run(m, b, s, g),
                        )
                        for g in self.groups
                    ]
                    found.append((f"field-{task}", lambda task=task: self._field(task)))
        return found

    def inverter(self, duration_s: float) -> Inverter:
        """The programs and the library of clips of one length."""
        if duration_s not in self._inverters:
            problem = make_problem(self.settings.sample_rate, duration_s, instrument=self.settings.instrument)
            self._inverters[duration_s] = Inverter(problem, InversionConfig())
        return self._inverters[duration_s]

    def _make_suite(self) -> Suite:
        s = self.settings
        if s.suite == "recordings":
            return recording_suite(
                s.folder,
                self._inverters,
                self.inverter,
                sample_rate=s.sample_rate,
                max_s=s.max_seconds,
                count=s.targets,
                given=s.notes == "given",
                seed=s.seed,
            )
        inverter = self.inverter(s.seconds)
        synth = inverter.problem.instrument
        suite = preset_suite(synth, parts=SUITES[s.suite], count=s.targets, seed=s.seed)
        if s.notes == "given":
            return suite
        return suite._replace(cases=tuple(estimated(case, inverter, seed=s.seed) for case in suite.cases))

    def _inverter_of(self, n: int) -> Inverter:
        return self.inverter(n / self.settings.sample_rate)

    def _judge(self, n: int) -> Judge:
        if n not in self._judges:
            self._judges[n] = Judge(self._inverter_of(n).problem, self.settings.seed)
        return self._judges[n]

    def _searcher(self, method: Method, n: int) -> Searcher:
        if (method.label, n) not in self._searchers:
            self._searchers[method.label, n] = Searcher(
                self._inverter_of(n),
                method,
                seed=self.settings.seed,
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
            problem, judge.targets(cases), batch=batch, group=len(cases), seed=self.settings.seed
        )
        given = self.settings.gradient_cost
        charged = pricing.rounded_up(found["measured"]) if given == MEASURED else float(given)
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
        found = self._searcher(method, group.n).run(targets, group.cases, budget=left, seed=seed)
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
                "failures": int(found.failures[i]),
                # None where the method has no such thing, which is not the same as never.
                **{name: int(found.counts[name][i]) if name in found.counts else None for name in COUNTS},
                # Of a group that ran at once, a target's share.
                "seconds": found.seconds / group.count,
                "curve": _curve(found, i, group.count),
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
        free = self.settings.notes != "given"
        return float(parameter_error(u, case.u, instrument, midi_free=free).mean)

    def _check_budgets(self) -> None:
        """Refuse, before anything is rendered, a budget that shared work alone is known to spend.

        Raises:
            UserError: the method, its budget and what is left of it.
        """
        case, count = self.suite.cases[0], len(self.suite.cases)
        for method in self.settings.methods:
            library = self._inverter_of(len(case.audio)).library
            synth = library.instrument
            least = shared_renders(method.start, synth, count=method.count, library=library) / count
            _left(method, min(self.settings.budgets), least)

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
                np.stack([case.audio for case in cases]), heard, self.settings.sample_rate
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


def sound_of(cells: Cells, groups: list[Group], run: dict[str, Any]) -> np.ndarray:
    """The sound `[n]` of one run of the results."""
    for group in groups:
        names = [case.name for case in group.cases[: group.count]]
        if run["target"] in names:
            task = task_name(run["method"], run["budget"], run["seed"])
            return cells.arrays(f"run-{task}-{group.name}")["audio"][names.index(run["target"])]
    raise KeyError(run["target"])


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


def _curve(found: Found, i: int, count: int) -> dict[str, list[float]]:
    """The curve of one target of a group of `count`."""
    seconds = found.curve_seconds / count
    return thinned({"renders": found.curve_renders, "seconds": seconds, "loss": found.curve_loss[i]})
