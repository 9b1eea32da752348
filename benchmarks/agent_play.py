"""How an agent should play: the likeliest edit or one drawn, after how long an opening, with returns?

python benchmarks/agent_play.py RUN                          # a directory made by python -m ddsprl.train
"""

import functools
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from _common import parser, print_table, save
from ddsprl.agents import seen_of
from ddsprl.agents.opening import opened
from ddsprl.agents.playing import playing
from ddsprl.agents.types import or_own
from ddsprl.compile_cache import enable_compilation_cache
from ddsprl.cpu import tune_cpu
from ddsprl.env import EnvParams, evaluate, stage_params
from ddsprl.fitting.guess.of_targets import with_guesses
from ddsprl.training.match import floors
from ddsprl.training.records import summary
from ddsprl.training.restore import LoadedAgent, load_agent

TARGETS, QUICK_TARGETS = 128, 4
# Not a seed of training or of a published suite.
SEED = 77
MODES = ("likeliest", "module drawn", "drawn")
ROUNDS = (0, 1, 2, 4, 6, 10)


def player(loaded: LoadedAgent, mode: str, targets: int) -> Any:
    """Compiled: an evaluation, from the environment's parameters and the rounds of the opening."""
    agent: Any = loaded.agent
    sac, env = agent.sac, loaded.env

    def act(params: EnvParams, rounds: jax.Array, key: jax.Array, obs: Any, state: Any) -> Any:
        pick, spread = jax.random.split(key)
        allowed = sac.actions.allowed(params.free)
        found = sac.policy(loaded.state.actor, seen_of(obs, agent.sight), allowed)
        likeliest, drawn = jnp.argmax(found.log_module), jax.random.categorical(pick, found.log_module)
        module = likeliest if mode == "likeliest" else drawn
        delta = found.delta.sample(spread).value if mode == "drawn" else found.delta.centre()
        first = opened(found, allowed, state.t, rounds, sac.actions)
        module, delta = or_own(first, module, delta)
        return {"module": module, "delta": sac.actions.shown(delta, allowed)[module]}

    @jax.jit
    def run(params, rounds):
        policy = functools.partial(act, params, rounds)
        return evaluate(env, policy, jax.random.key(SEED), params, count=targets)

    return run


def row(stage: int, way: dict[str, Any], found: Any, params: EnvParams) -> dict[str, Any]:
    """A line of the table; the miss is how far above epsilon those end that are not solved."""
    figures = summary(found, floors(found.state, params))
    above = np.asarray(found.best_loss - found.state.episode.epsilon)[~np.asarray(found.solved)]
    kept = {name: figures[name] for name in ("median_gap", "success_rate", "median_length")}
    miss = {"median_miss": float(np.median(above)) if above.size else None, "epsilon": float(params.epsilon)}
    return {"stage": stage} | way | kept | miss


def returning_player(loaded: LoadedAgent, targets: int) -> Any:
    """Likewise, of drawn edits and returns to the best patch, after the run's own opening."""
    act = playing(loaded)

    @jax.jit
    def run(params):
        policy = functools.partial(act, (loaded.state, True), params)
        key, memory = jax.random.key(SEED), act.memory()
        return evaluate(loaded.env, policy, key, params, count=targets, memory=memory)

    return run


def main() -> None:
    """Play the same targets in every way, print the table, write the results."""
    made = parser(__doc__, rounds=1)
    made.add_argument("run", type=Path, help="directory of a training run")
    made.add_argument("--stages", type=int, nargs="+", help="default: all that the agent has reached")
    options = made.parse_args()
    tune_cpu()
    enable_compilation_cache()
    loaded, targets = load_agent(options.run), QUICK_TARGETS if options.quick else TARGETS
    settings: Any = loaded.config.agent
    shipped = settings.opening
    runs = {mode: player(loaded, mode, targets) for mode in MODES}
    ways = [(mode, shipped) for mode in MODES]
    if shipped:
        ways += [("drawn", rounds) for rounds in ROUNDS if rounds != shipped]
    back = returning_player(loaded, targets)
    rows = []
    for stage in options.stages or range(1, loaded.stage + 1):
        params, _ = stage_params(loaded.env, stage, split="held_out", count=targets, seed=SEED)
        params = with_guesses(loaded.env, params)
        for mode, rounds in ways:
            found = runs[mode](params, jnp.asarray(rounds))
            way = {"edits": mode, "opening": rounds, "returns": False}
            rows.append(row(stage, way, found, params))
        way = {"edits": "drawn", "opening": shipped, "returns": True}
        rows.append(row(stage, way, back(params), params))
    print_table("Loss above the noise floor, best of an episode", rows)
    # Where the run lies is of this machine.
    vars(options).pop("run")
    save("agent_play", options, {"iteration": loaded.iteration, "targets": targets, "rows": rows})


if __name__ == "__main__":
    main()
