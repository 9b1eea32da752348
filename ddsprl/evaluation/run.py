"""From an agent to finished pieces: references and every method, on the suite of every stage."""

import dataclasses
import math
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import numpy as np

from ddsprl.agents.playing import Player
from ddsprl.env import MatchEnv
from ddsprl.evaluation.methods import methods, reference_piece
from ddsprl.evaluation.suites import Suite, make_suite
from ddsprl.io.sources import source_digest
from ddsprl.measuring.cells import Job
from ddsprl.measuring.machine import place
from ddsprl.measuring.work import Work, loss_text

REFERENCES = "references"
# Makes all pieces, and knows nothing of tables and pages.
ENTRY = "ddsprl.evaluation.methods"


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

    def record(self) -> dict[str, Any]:
        """What the numbers depend on, as JSON holds it."""
        return {name: getattr(self, name) for name in ("stages", "targets", "suite", "budgets")}


class Evaluation:
    """An environment, perhaps an agent, and what was measured so far."""

    def __init__(self, settings: Settings, env: MatchEnv, player: Player | None = None) -> None:
        """Nothing is measured yet."""
        self.settings, self.player = settings, player
        self.env = dataclasses.replace(env, config=dataclasses.replace(env.config, history=True))
        self.methods = methods(settings.budgets, player, env)
        self._suite: Suite | None = None

    def measure(self) -> None:
        """Do what is missing.

        Raises:
            UserError: the directory holds something else, or cannot be written.
        """
        settings = self.settings
        with Work(settings.directory, "evaluation", quiet=settings.quiet) as work:
            self.cells = work.cells
            work.cells.claim(self._identity())
            work.do([job for stage in settings.stages for job in self._jobs(stage, work)], "evaluating")

    def suite(self, stage: int) -> Suite:
        """The suite of a stage; the last one is kept."""
        if self._suite is None or self._suite.stage != stage:
            settings = self.settings
            self._suite = make_suite(self.env, stage, count=settings.targets, seed=settings.suite)
        return self._suite

    def arrays(self, stage: int, name: str) -> dict[str, np.ndarray]:
        """Arrays of a piece."""
        return self.cells.arrays(piece_name(stage, name))

    def numbers(self, stage: int, name: str) -> dict[str, Any]:
        """Numbers of a piece."""
        return self.cells.read(piece_name(stage, name))

    def _jobs(self, stage: int, work: Work) -> list[Job]:
        return [
            (piece_name(stage, name), lambda name=name: self._make(stage, name, work))
            for name in (REFERENCES, *self.methods)
        ]

    def _make(self, stage: int, name: str, work: Work) -> float:
        suite = self.suite(stage)

        def progress(renders: int, budget: int, loss: float) -> None:
            work.display.update(renders, budget, loss_text(loss), f"stage {stage}: {name}")

        piece = reference_piece(suite) if name == REFERENCES else self.methods[name](suite, progress)
        work.cells.write(piece_name(stage, name), piece.numbers, piece.arrays)
        return math.nan

    def _identity(self) -> dict[str, Any]:
        """What a second session in the same directory must agree with."""
        record = {**self.settings.record(), "about": dict(self.settings.about)}
        record["environment"] = dataclasses.asdict(self.env.config)
        if self.player is not None:
            record["agent"] = fingerprint(self.player)
        return record | place(source_digest(ENTRY))


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
