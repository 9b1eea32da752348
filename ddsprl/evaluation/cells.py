"""What an evaluation has finished, on disk: a file for every stage and method, so that it can go on.

DIR/evaluation.json       what is evaluated; another run into DIR must ask for the same
DIR/cells/NAME.json       numbers of a piece, DIR/cells/NAME.npz its arrays
"""

from ddsprl.comparison.run import GuardedCells
from ddsprl.io.sources import digest_of

# What numbers depend on.
SOURCES = (
    "synth_jax",
    "ddsprl/agents",
    "ddsprl/env",
    "ddsprl/evaluation",
    "ddsprl/features",
    "ddsprl/fitting",
    "ddsprl/losses",
    "ddsprl/plant.py",
)
# Of the evaluation only what is measured counts, not how it is shown.
SHOWN = ("page.py", "pictures.py", "tables.py", "target_rows.py", "options.py")


class EvaluationCells(GuardedCells):
    """Pieces of an evaluation in one directory; writing them is not interrupted."""

    identity_file = "evaluation.json"
    holds = "evaluation"


def source_digest() -> str:
    """A fingerprint of the code that the numbers depend on."""
    return digest_of(SOURCES, SHOWN)
