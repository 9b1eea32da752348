"""Table of losses of sounds within reach, from the match benchmark, and how often recordings are called out.

Reads benchmarks/results/match.json, writes ddsprl/fitting/data/reach.json.

    python benchmarks/reach.py
"""

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np

import _common
from ddsprl.fitting.reach import MEASURES, OUT, judge_reach
from ddsprl.io.rundir import write_json

ROOT = Path(__file__).resolve().parent.parent
TABLE = ROOT / "ddsprl" / "fitting" / "data" / "reach.json"


def values(rows: list[dict[str, Any]]) -> dict[str, np.ndarray]:
    """Both measures of all rows."""
    loss = np.array([row["match"][0] for row in rows])
    return {"loss": loss, "ratio": loss / np.array([row["best_512"][0] for row in rows])}


def main() -> None:
    """Read, print, write."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--dry", action="store_true", help="print only")
    options = parser.parse_args()
    results = json.loads((_common.RESULTS / "match.json").read_text())["results"]
    inside = values(results["presets"]["rows"])
    table = []
    for part in ("recordings_given", "recordings_estimated"):
        outside = values(results[part]["rows"])
        for measure in MEASURES:
            verdicts = [judge_reach(x, measure=measure, known=inside[measure]) for x in outside[measure]]
            above = np.mean(outside[measure][:, None] > inside[measure])
            called = np.mean([v.false_alarm <= OUT for v in verdicts])
            table.append({"part": part, "measure": measure, "area under ROC": above, "called out": called})
    _common.print_table("Recordings against sounds within reach", table)
    if not options.dry:
        made = {
            "made_by": "python benchmarks/reach.py",
            "from": "benchmarks/results/match.json",
            # Conditions of the benchmark's first part.
            "method": results["method"],
            "budget": results["budget"],
            "sample_rate": results["sample_rate"],
            "duration_s": 0.5,
            "note": "given",
            "values": {name: [round(float(x), 4) for x in np.sort(v)] for name, v in inside.items()},
        }
        write_json(TABLE, made)
        print(f"written to {TABLE.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
