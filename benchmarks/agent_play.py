"""How an agent should play: the likeliest edit, or one drawn from its policy.

python benchmarks/agent_play.py RUN                          # a directory made by python -m ddsprl.train
"""

from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp

from _common import parser, print_table, save
from ddsprl.agents import seen_of
from ddsprl.compile_cache import enable_compilation_cache
from ddsprl.cpu import tune_cpu
from ddsprl.env import evaluate, stage_params
from ddsprl.fitting.target_guesses import with_guesses
from ddsprl.training.reports import summary
from ddsprl.training.restore import LoadedAgent, load_agent

TARGETS, QUICK_TARGETS = 128, 4
# Not a seed of training or of a published suite.
SEED = 77
MODES = ("likeliest", "module drawn", "drawn")


def figures(loaded: LoadedAgent, stage: int, mode: str, targets: int) -> dict[str, Any]:
    """An evaluation of one stage."""
    agent, env = loaded.agent, loaded.env
    params, _ = stage_params(env, stage, split="held_out", count=targets, seed=SEED)
    params = with_guesses(env, params)
    allowed = agent.actions.allowed(params.free)

    def policy(key, obs, state):
        del state
        pick, spread = jax.random.split(key)
        found = agent.policy(loaded.state.actor, seen_of(obs, loaded.rest), allowed)
        likeliest, drawn = jnp.argmax(found.log_module), jax.random.categorical(pick, found.log_module)
        module = likeliest if mode == "likeliest" else drawn
        delta = found.delta.sample(spread).value if mode == "drawn" else found.delta.centre()
        return {"module": module, "delta": agent.actions.shown(delta, allowed)[module]}

    run = jax.jit(lambda key: evaluate(env, policy, key, params, count=targets))
    return summary(run(jax.random.key(SEED)), params.epsilon)


def main() -> None:
    """Play the same targets in every way, print the table, write the results."""
    made = parser(__doc__, rounds=1)
    made.add_argument("run", type=Path, help="directory of a training run")
    options = made.parse_args()
    tune_cpu()
    enable_compilation_cache()
    loaded, targets = load_agent(options.run), QUICK_TARGETS if options.quick else TARGETS
    rows = []
    for stage in range(1, loaded.stage + 1):
        for mode in MODES:
            found = figures(loaded, stage, mode, targets)
            kept = {name: found[name] for name in ("median_gap", "success_rate", "median_length")}
            rows.append({"stage": stage, "edits": mode} | kept)
    print_table("Loss above the noise floor, best of an episode", rows)
    # Where the run lies is of this machine.
    vars(options).pop("run")
    save("agent_play", options, {"iteration": loaded.iteration, "targets": targets, "rows": rows})


if __name__ == "__main__":
    main()
