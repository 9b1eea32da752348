"""The settings of CMA-ES that the baselines use, tuned before anything was measured: `data/cma_es.json`.

    python -m ddsprl.evaluation.tune_cma_es            # measures the grid and writes the file

For every stage and budget all settings of a small grid search for the same targets, of the split `reference`,
which no evaluation sees; the one with the lowest median excess, the measure that methods are compared by, is
used. Every number of the grid is in the file.
"""

import functools
import itertools
import json
import math
from importlib import resources
from typing import Any, NamedTuple

import numpy as np

from ddsprl.env.match.environment import MatchEnv
from ddsprl.env.match.references import setup_of
from ddsprl.evaluation.hearing import judge, references
from ddsprl.evaluation.search import Progress, Setting, cma_es
from ddsprl.evaluation.suites import Suite
from ddsprl.metrics import excess_ratio

FILE = "cma_es.json"
FEWEST = 4


class Grid(NamedTuple):
    """What is tried at a budget.

    Attributes:
        targets: of each stage.
        starts: numbers of random presets scored first; 0 is the neutral patch.
        populations: presets an iteration.
        sigmas: in knob positions.
    """

    targets: int
    starts: tuple[int, ...]
    populations: tuple[int, ...]
    sigmas: tuple[float, ...]

    @property
    def settings(self) -> list[Setting]:
        """All combinations."""
        return [Setting(*row) for row in itertools.product(self.starts, self.populations, self.sigmas)]


# Fewer targets where a search takes longer.
GRIDS = {
    50: Grid(24, (0, 8, 16), (4, 8), (0.05, 0.1, 0.2)),
    500: Grid(8, (32,), (8, 16), (0.1, 0.2)),
    2000: Grid(4, (64,), (16, 32), (0.1, 0.2)),
}


def tuned(env: MatchEnv, stage: int, budget: int) -> Setting:
    """The setting for a stage and a budget: of the nearest budget that was tuned, made to fit.

    A setup that was not tuned takes the settings of the one that was.
    """
    stored = _stored()["setups"]
    wanted = setup_of(env)
    entry = next((entry for entry in stored if entry["setup"] == wanted), stored[0])
    near = min(abs(row["stage"] - stage) for row in entry["tuned"])
    rows = [row for row in entry["tuned"] if abs(row["stage"] - stage) == near]
    row = min(rows, key=lambda row: abs(math.log(row["budget"] / budget)))
    return fitted(Setting(**row["setting"]), budget)


def is_tuned(env: MatchEnv) -> bool:
    """Whether settings were tuned for this instrument, rate, duration, probes and objective."""
    return any(entry["setup"] == setup_of(env) for entry in _stored()["setups"])


def fitted(setting: Setting, budget: int) -> Setting:
    """A setting that a small budget pays for.

    Raises:
        ValueError: the budget is too small for any.
    """
    if budget < 1 + FEWEST:
        raise ValueError(f"budget: {budget} renders; CMA-ES takes at least {1 + FEWEST}")
    start = min(setting.start, budget // 3)
    population = max(FEWEST, min(setting.population, (budget - max(1, start)) // 2))
    if max(1, start) + population > budget:
        start = 0
    return Setting(start, population, setting.sigma)


def measure_grid(
    suite: Suite, budget: int, settings: list[Setting], progress: Progress | None = None
) -> dict[str, Any]:
    """The figures of all settings at one stage and budget, JSON-ready, and the best of them.

    Args:
        suite: of the split `reference`.
        budget: renders for each target.
        settings: to try.
        progress: called with settings done, settings in all, and the last median excess.
    """
    found = references(suite)
    rows = []
    for i, setting in enumerate(settings):
        loss = judge(suite, cma_es(suite, setting, budget=budget).u).loss
        share = excess_ratio(loss, found.floor.loss, found.random.loss)
        share = share[np.isfinite(share)]
        median = float(np.median(share))
        rows.append({**vars(setting), "median_excess": median})
        if progress is not None:
            progress(i + 1, len(settings), median)
    best = min(range(len(rows)), key=lambda i: rows[i]["median_excess"])
    about = {"stage": suite.stage, "budget": budget, "targets": suite.count, "seed": suite.seed}
    return {**about, "setting": vars(settings[best]), "grid": rows}


@functools.cache
def _stored() -> dict[str, Any]:
    file = resources.files("ddsprl.evaluation") / "data" / FILE
    return json.loads(file.read_text(encoding="utf-8"))
