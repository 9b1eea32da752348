"""What `kill -9` costs a training run: one in one go, and one that is killed at random moments.

The run is `configs/quick.yaml`, shortened, with frequent checkpoints. It is trained undisturbed first. Then
it is begun again and killed at random moments, from the start of the process on, each time continued by
`--resume` (or begun anew, where not even its directory was there). Every kill may cost what came after the
last checkpoint and nothing else; in the end the log (but for what a clock says) and every array of the last
checkpoint must be those of the undisturbed run, bit for bit.

    python benchmarks/training_kills.py
    python benchmarks/training_kills.py --quick
"""

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from _common import parser, print_table, save
from ddsprl.io.checkpoints import Checkpoints
from ddsprl.io.run_log import read_log
from ddsprl.training.options import config_of
from ddsprl.training.trainer import prepared

ROOT = Path(__file__).resolve().parent.parent
NAME = "kills"
# What a clock says.
WALL = ("wall_s", "steps_per_s", "evaluation_s", "demonstrations_s")


def started(*arguments: object) -> subprocess.Popen[str]:
    """The command line; what it says is thrown away."""
    command = [sys.executable, "-m", "ddsprl.train", *map(str, arguments)]
    quiet = subprocess.DEVNULL
    return subprocess.Popen(command, cwd=ROOT, stdout=quiet, stderr=quiet, text=True)


def first_arguments(out: Path, options: argparse.Namespace, iterations: int | None = None) -> list[object]:
    """The command line of a new run, of so many iterations."""
    fields = {
        "log.name": NAME,
        "log.every": options.interval,
        "log.checkpoint_every": options.interval,
        "log.tensorboard": False,
        "log.snapshots_every": 0,
        "loop.iterations": iterations or options.iterations,
        "curriculum.evaluate_every": 5 * options.interval,
    }
    given: list[object] = ["--config", "configs/quick.yaml", "--out", out, "--quiet"]
    for name, value in fields.items():
        given += [f"--{name}", value]
    return given


def arguments_of(out: Path, options: argparse.Namespace) -> list[object]:
    """The command line that goes on with a run, or begins it where there is none."""
    run = run_in(out)
    return first_arguments(out, options) if run is None else ["--resume", run, "--quiet"]


def run_in(out: Path) -> Path | None:
    """The run under `out`, if there is one; a kill may have left a directory without settings before it."""
    return next((x.parent for x in sorted(out.glob(f"{NAME}-*/config.json"))), None)


def reached(run: Path | None) -> tuple[int, int]:
    """The last iteration that the log tells of, and that of the newest checkpoint; 0 where there is none."""
    if run is None:
        return 0, 0
    log = run / "log.jsonl"
    told = [r["iteration"] for r in read_log(log) if "iteration" in r] if log.exists() else []
    kept = Checkpoints(run / "checkpoints").steps() if (run / "checkpoints").exists() else []
    return max(told, default=0), max(kept, default=0)


def kill(out: Path, options: argparse.Namespace, after_s: float) -> dict[str, Any]:
    """Go on for so long, then kill; what it had reached and what was kept."""
    before = reached(run_in(out))[1]
    process = started(*arguments_of(out, options))
    until = time.perf_counter() + after_s
    while process.poll() is None and time.perf_counter() < until:
        time.sleep(0.005)
    ended = process.poll() is not None
    process.kill()
    process.wait()
    told, kept = reached(run_in(out))
    return {
        "after_s": after_s,
        "ended_before": ended,
        "begun_at": before,
        "reached": told,
        "kept": kept,
        "lost": max(told - kept, 0),
    }


def timed(*arguments: object) -> float:
    """Seconds of a command line that must end well."""
    begun = time.perf_counter()
    if started(*arguments).wait() != 0:
        raise RuntimeError(f"a run failed: {arguments}")
    return time.perf_counter() - begun


