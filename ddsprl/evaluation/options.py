"""Options of an evaluation and what is allowed in them."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from ddsprl.evaluation.tuning import FEWEST
from ddsprl.io import UserError
from ddsprl.io.checks import all_different, within
from ddsprl.io.cli import parse_command_line

PROGRAM = "python -m ddsprl.evaluate"
DESCRIPTION = (
    "Measure a trained agent on fixed held-out targets, beside doing nothing, random actions, and CMA-ES "
    "tuned for the same knobs: results.json and report.html. The command goes on where it was interrupted."
)
BUDGETS = (50, 500, 2000)
MOST_TARGETS = 4096


@dataclass(frozen=True)
class EvaluateOptions:
    """Measure a trained agent on fixed held-out targets."""

    run: Annotated[Path, tyro.conf.Positional]
    """Directory of the training run."""
    out: Annotated[Path | None, tyro.conf.arg(aliases=["-o"])] = None
    """Directory for the results; RUN/evaluation (evaluation-cloned) if not given."""
    targets: int = 64
    """Held-out targets of each stage."""
    stages: tuple[int, ...] = ()
    """Stages to measure; those that the agent has reached if not given."""
    seed: int = 0
    """Which of the agents of a run that trained several."""
    cloned: bool = False
    """The agent as it was after behaviour cloning, before it learnt by itself."""
    suite: int = 0
    """Which suite of targets; 0 is the one that published numbers are of."""
    budgets: tuple[int, ...] = BUDGETS
    """Renders that CMA-ES gets."""
    players: int = 3
    """Targets of each stage to be listened to and looked at in report.html."""
    quiet: bool = False
    """No progress display."""

    @property
    def directory(self) -> Path:
        """Where the results go."""
        name = "evaluation-cloned" if self.cloned else "evaluation"
        return self.run / name if self.out is None else self.out


def parse_options(arguments: Sequence[str]) -> EvaluateOptions:
    """Options of a command line; raises what `parse_command_line` does."""
    return parse_command_line(
        EvaluateOptions, arguments, program=PROGRAM, description=DESCRIPTION, positional=("run",)
    )


def check(options: EvaluateOptions) -> None:
    """Refuse what is outside its range.

    Raises:
        UserError: naming the option, its value and what is allowed.
    """
    if not options.run.is_dir():
        raise UserError(f"{options.run}: is no directory of a run")
    within("--targets", options.targets, 2, MOST_TARGETS)
    all_different("--stages", options.stages)
    all_different("--budgets", options.budgets)
    for budget in options.budgets:
        within("--budgets", budget, FEWEST + 1, 10**6)
    within("--seed", options.seed, 0, 9999)
    within("--suite", options.suite, 0, 9999)
    within("--players", options.players, 0, options.targets)
