"""Table of losses of sounds within reach, from the match benchmark, and how often recordings are called out.

Reads benchmarks/results/match.json, writes ddsprl/fitting/findings/data/reach.json and
benchmarks/results/reach.json.
Beside the share of recordings that are called out of reach stands the false-alarm rate: the share of the
presets, which are within reach, that are called out by the table of all others.

    python benchmarks/reach.py
"""

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np

import _common
from ddsprl.fitting.findings.reach import MEASURES, OUT, Conditions, KnownLosses, judge_reach
from ddsprl.io.output import write_json
from synth_jax.instruments import DEFAULT_INSTRUMENT, INSTRUMENTS
from synth_jax.params import table_digest

ROOT = Path(__file__).resolve().parent.parent
TABLE = ROOT / "ddsprl" / "fitting" / "findings" / "data" / "reach.json"


def values(rows: list[dict[str, Any]]) -> dict[str, np.ndarray]:
    """Both measures of all rows."""
    loss = np.array([row["match"][0] for row in rows])
    return {"loss": loss, "ratio": loss / np.array([row["best_512"][0] for row in rows])}


def called_out(some: np.ndarray, known: list[np.ndarray], measure: str) -> float:
    """Share of losses that are called out of reach, each by a table of its own."""
    # Under which conditions does not matter here: both sides are of one benchmark.
    some_conditions = Conditions("", 0, 0, 0.0, "")
    found = 0
    for x, y in zip(some, known, strict=True):
        rate = judge_reach(x, KnownLosses(some_conditions, {measure: y}), measure=measure).false_alarm
        found += rate is not None and rate <= OUT
    return found / len(some)


def main() -> None:
    """Read, print, write."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--dry", action="store_true", dest="quick", help="print only")
    parser.add_argument("--out", type=Path, help="JSON file (default: benchmarks/results/reach.json)")
    options = parser.parse_args()
    results = json.loads((_common.RESULTS / "match.json").read_text())["results"]
    inside = values(results["presets"]["rows"])
    table = []
    # A preset is not judged by a table that it is in itself.
    false = {
        measure: called_out(x, [np.delete(x, i) for i in range(len(x))], measure)
        for measure, x in inside.items()
    }
    for part in ("recordings_given", "recordings_estimated"):
        outside = values(results[part]["rows"])
        for measure in MEASURES:
            x = outside[measure]
            row: dict[str, Any] = {"part": part, "measure": measure, "recordings": len(x)}
            row["area under ROC"] = float(np.mean(x[:, None] > inside[measure]))
            row |= {"called out": called_out(x, [inside[measure]] * len(x), measure)}
            table.append(row | {"false alarms": false[measure]})
    _common.print_table("Recordings against sounds within reach", table)
    about = {"from": "benchmarks/results/match.json", "presets": len(inside["loss"]), "called_out_up_to": OUT}
    _common.save("reach", options, about | {"rows": table})
    if not options.quick:
        synth = INSTRUMENTS[DEFAULT_INSTRUMENT]()
        # Conditions of the benchmark's first part.
        conditions = {name: results[name] for name in ("method", "budget", "start", "sample_rate")}
        entry = {
            "instrument": synth.name,
            "table": table_digest(synth.table),
            "conditions": conditions | {"duration_s": 0.5, "note": "given"},
            "values": {name: [round(float(x), 4) for x in np.sort(v)] for name, v in inside.items()},
        }
        others = [x for x in json.loads(TABLE.read_text())["tables"] if x["instrument"] != synth.name]
        made = {"made_by": "python benchmarks/reach.py", "from": "benchmarks/results/match.json"}
        write_json(TABLE, made | {"tables": [*others, entry]})
        print(f"written to {TABLE.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
