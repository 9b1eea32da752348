"""Every instrument that hears notes goes through the full commands: match, compare, train, evaluate.

    python benchmarks/instruments.py                      # all of the registry
    python benchmarks/instruments.py --instruments sine

The commands run as users run them, in processes of their own, at small sizes: what is shown is that they
work and what they cost, not how well they match. The suite does the same for two instruments only.
"""

import json
import resource
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import soundfile as sf

import _common
from ddsprl.plant import make_instrument, playable
from synth_jax import Note

RATE, SECONDS = 8_000, 0.25
EVALUATE = ("--targets", "3", "--stages", "1", "--budgets", "50", "60", "--players", "1")
COMPARE = """
defaults: {suite: random, targets: 2, seeds: 1, budgets: [128], sample_rate: 8000, seconds: 0.25, players: 1}
methods:
  - {label: cma_es, solver: cma_es, start: best, count: 16, settings: {population: 8}}
  - {label: hybrid, solver: hybrid, start: best, count: 16}
"""
TRAIN = """
agent: {network: {width: 8, blocks: 1, patch_features: 4, patch_summary: 2}, batch: 8, capacity: 256}
env: {instrument: %s, sample_rate: 8000, duration_s: 0.25, steps: 6, bucket: 8, epsilon: 0.5,
  history: false, objective: {terms: [mr, loud], n_ffts: [256], mel_n_fft: 256}}
loop: {n_envs: 4, iterations: 12, learn_after: 12, chunk: 3}
curriculum: {last_stage: 1, evaluate_every: 6, evaluate_episodes: 4, threshold: 100.0}
log: {name: run, every: 3, checkpoint_every: 12, tensorboard: false, snapshots_every: 12}
"""


def commands(name: str, folder: Path) -> Iterator[tuple[str, list[str]]]:
    """Each command with its arguments; what a later one needs, an earlier one has written."""
    target = folder / "target.wav"
    instrument = make_instrument(name, RATE, SECONDS)
    middle = instrument.snap(jnp.full(instrument.n_params, 0.5))
    sf.write(target, np.asarray(instrument.render(middle, Note(60.0, 0.15, 1.0), jax.random.key(0))), RATE)
    small = ["--sample-rate", str(RATE), "--max-seconds", str(SECONDS), "--budget", "128", "--midi", "60"]
    yield "match", [str(target), "--instrument", name, "--out", str(folder / "match"), *small]
    (folder / "compare.yaml").write_text(COMPARE)
    given = ["--config", str(folder / "compare.yaml"), "--out", str(folder / "compare")]
    yield "compare", [*given, "--instrument", name]
    (folder / "train.yaml").write_text(TRAIN % name)
    yield "train", ["--config", str(folder / "train.yaml"), "--out", str(folder)]
    yield "evaluate", [str(folder / "run-001"), *EVALUATE, "--out", str(folder / "evaluate")]


def run(command: str, arguments: list[str]) -> float:
    """CPU seconds of a command, compilation included; its error ends this script."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    line = [sys.executable, "-m", f"ddsprl.{command}", *arguments, "--quiet"]
    done = subprocess.run(line, cwd=_common.RESULTS.parent.parent, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{' '.join(line)}: exit {done.returncode}\n{done.stderr[-2000:]}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def through(name: str) -> dict[str, Any]:
    """Seconds by command, and what the match came to."""
    row: dict[str, Any] = {"instrument": name}
    with tempfile.TemporaryDirectory() as place:
        for command, arguments in commands(name, Path(place)):
            row[f"{command}_cpu_s"] = run(command, arguments)
        row["loss"] = json.loads((Path(place) / "match" / "target" / "result.json").read_text())["loss"]
    return row


def main() -> None:
    """Print the table and write the JSON."""
    parser = _common.parser(__doc__, rounds=1)
    parser.add_argument("--instruments", nargs="+", choices=playable(), help="default: all that hear notes")
    options = parser.parse_args()
    names = options.instruments or (("sine",) if options.quick else playable())
    rows = [through(name) for name in names]
    _common.print_table("Full commands at small sizes", rows)
    _common.save("instruments", options, {"rows": rows})


if __name__ == "__main__":
    main()
