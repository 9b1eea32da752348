"""What is wrong in a match that stays off: one knob, one section of the panel, or the whole preset.

Hybrid from guesses, as in the comparison, on seeded random presets. Those that end above `--far` (excess: 1
is the best of 4,096 random presets, 0 the noise floor) are looked into: every knob of the found preset is set
to the target's own value, one at a time; then every section (an oscillator, the filter, ...); then every pair
of sections. Mended is a match whose excess falls by half or more; which knobs, sections and pairs do that,
and which do it best, is counted by name. What no single knob mends is not a knob that the search overlooked
but another preset that sounds alike: a valley of its own.

    python benchmarks/wrong_valleys.py
    python benchmarks/wrong_valleys.py --quick
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from _common import parser, print_table, save
from _targets import DURATION_S, RATE, random_targets
from ddsprl.compile_cache import enable_compilation_cache
from ddsprl.cpu import tune_cpu
from ddsprl.fitting.core.budget import GRADIENT_COST
from ddsprl.fitting.core.problem import Problem, Target
from ddsprl.fitting.core.solve import solve
from ddsprl.fitting.inversion.inverter import make_problem
from ddsprl.fitting.solvers.hybrid import Hybrid
from ddsprl.fitting.starts.registry import StartRequest, guess_starts
from ddsprl.metrics.statistics import mean_interval
from synth_jax.params import Table

KEYS, STARTS, RANDOM, MENDED = 4, 128, 4096, 0.5
MOST_NAMES = 12  # printed of each kind; all are in the file

# Knobs `[i, ...]` by name of what is put right.
Groups = dict[str, list[int]]


def sections(table: Table) -> Groups:
    """Knobs by the section of the panel that they stand in: the first word of their names."""
    found: Groups = {}
    for i, spec in enumerate(table):
        found.setdefault(spec.name.split("_")[0], []).append(i)
    return found


def swaps(table: Table) -> dict[str, Groups]:
    """Knobs to be put right together, by kind."""
    parts = sections(table)
    return {
        "a knob": {spec.name: [i] for i, spec in enumerate(table)},
        "a section": parts,
        "two sections": {f"{a} + {b}": parts[a] + parts[b] for a, b in combinations(parts, 2)},
    }


def losses(problem: Problem, u: np.ndarray, target: Target, seed: int) -> np.ndarray:
    """Mean losses of presets `[m, d]` over fresh noise keys, `[m]`."""
    return np.asarray(_losses(problem, jnp.asarray(u), target, jax.random.key(seed)))


def _mean_losses(problem: Problem, u: jax.Array, target: Target, key: jax.Array) -> jax.Array:
    heard = [problem.scores(problem.snap(u), target, k) for k in jax.random.split(key, KEYS)]
    return jnp.mean(jnp.stack(heard), axis=0)


_losses = jax.jit(_mean_losses, static_argnums=0)


def counted(far: Sequence[Mapping[str, Any]], kind: str) -> list[dict[str, Any]]:
    """How often each name of a kind mends a match, and how often it does so best; most often first."""
    mends = Counter(name for row in far for name in row["mended_by"][kind])
    best = Counter(row["mended_by"][kind][0] for row in far if row["mended_by"][kind])
    return [{kind: name, "mended": count, "best": best[name]} for name, count in mends.most_common()]


def put_right(found: np.ndarray, truth: np.ndarray, groups: Groups) -> np.ndarray:
    """The found preset with each group of knobs at the truth, `[groups, d]`."""
    rows = np.repeat(found[None], len(groups), axis=0)
    for row, group in zip(rows, groups.values(), strict=True):
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
    names = {kind: counted(far, kind) for kind in kinds}
    for kind, found in names.items():
        if found:
            print_table(f"Matches mended by {kind}, of {len(far)}", found[:MOST_NAMES])
    save(
        "wrong_valleys",
        options,
        {
            "gradient_cost": GRADIENT_COST,
            "far": len(far),
            "mended": shares,
            "mended_by": names,
            "targets": rows,
        },
    )


def _of_target(
    problem: Problem,
    truths: np.ndarray,
    targets: Target,
    rivals: Any,
    kinds: dict[str, Groups],
    i: int,
    options: Any,
) -> dict[str, Any]:
    """Excess of a match; by kind, the least excess after something was put right, and what mends."""
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

    def excess(rows: np.ndarray) -> np.ndarray:
        return (losses(problem, rows, target, 7) - floor) / (best - floor)

    found: dict[str, Any] = {"excess": float(excess(u[None])[0])}
    after = {kind: excess(put_right(u, truths[i], groups)) for kind, groups in kinds.items()}
    found |= {kind: float(x.min()) for kind, x in after.items()}
    print(i, {name: round(value, 2) for name, value in found.items()}, flush=True)
    limit = MENDED * found["excess"]
    mends = {
        kind: [name for x, name in sorted(zip(x.tolist(), kinds[kind], strict=True)) if x <= limit]
        for kind, x in after.items()
    }
    return found | {"mended_by": mends}


_scores = jax.jit(Problem.scores, static_argnums=0)


if __name__ == "__main__":
    main()
