"""What a trained agent has heard: where it believes every knob of its target to be, beside the shipped guess.

On held-out presets with all knobs unlocked an agent that does nothing but follow its own belief about the
teacher (`Policy.goal`) turns the modules one after the other. Its knobs then stand where it believes the
target's to be. The guess (`ddsprl.fitting.guess.model`) hears the same clips at the same notes.

    python benchmarks/belief.py RUN                      # a directory made by python -m ddsprl.train
"""

from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from _common import parser, print_table, save
from ddsprl.agents import seen_of
from ddsprl.compile_cache import enable_compilation_cache
from ddsprl.cpu import tune_cpu
from ddsprl.env import EnvParams, stage_params
from ddsprl.fitting.guess.model import load_guess
from ddsprl.fitting.guess.of_targets import with_guesses
from ddsprl.training.restore import LoadedAgent, load_agent

TARGETS, QUICK_TARGETS = 128, 4
# Not a seed of training or of a published suite.
SEED, STAGE, ROUNDS, GROUP = 77, 5, 3, 32


def believed(loaded: LoadedAgent, params: EnvParams, count: int) -> dict[str, np.ndarray]:
    """Targets' knobs `[n, d]`, the agent's after every edit `[n, T + 1, d]`, sounds `[n, samples]`, notes."""
    agent: Any = loaded.agent
    sac, env = agent.sac, loaded.env
    modules = sac.actions.modules
    allowed = sac.actions.allowed(params.free)

    def episode(key, index):
        obs, state = env.reset_at(key, params, index)

        def edit(carry, t):
            obs, state = carry
            goal = sac.policy(loaded.state.actor, seen_of(obs, agent.sight), allowed).goal.centre()
            module = t % modules
            action = {"module": module, "delta": sac.actions.shown(goal, allowed)[module]}
            after = env.step(key, state, action, params)
            return (after.obs, after.state), after.state.u

        _, turned = jax.lax.scan(edit, (obs, state), jnp.arange(ROUNDS * modules))
        target = state.episode
        note = jax.tree.map(lambda x: x[0], target.notes)
        return {
            "truth": target.u,
            "knobs": jnp.concatenate([state.u[None], turned]),
            "audio": env.instrument.render(target.u, note, target.target_key),
            "midi": note.midi,
            "gate_s": note.gate_s,
        }

    keys = jax.random.split(jax.random.key(SEED), count)
    run = jax.jit(
        lambda keys: jax.lax.map(lambda x: episode(*x), (keys, jnp.arange(count)), batch_size=GROUP)
    )
    return jax.tree.map(np.asarray, run(keys))


def errors(loaded: LoadedAgent, found: dict[str, np.ndarray]) -> list[dict[str, Any]]:
    """Mean absolute errors, a row a knob, in knob positions."""
    guess = load_guess(loaded.env.instrument.name)
    clips = zip(found["audio"], found["midi"], found["gate_s"], strict=True)
    heard = [np.asarray(guess.means(audio, float(midi), float(gate)))[0] for audio, midi, gate in clips]
    columns = {
        "always 0.5": np.full_like(found["truth"], 0.5),
        "start": found["knobs"][:, 0],
        "agent": found["knobs"][:, -1],
        "guess": np.stack(heard),
    }
    each = {name: np.abs(x - found["truth"]).mean(axis=0) for name, x in columns.items()}
    table = loaded.env.instrument.table
    rows = [{"knob": spec.name} | {n: float(x[i]) for n, x in each.items()} for i, spec in enumerate(table)]
    return [*rows, {"knob": "mean of all"} | {n: float(x.mean()) for n, x in each.items()}]


def main() -> None:
    """Measure, print the table, write the results."""
    made = parser(__doc__, rounds=1)
    made.add_argument("run", type=Path, help="directory of a training run that has reached the last stage")
    options = made.parse_args()
    tune_cpu()
    enable_compilation_cache()
    loaded, count = load_agent(options.run), QUICK_TARGETS if options.quick else TARGETS
    params, _ = stage_params(loaded.env, STAGE, split="held_out", count=count, seed=SEED)
    params = with_guesses(loaded.env, params)
    params = params._replace(warm_start_probability=0.0)
    rows = errors(loaded, believed(loaded, params, count))
    print_table("Mean absolute error of the knobs", rows)
    # Where the run lies is of this machine.
    vars(options).pop("run")
    save("belief", options, {"targets": count, "iteration": loaded.iteration, "knobs": rows})


if __name__ == "__main__":
    main()