def contents(out: Path) -> tuple[list[Any], list[dict[str, Any]]]:
    """Arrays of the newest checkpoint, and the log without what a clock says."""
    run = run_in(out)
    assert run is not None  # it has just ended well
    training = prepared(config_of(run))
    found = Checkpoints(run / "checkpoints").restore(training.loop_like().items)
    arrays = []
    for x in jax.tree.leaves(found.items):
        is_key = jnp.issubdtype(x.dtype, jax.dtypes.prng_key)
        arrays.append(np.asarray(jax.random.key_data(x) if is_key else x))
    records = [{k: v for k, v in r.items() if k not in WALL} for r in read_log(run / "log.jsonl")]
    return arrays, records


def run(options: argparse.Namespace, place: Path) -> dict[str, Any]:
    """Everything, in a folder that is thrown away."""
    whole, killed = place / "whole", place / "killed"
    # A short run fills the cache of compiled programs; once more, it says how long a start takes.
    short = [
        timed(*first_arguments(place / name, options, 2 * options.interval)) for name in ("cold", "warm")
    ]
    whole_s = timed(*first_arguments(whole, options))
    rng = np.random.default_rng(options.seed)
    kills = []
    for _ in range(options.kills):
        # From the start of a process to some two intervals of learning, so that kills fall on starting,
        # filling, learning and saving alike and the run does not end before the last one.
        kills.append(kill(killed, options, float(rng.uniform(1.0, 1.4 * short[-1]))))
        print(kills[-1], flush=True)
    if started(*arguments_of(killed, options)).wait() != 0:
        raise RuntimeError("the killed run could not go on")
    (arrays, log), (others, other_log) = contents(whole), contents(killed)
    same = [np.array_equal(a, b, equal_nan=True) for a, b in zip(arrays, others, strict=True)]
    return {
        "whole_s": whole_s,
        "short_s": short[-1],
        "interval": options.interval,
        "iterations": options.iterations,
        "kills": kills,
        "most_lost": max(row["lost"] for row in kills),
        "arrays": len(same),
        "arrays_equal": sum(same),
        "log_records": len(log),
        "log_equal": log == other_log,
    }


def failures(record: dict[str, Any]) -> list[str]:
    """What was promised and did not hold, a line each."""
    said = []
    for i, row in enumerate(record["kills"]):
        if row["ended_before"]:
            said.append(f"the run had ended before kill {i + 1}")
        if row["lost"] > record["interval"]:
            said.append(f"kill {i + 1} lost {row['lost']} iterations, an interval is {record['interval']}")
    if record["arrays_equal"] != record["arrays"]:
        said.append(f"{record['arrays'] - record['arrays_equal']} of {record['arrays']} arrays differ")
    if not record["log_equal"]:
        said.append("the logs differ")
    return said


def main() -> int:
    """Run, print, write; returns the exit code."""
    options_parser = parser(__doc__, rounds=1)
    options_parser.add_argument("--kills", type=int, help="how often the run is killed (default 10, quick 2)")
    options_parser.add_argument("--iterations", type=int, help="of the run (default 600, quick 100)")
    options_parser.add_argument("--interval", type=int, default=25, help="iterations between checkpoints")
    options_parser.add_argument("--seed", type=int, default=0, help="of the moments")
    options = options_parser.parse_args()
    for name, value in (
        {"kills": 2, "iterations": 100} if options.quick else {"kills": 10, "iterations": 600}
    ).items():
        if getattr(options, name) is None:
            setattr(options, name, value)
    with tempfile.TemporaryDirectory() as place:
        record = run(options, Path(place))
    print_table("Kills", record["kills"])
    print({name: value for name, value in record.items() if name != "kills"})
    record["failures"] = failures(record)
    save("training_kills", options, record)
    for line in record["failures"]:
        print(f"FAILED: {line}", flush=True)
    if record["failures"]:
        return 1
    print("no kill lost more than one interval; log and arrays are those of the undisturbed run")
    return 0


if __name__ == "__main__":
    sys.exit(main())
