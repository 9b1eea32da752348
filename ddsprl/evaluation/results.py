"""From finished pieces to what `results.json` holds of every stage, every method, and every target."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np

from ddsprl.env import stages_of
from ddsprl.evaluation.measures import Measured, Yardsticks, duel, excess, meter, renders_to, summary
from ddsprl.evaluation.methods import AGENT
from ddsprl.evaluation.run import ENTRY, REFERENCES, Evaluation
from ddsprl.evaluation.tuning import is_tuned
from ddsprl.io.json_files import rounded_tree
from ddsprl.io.sources import source_digest
from ddsprl.measuring.machine import record

Results = dict[str, Any]
Arrays = Mapping[str, np.ndarray]
# Significant digits of what is only to be looked at.
DIGITS = 4
_TERM = "terms."


def collect(evaluation: Evaluation) -> Results:
    """What `results.json` holds.

    Args:
        evaluation: that was measured.
    """
    settings, config = evaluation.settings, evaluation.env.config
    return {
        "format": "ddsprl-evaluation",
        "version": 1,
        "about": dict(settings.about),
        "options": settings.record(),
        "environment": dataclasses.asdict(config),
        "tuned_for_this_setup": is_tuned(evaluation.env),
        **record(source_digest(ENTRY)),
        "methods": list(evaluation.methods),
        "stages": [_stage(evaluation, stage) for stage in settings.stages],
    }


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
        measured: by method.
        arrays: by method, as stored; an agent's have its episodes.
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


def _stage(evaluation: Evaluation, stage: int) -> dict[str, Any]:
    found = evaluation.arrays(stage, REFERENCES)
    yardsticks = Yardsticks(found["floor"], found["random"], found["epsilon"])
    table, free = evaluation.env.instrument.table, evaluation.env.stage_mask(stage)
    measured = {name: _measured(evaluation, stage, name) for name in evaluation.methods}
    arrays = {name: evaluation.arrays(stage, name) for name in evaluation.methods}
    rows = {name: summary(x, yardsticks) | _about(evaluation, stage, name) for name, x in measured.items()}
    ceiling = Measured(found["floor"], found["own"][:, None], 0.0, 1)
    return {
        "stage": stage,
        "name": stages_of(evaluation.env.instrument)[stage - 1].name,
        "knobs": [spec.name for spec, open_ in zip(table, free, strict=True) if open_],
        "rejected": evaluation.numbers(stage, REFERENCES)["rejected"],
        "methods": rows,
        "own_preset": summary(ceiling, yardsticks),
        "duels": {
            name: duel(measured[AGENT].loss, x.loss, yardsticks)
            for name, x in measured.items()
            if AGENT in measured and name != AGENT
        },
        "targets": targets_of(found, yardsticks, measured, arrays, np.flatnonzero(free)),
    }


def _measured(evaluation: Evaluation, stage: int, name: str) -> Measured:
    found = evaluation.arrays(stage, name)
    numbers = evaluation.numbers(stage, name)
    return Measured(found["loss"], found["curve"], numbers["seconds"], numbers["renders"])


def _about(evaluation: Evaluation, stage: int, name: str) -> dict[str, Any]:
    """Setting of a method, and the median of each of its loss terms."""
    numbers, arrays = evaluation.numbers(stage, name), evaluation.arrays(stage, name)
    terms = {term: float(np.median(x)) for term, x in terms_of(arrays).items()}
    return {"terms": terms, **{key: numbers[key] for key in ("setting", "label") if key in numbers}}


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
