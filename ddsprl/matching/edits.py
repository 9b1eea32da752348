"""An agent's edits in words: rows for `result.json` and for the picture `edits.png`."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from ddsprl.matching.results import Finding
from synth_jax.params import ParamSpec, Table, modules_of


def edit_rows(
    table: Table, knobs: np.ndarray, losses: np.ndarray, modules: np.ndarray
) -> list[dict[str, Any]]:
    """One row for every edit.

    Args:
        table: of the instrument.
        knobs: positions of the start and after every edit, `[steps + 1, d]`.
        losses: likewise `[steps + 1]`.
        modules: chosen, `[steps]`.

    Returns:
        Rows with `step` (from 1), `module`, `loss`, `best` (whether it was the best so far) and `changes`,
        texts in physical units, the largest move first.
    """
    rows, best, named = [], float(losses[0]), modules_of(table)
    for i in range(len(modules)):
        moved = knobs[i + 1] - knobs[i]
        order = [j for j in np.argsort(-np.abs(moved), kind="stable") if moved[j] != 0.0]
        loss = float(losses[i + 1])
        rows.append(
            {
                "step": i + 1,
                "module": named[int(modules[i])],
                "loss": loss,
                "best": loss < best,
                "changes": [_change(table[j], float(knobs[i, j]), float(knobs[i + 1, j])) for j in order],
            }
        )
        best = min(best, loss)
    return rows


def edits_contents(finding: Finding) -> Mapping[str, Any]:
    """Of the picture `edits`."""
    numbers, episode = finding.numbers, finding.numbers["episode"]
    agent, count = numbers["agent"], len(episode["edits"])
    polished = "; then polished by gradient" if agent["polish"] else ""
    best = min(episode["losses"])
    return {
        "names": episode["names"],
        "knobs": np.array(episode["knobs"]),
        "losses": np.array(episode["losses"]),
        "edits": episode["edits"],
        "title": f"{finding.name}: {count} edit{'s' * (count != 1)}",
        "subtitle": f"Stage {agent['stage']}, {agent['iteration']:,} iterations of training. Loss "
        f"{episode['losses'][0]:.3f} at the start, {best:.3f} at best, as the agent hears it{polished}; "
        f"{numbers['loss']:.3f} judged on the whole sound.",
    }


def _change(spec: ParamSpec, before: float, after: float) -> str:
    unit = f" {spec.unit}" if spec.unit else ""
    return f"{spec.name.replace('_', ' ')} {_value(spec, before)} → {_value(spec, after)}{unit}"


def _value(spec: ParamSpec, u: float) -> str:
    value = spec.to_physical(u)
    return f"{value:.0f}" if spec.integer else f"{value:.3g}"
