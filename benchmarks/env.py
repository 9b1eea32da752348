"""Environment steps per second, and where a step's time goes.

    render        the candidates' sound
    loss          the objective: spectra and comparison
    observation   log-mel, MFCC, centroid and loudness for the agent
    rest          actions, reward, bookkeeping, history, and automatic resets in which nothing ends

The parts are programs of their own that grow by one stage each, timed in turns with the whole; a part is the
difference of two of them within a round, a share the median of its shares over the rounds. In `with
resets` the episodes are spread evenly over their 50 steps, so that one in 50 ends and begins anew at
every step.

    python benchmarks/env.py
    python benchmarks/env.py --quick
"""

import functools
import statistics
from typing import Any

import jax
import jax.numpy as jnp

from _common import Timing, measure, parser, print_table, save
from ddsprl.allocator import keep_freed_memory
from ddsprl.compile_cache import enable_compilation_cache
from ddsprl.env import AutoReset, EnvConfig, EnvParams, ManyState, MatchEnv, make_env
from ddsprl.plant import in_chunks

AIM_SHARE = 0.15
SIZES, QUICK_SIZES = (64, 512), (16,)
PARTS = ("render", "loss", "observation", "rest")


def random_actions(env: MatchEnv, n: int, key: jax.Array) -> dict[str, jax.Array]:
    """Modules and deltas of `n` episodes, uniform."""
    module_key, delta_key = jax.random.split(key)
    delta = jax.random.uniform(delta_key, (n, env.n_params), minval=-1.0)
    return {"module": jax.random.randint(module_key, (n,), 0, 4), "delta": delta}


def spread(state: ManyState, steps: int) -> ManyState:
    """The episodes at clocks spread evenly over their length."""
    t = jnp.arange(state.lengths.shape[0], dtype=jnp.int32) % steps
    return state._replace(env=state.env._replace(t=t))


class Player:
    """Plays on at every call; the state is handed over, so that nothing is copied."""

    def __init__(self, step: Any, state: ManyState, env: MatchEnv, params: EnvParams) -> None:
        """`state` is consumed."""
        self.step, self.state, self.params = step, state, params
        self.actions = random_actions(env, state.lengths.shape[0], jax.random.key(1))
        self.count = 0

    def __call__(self) -> jax.Array:
        """One step of all."""
        self.count += 1
        found = self.step(jax.random.key(self.count), self.state, self.actions, self.params)
        self.state = found.state
        return found.reward


def stages(many: AutoReset, params: EnvParams) -> dict[str, Any]:
    """The programs, each doing what the one before does and one thing more."""
    env, chunk = many.env, many.chunk or many.n_envs
    _, state = jax.jit(many.reset)(jax.random.key(0), params)
    u, episode = state.env.u, state.env.episode

    def render(u, episode):
        return env.render(u, episode.notes, episode.render_key)

    def compare(u, episode):
        audio = render(u, episode)
        return jax.vmap(env.objective, (0, 0, None))(audio, episode.features, params.objective).total

    def listen(u, episode):
        return env.hear_and_judge(u, episode, params)

    programs: dict[str, Any] = {
        name: functools.partial(jax.jit(lambda u, e, f=f: in_chunks(f, chunk, u, e)), u, episode)
        for name, f in (("render", render), ("loss", compare), ("observation", listen))
    }
    step = jax.jit(many.step, donate_argnums=1)
    copies = [jax.tree.map(jnp.copy, state) for _ in range(2)]
    # Nothing ends while the whole is timed: the clocks stand far before the end.
    endless = dict(zip(("rest", "with resets"), copies, strict=True))
    steps = env.config.steps
    never = params._replace(epsilon=jnp.full_like(params.epsilon, -jnp.inf))
    endless["rest"] = endless["rest"]._replace(
        env=endless["rest"].env._replace(t=jnp.full(many.n_envs, -(10**6)))
    )
    endless["with resets"] = spread(endless["with resets"], steps)
    return programs | {name: Player(step, begun, env, never) for name, begun in endless.items()}


def shares(timings: dict[str, Timing]) -> dict[str, float]:
    """Each part's share of a step without resets, median over the rounds."""
    rows = list(zip(*(timings[name].seconds for name in PARTS), strict=True))
    parts = [[b - a for a, b in zip((0.0, *row[:-1]), row, strict=True)] for row in rows]
    medians = {
        name: statistics.median(part[i] / row[-1] for part, row in zip(parts, rows, strict=True))
        for i, name in enumerate(PARTS)
    }
    outside = statistics.median((row[3] - row[1]) / row[3] for row in rows)
    return medians | {"outside render and loss": outside}


def run(n_envs: int, chunk: int | None, rounds: int, history: bool) -> tuple[dict[str, Any], dict[str, Any]]:
    """One row of the table, and the figures behind it."""
    env, params = make_env(EnvConfig(stage=5, bucket=max(n_envs, 64), epsilon=0.0, history=history))
    timings = measure(stages(AutoReset(env, n_envs, chunk), params), rounds=rounds)
    parts = shares(timings)
    whole, playing = timings["rest"], timings["with resets"]
    row = {
        "envs": n_envs,
        "chunk": chunk or n_envs,
        "steps/s": n_envs / whole.median,
        "best steps/s": n_envs / min(whole.seconds),
        "with resets": n_envs / playing.median,
        "ms a step": 1e3 * whole.median,
        **{f"{name} %": 100.0 * share for name, share in parts.items()},
    }
    return row, {**row, "timings": {name: timing.summary() for name, timing in timings.items()}}


def main() -> None:
    """Run, print, write."""
    options_parser = parser(__doc__, rounds=20)
    options_parser.add_argument(
        "--envs", type=int, nargs="+", help=f"episodes side by side (default {SIZES})"
    )
    options_parser.add_argument("--chunk", type=int, default=64, help="most stepped together (default 64)")
    options_parser.add_argument("--no-history", dest="history", action="store_false", help="keep no history")
    options = options_parser.parse_args()
    keep_freed_memory()
    enable_compilation_cache()
    sizes = options.envs or (QUICK_SIZES if options.quick else SIZES)
    rounds = min(options.rounds, 5) if options.quick else options.rounds
    found = []
    for n_envs in sizes:
        for chunk in sorted({min(options.chunk, n_envs), n_envs}):
            found.append(run(n_envs, chunk if chunk < n_envs else None, rounds, options.history))
    print_table("Environment steps, one probe of 0.5 s at 16 kHz, stage 5", [row for row, _ in found])
    print(f"aim: under {100 * AIM_SHARE:.0f} % outside render and loss")
    save("env", options, {"aim_outside": AIM_SHARE, "rows": [figures for _, figures in found]})


if __name__ == "__main__":
    main()
