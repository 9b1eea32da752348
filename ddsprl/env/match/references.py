"""What a stage asks for, measured before any training and committed: `data/references.json`.

    python -m ddsprl.env.match.measure_references     # measures the default setup and writes the file

For presets of a stage's bucket that no training or evaluation sees, medians of the noise floor, of the loss
with every knob of the stage moved by 1 % and by 5 % of its range, and of the 1 % reference's excess over the
floor. An episode terminates below

    epsilon = the target's own floor + the stage's excess

(a recording, which has no floor: below the median 1 % reference), and a stage is passed when the median
evaluation loss stays under the median 5 % reference.
"""

import functools
import json
from importlib import resources
from typing import Any, NamedTuple

from ddsprl.env.match.environment import MatchEnv
from synth_jax.params import table_digest

COMMAND = "python -m ddsprl.env.match.measure_references"
FILE = "references.json"


class References(NamedTuple):
    """One stage's figures; losses.

    Attributes:
        floor: median noise floor.
        one_percent: median loss with every knob of the stage moved by 1 %.
        five_percent: likewise by 5 %.
        excess: median over presets of the 1 % loss over that preset's own floor.
    """

    floor: float
    one_percent: float
    five_percent: float
    excess: float

    @property
    def threshold(self) -> float:
        """Median evaluation loss under which the stage is passed."""
        return self.five_percent


def setup_of(env: MatchEnv) -> dict[str, Any]:
    """What the figures depend on, JSON-ready."""
    config = env.config
    objective = {k: list(v) if isinstance(v, tuple) else v for k, v in vars(config.objective).items()}
    return {
        "instrument": env.instrument.name,
        "table": table_digest(env.instrument.table),
        "sample_rate": config.sample_rate,
        "duration_s": config.duration_s,
        "probes": config.probes,
        "objective": objective,
    }


def committed(env: MatchEnv) -> tuple[References, ...]:
    """The committed figures of an environment's setup, one a stage.

    Raises:
        ValueError: none were committed for this setup.
    """
    wanted = setup_of(env)
    for entry in _stored()["setups"]:
        if entry["setup"] == wanted:
            return tuple(References(*(row[name] for name in References._fields)) for row in entry["stages"])
    raise ValueError(
        f"epsilon: no reference was committed for {env.instrument.name} with these knobs, rate, duration, "
        f"probes and objective; give `epsilon`, or measure it with `{COMMAND}`"
    )


@functools.cache
def _stored() -> dict[str, Any]:
    file = resources.files("ddsprl.env.match") / "data" / FILE
    return json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {"setups": []}
