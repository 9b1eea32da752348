"""From an agent to a finished directory: every piece that is missing, then the numbers and the page.

DIR/results.json     every number       DIR/report.html     tables, curves, sounds, trajectories
"""

import dataclasses
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import numpy as np

from ddsprl.agents.playing import Player
from ddsprl.comparison.run import Interruptible, machine
from ddsprl.env import STAGES, MatchEnv
from ddsprl.evaluation.cells import EvaluationCells, source_digest
from ddsprl.evaluation.hearing import Heard, References, references
from ddsprl.evaluation.measures import Measured, Yardsticks, duel, summary
from ddsprl.evaluation.methods import AGENT, methods
from ddsprl.evaluation.suites import Suite, make_suite
from ddsprl.evaluation.target_rows import targets_of, terms_of
from ddsprl.evaluation.tuning import is_tuned
from ddsprl.io import match_progress, versions

Results = dict[str, Any]
PACKAGES = ("jax", "jaxlib", "numpy")


@dataclass(frozen=True)
class Settings:
    """What is to be measured.

    Attributes:
        directory: for pieces and results.
        stages: numbers.
        targets: of each stage.
        suite: seed of the suites.
        budgets: of CMA-ES.
        quiet: no progress display.
        about: what else says what is evaluated, JSON-ready.
    """

    directory: Path
    stages: tuple[int, ...]
    targets: int
    suite: int
    budgets: tuple[int, ...]
    quiet: bool = False
    about: tuple[tuple[str, Any], ...] = ()


class Evaluation:
    """An environment, perhaps an agent, and what was measured so far."""

    def __init__(self, settings: Settings, env: MatchEnv, player: Player | None = None) -> None:
        """Nothing is measured yet."""
        self.settings, self.player = settings, player
        self.env = dataclasses.replace(env, config=dataclasses.replace(env.config, history=True))
        self.methods = methods(settings.budgets, player, env)
        self._suite: Suite | None = None

    def measure(self) -> Results:
        """Do what is missing; returns the results.

        Raises:
            UserError: the directory holds something else, or cannot be written.
        """
        pieces = [(stage, name) for stage in self.settings.stages for name in ("references", *self.methods)]
        done = [0]

        def message() -> str:
            where = self.settings.directory
            return f"interrupted: {done[0]} of {len(pieces)} pieces are in {where}; the same command goes on"

        with Interruptible(message) as guard, match_progress(self.settings.quiet) as display:
            self.cells = EvaluationCells(self.settings.directory, guard)
            self.cells.claim(self._identity())
            for i, (stage, name) in enumerate(pieces):
                display.update(i, len(pieces), float("nan"), "evaluating")
                if not self.cells.has(piece_name(stage, name)):
                    self._make(stage, name, display)
                done[0] = i + 1
            display.update(len(pieces), len(pieces), float("nan"), "evaluating")
            return self.results()

    def suite(self, stage: int) -> Suite:
        """The suite of a stage; the last one is kept."""
        if self._suite is None or self._suite.stage != stage:
            settings = self.settings
            self._suite = make_suite(self.env, stage, count=settings.targets, seed=settings.suite)
        return self._suite

    def arrays(self, stage: int, name: str) -> dict[str, np.ndarray]:
        """Arrays of a piece."""
        return self.cells.arrays(piece_name(stage, name))

    def yardsticks(self, stage: int) -> Yardsticks:
        """What the targets of a stage are measured against."""
        found = self.arrays(stage, "references")
        return Yardsticks(found["floor"], found["random"], found["epsilon"])

    def results(self) -> Results:
        """What `results.json` holds."""
        settings = self.settings
        return {
            "format": "ddsprl-evaluation",
            "version": 1,
            "about": dict(settings.about),
            "options": _options(settings),
            "environment": dataclasses.asdict(self.env.config),
            "tuned_for_this_setup": is_tuned(self.env.config),
            "source": source_digest(),
            "machine": machine(),
            "versions": versions(),
            "methods": list(self.methods),
            "stages": [self._stage(stage) for stage in settings.stages],
        }

    def _make(self, stage: int, name: str, display: Any) -> None:
        suite, place = self.suite(stage), piece_name(stage, name)
        if name == "references":
            found = references(suite)
            self.cells.write(place, {"rejected": suite.rejected}, _reference_arrays(suite, found))
            return

        def progress(renders: int, budget: int, loss: float) -> None:
            display.update(renders, budget, loss, f"stage {stage}: {name}")

        piece = self.methods[name](suite, progress)
        self.cells.write(place, piece.numbers, piece.arrays)

    def _stage(self, stage: int) -> dict[str, Any]:
        yardsticks, about = self.yardsticks(stage), self.cells.read(piece_name(stage, "references"))
        found = self.arrays(stage, "references")
        table, free = self.env.instrument.table, self.env.stage_mask(stage)
        measured = {name: self._measured(stage, name) for name in self.methods}
        arrays = {name: self.arrays(stage, name) for name in self.methods}
        rows = {name: summary(x, yardsticks) | self._about(stage, name) for name, x in measured.items()}
        ceiling = Measured(found["floor"], found["own"][:, None], 0.0, 1)
        return {
            "stage": stage,
            "name": STAGES[stage - 1].name,
            "knobs": [spec.name for spec, open_ in zip(table, free, strict=True) if open_],
            "rejected": about["rejected"],
            "methods": rows,
            "own_preset": summary(ceiling, yardsticks),
            "duels": {
                name: duel(measured[AGENT].loss, x.loss, yardsticks)
                for name, x in measured.items()
                if AGENT in measured and name != AGENT
            },
            "targets": targets_of(found, yardsticks, measured, arrays, np.flatnonzero(free)),
        }

    def _measured(self, stage: int, name: str) -> Measured:
        found = self.arrays(stage, name)
        numbers = self.cells.read(piece_name(stage, name))
        return Measured(found["loss"], found["curve"], numbers["seconds"], numbers["renders"])

    def _about(self, stage: int, name: str) -> dict[str, Any]:
        """Setting of a method, and the median of each of its loss terms."""
        numbers, arrays = self.cells.read(piece_name(stage, name)), self.arrays(stage, name)
        terms = {term: float(np.median(x)) for term, x in terms_of(arrays).items()}
        return {"terms": terms, **{key: numbers[key] for key in ("setting", "label") if key in numbers}}

    def _identity(self) -> dict[str, Any]:
        """What a second run into the same directory must agree with."""
        found = versions()
        record = {**_options(self.settings), "about": dict(self.settings.about)}
        record["environment"] = dataclasses.asdict(self.env.config)
        if self.player is not None:
            record["agent"] = fingerprint(self.player)
        record["backend"] = jax.default_backend()
        return {**record, "versions": {name: found[name] for name in PACKAGES}, "source": source_digest()}


