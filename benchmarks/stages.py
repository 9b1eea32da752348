"""Does it pay to begin with a coarse objective? Plain descent with and without stages, at equal budgets.

Random presets, the same random starts and keys for both; judged by the snapped preset's mean loss over eight
fresh noise keys with the default weights.

    python benchmarks/stages.py
"""

import jax
import jax.numpy as jnp
import numpy as np

import _common
from _targets import DURATION_S, RATE, random_targets
from ddsprl.compile_cache import enable_compilation_cache
from ddsprl.fitting.core.solve import solve
from ddsprl.fitting.core.stages import solve_in_stages
from ddsprl.fitting.inversion.inverter import make_problem
from ddsprl.fitting.solvers.gradient import MultiStartAdam

STARTS, KEYS = 64, 8


def main() -> None:
    """Run, print, write."""
    parser = _common.parser(__doc__, rounds=1)
    parser.add_argument("--presets", type=int, default=8)
    parser.add_argument("--budget", type=int, default=3_000)
    parser.add_argument("--members", type=int, default=8)
    parser.add_argument("--seed", type=int, default=31)
    options = parser.parse_args()
    if options.quick:
        options.presets, options.budget = 2, 1_000
    enable_compilation_cache()
    problem, solver = make_problem(RATE, DURATION_S), MultiStartAdam(members=options.members)
    _, targets = random_targets(problem, options.presets, options.seed)
    judge = jax.jit(
        lambda u, target, key: jnp.mean(
            jax.lax.map(lambda k: problem.loss(u, target, k), jax.random.split(key, KEYS))
        )
    )
    rows = []
    for i in range(options.presets):
        one = jax.tree.map(lambda x, i=i: x[i : i + 1], targets)
        keys = jax.random.split(jax.random.fold_in(jax.random.key(options.seed), i), 3)
        starts = jax.random.uniform(keys[0], (1, STARTS, problem.instrument.n_params))
        args = (problem, solver, one, starts, keys[1:2])
        alone = jax.tree.map(lambda x: x[0], one)
        plain = judge(solve(*args, budget=options.budget).u[0], alone, keys[2])
        staged = judge(solve_in_stages(*args, budget=options.budget).u[0, 0], alone, keys[2])
        rows.append({"preset": i, "plain": float(plain), "staged": float(staged)})
        print(rows[-1], flush=True)
    change = np.array([row["staged"] / row["plain"] for row in rows])
    picks = np.random.default_rng(0).choice(np.log(change), (10_000, len(change))).mean(axis=1)
    low, high = np.exp(np.percentile(picks, [2.5, 97.5]))
    summary = {
        "geometric_mean_ratio": float(np.exp(np.log(change).mean())),
        "interval": [float(low), float(high)],
        "better": int((change < 1.0).sum()),
        "presets": len(rows),
    }
    print(summary)
    _common.save("stages", options, {"rows": rows, "summary": summary})


if __name__ == "__main__":
    main()
