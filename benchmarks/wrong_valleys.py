"""What is wrong in a match that stays off: one knob, one section of the panel, or the whole preset.

Hybrid from guesses, as in the comparison, on seeded random presets. Those that end above `--far` (excess: 1
is the best of 4,096 random presets, 0 the noise floor) are looked into: every knob of the found preset is set
to the target's own value, one at a time; then every section (an oscillator, the filter, ...); then every pair
of sections. Mended is a match whose excess falls by half or more. What no single knob mends is not a knob
that the search overlooked but another preset that sounds alike: a valley of its own.

    python benchmarks/wrong_valleys.py
    python benchmarks/wrong_valleys.py --quick
"""

from itertools import combinations
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from _common import parser, print_table, save
from _targets import DURATION_S, RATE, random_targets
from ddsprl.compile_cache import enable_compilation_cache
from ddsprl.cpu import tune_cpu
from ddsprl.fitting.guess import guess_starts
from ddsprl.fitting.hybrid import Hybrid
from ddsprl.fitting.inverter import GRADIENT_COST, make_problem
from ddsprl.fitting.problem import Problem, Target
from ddsprl.fitting.solve import solve
from ddsprl.fitting.starts import StartRequest
from ddsprl.metrics.statistics import mean_interval
from synth_jax.params import Table

KEYS, STARTS, RANDOM, MENDED = 4, 128, 4096, 0.5


def sections(table: Table) -> dict[str, list[int]]:
    """Knobs by the section of the panel that they stand in: the first word of their names."""
    found: dict[str, list[int]] = {}
    for i, spec in enumerate(table):
        found.setdefault(spec.name.split("_")[0], []).append(i)
    return found


def swaps(table: Table) -> dict[str, list[list[int]]]:
    """Knobs to be put right together, by kind."""
    parts = sections(table)
    return {
        "a knob": [[i] for i in range(len(table))],
        "a section": list(parts.values()),
        "two sections": [a + b for a, b in combinations(parts.values(), 2)],
    }


def losses(problem: Problem, u: np.ndarray, target: Target, seed: int) -> np.ndarray:
    """Mean losses of presets `[m, d]` over fresh noise keys, `[m]`."""
    return np.asarray(_losses(problem, jnp.asarray(u), target, jax.random.key(seed)))


def _mean_losses(problem: Problem, u: jax.Array, target: Target, key: jax.Array) -> jax.Array:
    heard = [problem.scores(problem.snap(u), target, k) for k in jax.random.split(key, KEYS)]
    return jnp.mean(jnp.stack(heard), axis=0)


_losses = jax.jit(_mean_losses, static_argnums=0)


def put_right(found: np.ndarray, truth: np.ndarray, groups: list[list[int]]) -> np.ndarray:
    """The found preset with each group of knobs at the truth, `[groups, d]`."""
    rows = np.repeat(found[None], len(groups), axis=0)
    for row, group in zip(rows, groups, strict=True):
        row[group] = truth[group]
    return rows


def main() -> None:
    """Search, put right, count, print, write."""
    options_parser = parser(__doc__, rounds=1)
    options_parser.add_argument("--targets", type=int, default=64, help="random presets (default 64)")
    options_parser.add_argument("--budget", type=int, default=1506, help="renders of a search (default 1506)")
    options_parser.add_argument(
        "--far", type=float, default=0.25, help="excess that is far off (default 0.25)"
    )
    options_parser.add_argument("--seed", type=int, default=78, help="of targets and searches (default 78)")
    options = options_parser.parse_args()
    if options.quick:
        options.targets, options.budget, options.far = 2, 150, 0.0
    tune_cpu()
    enable_compilation_cache()
    problem = make_problem(RATE, DURATION_S)
    truths, targets = random_targets(problem, options.targets, options.seed)
    rivals = jax.random.uniform(
        jax.random.key(options.seed), (64 if options.quick else RANDOM, truths.shape[1])
    )
    kinds = swaps(problem.instrument.table)
    rows = [_of_target(problem, truths, targets, rivals, kinds, i, options) for i in range(options.targets)]
    far = [row for row in rows if row["excess"] > options.far]
    shares = {
        kind: mean_interval([float(row[kind] <= MENDED * row["excess"]) for row in far], seed=0)
        for kind in kinds
    }
    table = [
        {"put right": kind, "mended": share.estimate, "from": share.low, "to": share.high}
        for kind, share in shares.items()
    ]
    print_table(
        f"Matches above {options.far}: {len(far)} of {len(rows)}; mended by the best of each kind", table
    )
    save(
        "wrong_valleys",
        options,
        {"gradient_cost": GRADIENT_COST, "far": len(far), "mended": shares, "targets": rows},
    )


def _of_target(
    problem: Problem,
    truths: np.ndarray,
    targets: Target,
    rivals: Any,
    kinds: dict[str, list[list[int]]],
    i: int,
    options: Any,
) -> dict[str, float]:
    """Excess of a match, and the least excess after something was put right, by kind."""
    keys = jax.random.split(jax.random.fold_in(jax.random.key(options.seed), i))
    target = jax.tree.map(lambda x: x[i], targets)
    request = StartRequest(
        problem.instrument, np.asarray(target.audio), target.note, STARTS, keys[0], None, None, None
    )
    starts, _ = guess_starts(request)
    one = jax.tree.map(lambda x: x[None], target)
    u = solve(problem, Hybrid(), one, starts[None], keys[1:], budget=options.budget).u[0]
    floor = losses(problem, truths[i : i + 1], target, 5)[0]
    best = np.asarray(_scores(problem, problem.snap(rivals), target, jax.random.key(6))).min()

    def excess(rows: np.ndarray) -> float:
        return float((losses(problem, rows, target, 7).min() - floor) / (best - floor))

    found = {"excess": excess(u[None])}
    found |= {kind: excess(put_right(u, truths[i], groups)) for kind, groups in kinds.items()}
    print(i, {name: round(value, 2) for name, value in found.items()}, flush=True)
    return found


_scores = jax.jit(Problem.scores, static_argnums=0)


if __name__ == "__main__":
    main()
