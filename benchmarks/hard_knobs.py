"""Which knobs hold a match off its target: one knob is wrong, everything else is right, all knobs may move.

Targets are seeded random presets. From each the search begins at the true preset with one knob moved by a
quarter of its range (a discrete knob by as many choices, at least one), and spends a small budget: plain
descent by the hybrid law with one replica and neither probes nor exchange, and hybrid as shipped, both from
that one start. Recovered is a target whose found preset, under fresh noise keys, is at or below the
1 % reference: the mean loss of the true preset with every knob moved by 1 %, signs at random.

A knob from which descent does not come back stands behind a hill in the loss; what the probes of hybrid bring
back beyond that is what they are for.

    python benchmarks/hard_knobs.py
    python benchmarks/hard_knobs.py --quick
"""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from _common import parser, print_table, save
from _targets import DURATION_S, RATE, random_targets
from ddsprl.compile_cache import enable_compilation_cache
from ddsprl.cpu import tune_cpu
from ddsprl.fitting.core.budget import GRADIENT_COST
from ddsprl.fitting.core.problem import Problem
from ddsprl.fitting.core.solve import solve
from ddsprl.fitting.core.solver import Solver
from ddsprl.fitting.inversion.inverter import make_problem
from ddsprl.fitting.solvers.hybrid import Hybrid
from ddsprl.metrics.statistics import mean_interval

KEYS, SIGNS, STEP = 8, 4, 0.25
METHODS: dict[str, Solver] = {
    "descent": Hybrid(replicas=1, probes=0, exchange_every=0),
    "hybrid": Hybrid(),
}


@partial(jax.jit, static_argnums=0)
def judged(problem: Problem, u: jax.Array, targets: Any) -> jax.Array:
    """Mean losses of snapped presets `[G, m, d]` over fresh noise keys, `[G, m]`."""
    keys = jax.random.split(jax.random.key(99), KEYS)

    def one(u, target):
        return jnp.mean(jax.lax.map(lambda key: problem.scores(problem.snap(u), target, key), keys), axis=0)

    return jax.lax.map(lambda pair: one(*pair), (u, targets))


def references(problem: Problem, truths: np.ndarray, targets: Any, seed: int) -> np.ndarray:
    """Mean loss of every target with all knobs moved by 1 %, `[G]`."""
    signs = np.random.default_rng(seed).choice([-1.0, 1.0], size=(len(truths), SIGNS, truths.shape[1]))
    moved = np.clip(truths[:, None] + 0.01 * signs, 0.0, 1.0).astype(np.float32)
    return np.asarray(judged(problem, jnp.asarray(moved), targets)).mean(axis=1)


def displaced(truths: np.ndarray, knob: int, choices: int) -> np.ndarray:
    """The true presets with one knob off, towards the farther stop, `[G, 1, d]`."""
    # The middles of two choices are 1 / choices apart.
    step = max(round(STEP * choices), 1) / choices if choices else STEP
    away = np.where(truths[:, knob] < 0.5, step, -step)
    moved = truths.copy()
    moved[:, knob] = np.clip(truths[:, knob] + away, 0.0, 1.0)
    return moved[:, None].astype(np.float32)


def main() -> None:
    """Displace, search, judge, print, write."""
    options_parser = parser(__doc__, rounds=1)
    options_parser.add_argument("--targets", type=int, default=16, help="random presets (default 16)")
    options_parser.add_argument("--budget", type=int, default=1000, help="renders of a search (default 1000)")
    options_parser.add_argument("--seed", type=int, default=77, help="of targets and searches (default 77)")
    options = options_parser.parse_args()
    if options.quick:
        options.targets, options.budget = 2, 60
    tune_cpu()
    enable_compilation_cache()
    problem = make_problem(RATE, DURATION_S)
    table = problem.instrument.table
    truths, targets = random_targets(problem, options.targets, options.seed)
    reference = references(problem, truths, targets, options.seed)
    rows = []
    for knob, spec in enumerate(table):
        starts = displaced(truths, knob, spec.choices)
        before = np.asarray(judged(problem, jnp.asarray(starts), targets))[:, 0]
        # A knob that cannot be heard (of a silent oscillator, say) is no test.
        heard = before > reference
        row: dict[str, Any] = {"knob": spec.name, "heard": int(heard.sum())}
        for name, solver in METHODS.items():
            keys = jax.random.split(jax.random.fold_in(jax.random.key(options.seed), knob), len(truths))
            found = solve(problem, solver, targets, starts, keys, budget=options.budget)
            after = np.asarray(judged(problem, jnp.asarray(found.u)[:, None], targets))[:, 0]
            back = (after <= reference)[heard]
            row[name] = float(back.mean()) if heard.any() else None
        rows.append(row)
        print(row, flush=True)
    rows.sort(key=lambda row: (row["descent"] is None, row["descent"]))
    print_table("Recovered, of the targets where the knob can be heard", rows)
    known = [row for row in rows if row["heard"]]
    means = {name: mean_interval([row[name] for row in known], seed=0) for name in METHODS}
    print({name: f"{x.estimate:.2f} [{x.low:.2f}, {x.high:.2f}]" for name, x in means.items()})
    save("hard_knobs", options, {"gradient_cost": GRADIENT_COST, "knobs": rows, "mean_over_knobs": means})


if __name__ == "__main__":
    main()
