"""What `results.json` says of every single target: its references, and what each method made of it."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from ddsprl.evaluation.measures import Measured, Yardsticks, excess, meter, renders_to
from ddsprl.io.json_files import rounded_tree

Arrays = Mapping[str, np.ndarray]
# Significant digits of what is only to be looked at.
DIGITS = 4
_TERM = "terms."


def terms_of(arrays: Arrays) -> dict[str, np.ndarray]:
    """The judged loss terms by name, `[n]`, of a method's arrays."""
    return {name.removeprefix(_TERM): x for name, x in arrays.items() if name.startswith(_TERM)}


def targets_of(
    found: Arrays,
    yardsticks: Yardsticks,
    measured: Mapping[str, Measured],
    arrays: Mapping[str, Arrays],
    unlocked: np.ndarray,
) -> list[dict[str, Any]]:
    """A row for each target; None stands for what cannot be measured.

    Args:
        found: arrays of the references.
        yardsticks: of the targets.
        measured: of every method.
        arrays: likewise, as stored; an agent's have its episodes.
        unlocked: places of the knobs whose ways are told, int `[k]`.
    """
    rows: list[dict[str, Any]] = [
        {
            "index": i,
            "midi": found["midi"][i].tolist(),
            "gate_s": found["gate_s"][i].tolist(),
            "floor": float(yardsticks.floor[i]),
            "random_reference": float(yardsticks.reference[i]),
            "epsilon": float(yardsticks.epsilon[i]),
            "methods": {},
        }
        for i in range(len(yardsticks.floor))
    ]
    for name, x in measured.items():
        columns = {
            "loss": x.loss,
            "own_loss": x.curve[:, -1],
            "excess": excess(x.loss, yardsticks),
            "meter": meter(x.loss, yardsticks),
            "renders_to_epsilon": renders_to(x.curve, yardsticks.epsilon),
        }
        for i, row in enumerate(rows):
            figures = {k: float(v[i]) if np.isfinite(v[i]) else None for k, v in columns.items()}
            terms = {term: _plain(values[i]) for term, values in terms_of(arrays[name]).items()}
            row["methods"][name] = figures | {"terms": terms} | _episode(arrays[name], i, unlocked)
    return rows


def _episode(arrays: Arrays, index: int, unlocked: np.ndarray) -> dict[str, Any]:
    """One target's episode, step by step, the start first; empty where the method plays none."""
    if "knobs" not in arrays:
        return {}
    steps = int(arrays["lengths"][index])
    return {
        "losses": _plain(arrays["losses"][index, : steps + 1]),
        "modules": arrays["modules"][index, :steps].tolist(),
        "knobs": _plain(arrays["knobs"][index][: steps + 1, unlocked]),
    }


def _plain(values: np.ndarray) -> Any:
    """Rounded numbers as JSON holds them; None for what is not finite."""
    if np.ndim(values):
        return [_plain(x) for x in values]
    return rounded_tree(float(values), DIGITS) if np.isfinite(values) else None
