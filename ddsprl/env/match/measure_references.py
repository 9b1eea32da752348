"""Measures what `references` looks up: noise floors and small steps away from presets, stage by stage."""

import argparse
import dataclasses
import json
import os
from pathlib import Path
from typing import Any

import numpy as np

from ddsprl.env.match.curriculum import stages_of
from ddsprl.env.match.environment import MatchEnv
from ddsprl.env.match.floors import losses_near_targets
from ddsprl.env.match.make import make_matcher, stage_params
from ddsprl.env.match.references import COMMAND, FILE, setup_of
from ddsprl.env.match.types import EnvConfig
from synth_jax.instruments import DEFAULT_INSTRUMENT, INSTRUMENTS

MOVES = (0.01, 0.05)
PRESETS, SEED = 256, 20_000


def measure_stages(env: MatchEnv, *, presets: int = PRESETS, seed: int = SEED) -> list[dict[str, Any]]:
    """The figures of all stages, JSON-ready."""
    rows = []
    for number, stage in enumerate(stages_of(env.instrument), start=1):
        params, rejected = stage_params(env, number, split="reference", count=presets, seed=seed, epsilon=0.0)
        floor, one, five = np.asarray(losses_near_targets(env, params, (0.0, *MOVES), seed=seed))
        figures = {"floor": floor, "one_percent": one, "five_percent": five, "excess": one - floor}
        medians = {name: float(np.median(value)) for name, value in figures.items()}
        extra = {"presets": presets, "rejected": rejected}
        rows.append({"stage": number, "name": stage.name, **medians, **extra})
    return rows


def main(arguments: list[str] | None = None) -> None:
    """Measure one setup, print it, and put it into the file."""
    parser = argparse.ArgumentParser(prog=COMMAND, description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--instrument", default=DEFAULT_INSTRUMENT, choices=list(INSTRUMENTS))
    parser.add_argument("--probes", type=int, default=1)
    parser.add_argument("--presets", type=int, default=PRESETS)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "data" / FILE)
    options = parser.parse_args(arguments)
    own = {"instrument": options.instrument, "probes": options.probes, "history": False}
    env = make_matcher(dataclasses.replace(EnvConfig(), **own))
    rows = measure_stages(env, presets=options.presets)
    for row in rows:
        print(
            f"{row['stage']} {row['name']:15} floor {row['floor']:.4f}  1 % {row['one_percent']:.4f}  "
            f"5 % {row['five_percent']:.4f}  excess {row['excess']:.4f}  rejected {row['rejected']}"
        )
    _put(options.out, {"setup": setup_of(env), "seed": SEED, "stages": rows})
    print(f"written to {options.out}")


def _put(path: Path, entry: dict[str, Any]) -> None:
    """Add or replace one setup; the file is complete or not there."""
    old = json.loads(path.read_text(encoding="utf-8"))["setups"] if path.is_file() else []
    setups = [e for e in old if e["setup"] != entry["setup"]] + [entry]
    temporary = path.with_name(f".{path.name}.partial")
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps({"command": COMMAND, "setups": setups}, indent=1)
    temporary.write_text(text + "\n", encoding="utf-8")
    os.replace(temporary, path)


if __name__ == "__main__":
    main()
