"""Made-up results for the tables, and one tiny comparison that is really run."""

import json
from pathlib import Path

import numpy as np
import pytest

from ddsprl import compare

TINY = """
defaults: {suite: random, targets: 2, seeds: 1, budgets: [64], sample_rate: 8000, seconds: 0.25, group: 1}
methods:
  - {label: random, solver: random, start: random, count: 8, settings: {population: 8}}
  - {label: adam, solver: adam, start: neutral, count: 4, settings: {members: 2}}
"""
LABELS, BUDGETS, SEEDS = ("hybrid", "cma_es", "random"), (128, 512), 3
TARGETS = {"random": 6, "bank": 4}


@pytest.fixture
def config(tmp_path) -> Path:
    path = tmp_path / "tiny.yaml"
    path.write_text(TINY)
    return path


@pytest.fixture(scope="session")
def finished(tmp_path_factory) -> tuple[Path, list[str]]:
    """A finished directory, and the arguments that made it."""
    folder = tmp_path_factory.mktemp("compare")
    (folder / "tiny.yaml").write_text(TINY)
    arguments = ["--config", str(folder / "tiny.yaml"), "--out", str(folder / "out"), "--quiet"]
    assert compare.main([*arguments, "--ratio", "adam", "random"]) == 0
    return folder / "out", arguments


def made_up(*, seed: int = 0) -> dict:
    """Results as a comparison would collect them, with numbers out of a hat and no summary."""
    rng = np.random.default_rng(seed)
    targets, runs = [], []
    for part, count in TARGETS.items():
        for i in range(count):
            floor, best = rng.uniform(0.2, 0.5), rng.uniform(1.5, 3.0)
            levels = {"floor": floor, "percent": 1.3 * floor, "best_512": 1.2 * best, "best_4096": best}
            references = {name: {"loss": x, "yardstick": 0.8 * x} for name, x in levels.items()}
            about = {"name": f"{part}-{i}", "part": part, "midi": 60.0, "gate_s": 0.2, "samples": 400}
            targets.append({**about, "note_renders": 0, "references": references})
            runs += [
                _run(rng, label, budget, s, about["name"], floor, best)
                for label in LABELS
                for budget in BUDGETS
                for s in range(SEEDS)
            ]
    cost = [{"samples": 400, "batch": 4, "measured": 3.5, "charged": 4.0, "score_s": 1e-3}]
    return {
        "options": {
            "budgets": list(BUDGETS),
            "seeds": SEEDS,
            "notes": "given",
            "sample_rate": 8_000,
            "seed": 1,
            "gradient_cost": 4,
            "methods": [{"label": label} for label in LABELS],
        },
        "machine": {"backend": "cpu"},
        "versions": {"jax": "1"},
        "rejected": {"random": 3, "bank": 0},
        "targets": targets,
        "methods": {label: {"gradient_cost": cost if label == "hybrid" else []} for label in LABELS},
        "runs": runs,
    }


def _run(rng, label: str, budget: int, seed: int, target: str, floor: float, best: float) -> dict:
    skill = {"hybrid": 0.2, "cma_es": 0.5, "random": 1.3}[label] * (128 / budget) ** 0.3
    loss = floor + (best - floor) * skill * rng.uniform(0.6, 1.5)
    gradients = budget // 8 if label == "hybrid" else 0
    places = np.geomspace(16, budget, 12)
    return {
        "method": label,
        "budget": budget,
        "seed": seed,
        "target": target,
        "loss": loss,
        "yardstick": 0.8 * loss,
        "parameter_error": rng.uniform(0.05, 0.3),
        "renders": budget - 4 * gradients,
        "gradients": gradients,
        "shared": 40.0,
        "charged": budget + 40.0,
        "seconds": rng.uniform(0.5, 2.0),
        "failures": int(rng.integers(3)),
        "restarts": int(rng.integers(4)) if label == "cma_es" else None,
        "restored": int(rng.integers(2)) if label == "hybrid" else None,
        "backed_off": int(rng.integers(900, 1100)) if label == "hybrid" else None,
        "mss": rng.uniform(2, 9),
        "wmfcc": rng.uniform(2, 9),
        "sot": rng.uniform(0.01, 0.1),
        "rms_cosine": rng.uniform(0.7, 1.0),
        "curve": {
            "renders": places.tolist(),
            "seconds": (0.001 * places).tolist(),
            "loss": np.linspace(best * 1.5, loss, 12).tolist(),
        },
    }


def strict(path: Path):
    """JSON that holds only numbers that JSON has."""

    def refuse(name):
        raise AssertionError(f"{name} is not JSON")

    return json.loads(path.read_text(), parse_constant=refuse)
