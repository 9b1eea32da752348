"""What every benchmark shares: interleaved timing, the machine's description, tables and JSON.

Times are wall seconds of whole calls, compilation excluded. Candidates take turns, round by round, so that a
machine that slows down slows down all of them; a ratio is the median of the ratios within a round.
"""

import argparse
import dataclasses
import os
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax

from ddsprl.io.output import versions, write_json
from ddsprl.measuring.machine import machine
from ddsprl.measuring.tables import grid

RESULTS = Path(__file__).resolve().parent / "results"


@dataclasses.dataclass(frozen=True)
class Timing:
    """Repeated measurements of one candidate.

    Attributes:
        seconds: wall seconds of each round, in order.
        first_call_s: wall seconds of the first call, compilation included.
    """

    seconds: tuple[float, ...]
    first_call_s: float

    @property
    def median(self) -> float:
        """Median seconds of a call."""
        return statistics.median(self.seconds)

    def ratio_to(self, other: "Timing") -> float:
        """Median over the rounds of this candidate's time over the other's."""
        return statistics.median(a / b for a, b in zip(self.seconds, other.seconds, strict=True))

    def summary(self) -> dict[str, Any]:
        """The figures as JSON-ready values."""
        return {
            "median_s": self.median,
            "min_s": min(self.seconds),
            "max_s": max(self.seconds),
            "rounds": len(self.seconds),
            "first_call_s": self.first_call_s,
        }


def measure(candidates: Mapping[str, Callable[[], Any]], *, rounds: int) -> dict[str, Timing]:
    """Time candidates in turns.

    Args:
        candidates: by name, functions without arguments that return arrays to be waited for.
        rounds: how often each is called after its first call.

    Returns:
        One `Timing` a name.
    """
    first = {name: _seconds(call) for name, call in candidates.items()}
    taken: dict[str, list[float]] = {name: [] for name in candidates}
    names = list(candidates)
    for turn in range(rounds):
        # Rotated, so that nobody always follows the heaviest.
        start = turn % len(names)
        for name in names[start:] + names[:start]:
            taken[name].append(_seconds(candidates[name]))
    return {name: Timing(tuple(taken[name]), first[name]) for name in names}


def _seconds(call: Callable[[], Any]) -> float:
    start = time.perf_counter()
    jax.block_until_ready(call())
    return time.perf_counter() - start


def parser(description: str | None, *, rounds: int) -> argparse.ArgumentParser:
    """A parser with the options that all benchmarks take: --quick, --rounds, --out.

    Args:
        description: the script's docstring; its first line is shown.
        rounds: default number of rounds.
    """
    text = (description or "").partition("\n")[0]
    made = argparse.ArgumentParser(description=text)
    made.add_argument(
        "--quick", action="store_true", help="small sizes and few rounds; writes nothing without --out"
    )
    made.add_argument("--rounds", type=int, default=rounds, help=f"timed calls of each (default {rounds})")
    made.add_argument("--out", type=Path, help="JSON file (default: benchmarks/results/<name>.json)")
    return made


def print_table(title: str, rows: Sequence[Mapping[str, Any]]) -> None:
    """Print rows with the columns of the first one, as a Markdown table."""
    columns = list(rows[0])
    cells = [[_cell(row.get(column)) for column in columns] for row in rows]
    print(f"\n{title}\n\n{grid(columns, cells)}\n", flush=True)


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)


def save(name: str, options: argparse.Namespace, results: Mapping[str, Any]) -> None:
    """Write the results with the machine, the versions and the options.

    A quick run writes only where `--out` says. Off the CPU the backend is added to the default name.

    Args:
        name: of the benchmark.
        options: from `parser`.
        results: JSON-ready.
    """
    backend = "" if jax.default_backend() == "cpu" else f"-{jax.default_backend()}"
    path = options.out or (None if options.quick else RESULTS / f"{name}{backend}.json")
    if path is None:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    settings = {key: value for key, value in vars(options).items() if key != "out"}
    # How busy it was.
    here = machine() | {"load_1min": round(os.getloadavg()[0], 2)}
    record = {"benchmark": name, "options": settings, "machine": here, "versions": versions()}
    write_json(path, {**record, "results": dict(results)})
    print(f"written to {path}")
