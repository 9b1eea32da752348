"""`python -m ddsprl.train`: train an agent; without arguments, the run of `configs/default.yaml`.

Thin: parse, check at the door, call `ddsprl.training`. Every run is a directory, `out/train/NAME-001`, with
`config.json`, `log.jsonl`, `checkpoints/`, `audio/` and, where the package is installed, `tensorboard/`.
Ctrl-C and SIGTERM save and leave; `--resume RUN` goes on bit for bit. Before training begins, while
demonstrations are recorded and cloned, there is nothing to save: then they leave at once, and `--resume RUN`
prepares anew what is not stored.
"""

import os
import sys
from collections.abc import Sequence

from ddsprl.compile_cache import enable_compilation_cache
from ddsprl.cpu import tune_cpu
from ddsprl.io import run_cli
from ddsprl.io.runs import new_run, open_run
from ddsprl.io.sources import digest_of
from ddsprl.training.fields import nested
from ddsprl.training.interruption import Interruption
from ddsprl.training.options import PROGRAM, TrainOptions, parse_options
from ddsprl.training.progress import train_progress
from ddsprl.training.trainer import Trainer, go_on_command, prepared

# What the course of training depends on.
SOURCES = (
    "synth_jax",
    "ddsprl/agents",
    "ddsprl/env",
    "ddsprl/features",
    "ddsprl/fitting/guess/data",
    "ddsprl/fitting/guess/model.py",
    "ddsprl/fitting/guess/features.py",
    "ddsprl/fitting/guess/network.py",
    "ddsprl/fitting/guess/of_targets.py",
    "ddsprl/losses",
    "ddsprl/training",
    "ddsprl/plant.py",
)
# Read by XLA when it starts; known to every backend's build.
_DETERMINISTIC = "--xla_gpu_deterministic_ops=true"


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point; returns the exit code."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    return run_cli(lambda: run(parse_options(given), [*PROGRAM.split(), *given]))


def run(options: TrainOptions, command: Sequence[str]) -> int:
    """Train; returns the exit code."""
    config = options.run
    if config.deterministic:
        os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} {_DETERMINISTIC}".strip()
    tune_cpu()
    enable_compilation_cache()
    training = prepared(config)
    if options.resume is None:
        directory = new_run(
            options.out,
            config.log.name,
            config=nested(config),
            seed=config.seed,
            command=command,
            source=digest_of(SOURCES),
        )
    else:
        directory = open_run(options.resume)
    with (
        directory.held(),
        Interruption(go_on_command(directory)) as interruption,
        train_progress(quiet=options.quiet) as display,
    ):
        directory = directory.go_on(nested(config), command)
        display.say(f"run: {directory.path}")
        if directory.changed_source(digest_of(SOURCES)):
            display.say("the code is not that with which the run began: it goes on, but not bit for bit")
        return Trainer(training, directory, display).train(interruption, options.stop_at)


if __name__ == "__main__":
    sys.exit(main())