def piece_name(stage: int, name: str) -> str:
    """The file of a piece."""
    plain = "".join(c for c in name.replace(" ", "_") if c.isalnum() or c in "_-")
    return f"stage{stage}-{plain}"


def fingerprint(player: Player) -> str:
    """A fingerprint of what an agent has learnt."""
    total = 0
    for leaf in jax.tree.leaves(player.state):
        total = zlib.crc32(np.ascontiguousarray(leaf).tobytes(), total)
    return f"{total:08x}"


def chosen(loss: np.ndarray, count: int) -> list[int]:
    """Targets to be shown: spread evenly from the best match to the worst."""
    order = np.argsort(loss, kind="stable")
    return [int(order[i]) for i in np.linspace(0, len(order) - 1, count).round().astype(int)] if count else []


def _options(settings: Settings) -> dict[str, Any]:
    names: Sequence[str] = ("stages", "targets", "suite", "budgets")
    return {name: getattr(settings, name) for name in names}


def _reference_arrays(suite: Suite, found: References) -> dict[str, np.ndarray]:
    judged: dict[str, Heard] = {"floor": found.floor, "random": found.random}
    arrays = {name: heard.loss for name, heard in judged.items()}
    for name, heard in judged.items():
        arrays |= {f"{name}_terms.{term}": x for term, x in heard.terms.items()}
    notes = suite.episodes.notes
    about = {"midi": np.asarray(notes.midi), "gate_s": np.asarray(notes.gate_s)}
    return arrays | about | {"own": found.own, "u": found.u, "truth": suite.truth, "epsilon": suite.epsilon}
