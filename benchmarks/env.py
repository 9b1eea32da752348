"""Environment steps per second, and where a step's time goes.

    render        the candidates' sound
    loss          the objective: spectra and comparison
    observation   log-mel, MFCC, centroid and loudness for the agent
    rest          actions, reward, bookkeeping, history, and the look for what has ended
    resets        new episodes: sound and analysis of their targets and of their starts

The parts are programs of their own that grow by one stage each, timed in turns with the whole; a part is the
difference of two of them within a round, a share the median of its shares over the rounds. All shares but the
resets' are of a step in which nothing ends, and so is `outside render and loss`. In `with resets` the
episodes are spread evenly over their 50 steps, so that one in 50 ends and begins anew at every step; the
resets' share is of such a step, and `outside, with resets` counts them wholly as outside, though most of
their time is rendering and analysis too. How it goes with 4,096 episodes is measured in a few whole steps.

    python benchmarks/env.py
    python benchmarks/env.py --quick
"""

import functools
import statistics
from typing import Any, cast

import jax
import jax.numpy as jnp

from _common import Timing, measure, parser, print_table, save
from ddsprl.compile_cache import enable_compilation_cache
from ddsprl.cpu import keep_freed_memory
from ddsprl.env import AutoReset, EnvConfig, EnvParams, ManyState, MatchEnv, make_env
from ddsprl.plant import in_chunks

AIM_SHARE = 0.15
SIZES, QUICK_SIZES = (64, 512), (16,)
# Episodes, and timed steps, of which only the whole is looked at.
LARGE, LARGE_ROUNDS = 4096, 3
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
    env: Any = many.env
    chunk = many.chunk or many.n_envs
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
    return programs | players(many, state, params)


def players(many: AutoReset, state: ManyState, params: EnvParams) -> dict[str, Any]:
    """Whole steps: `rest`, in which nothing ends, and `with resets`."""
    step, env = jax.jit(many.step, donate_argnums=1), cast(Any, many.env)
    never = params._replace(epsilon=jnp.full_like(params.epsilon, -jnp.inf))
    # The clocks stand far before the end.
    early = state._replace(env=state.env._replace(t=jnp.full(many.n_envs, -(10**6))))
    begun = {"rest": early, "with resets": spread(state, env.config.steps)}
    return {name: Player(step, jax.tree.map(jnp.copy, x), env, never) for name, x in begun.items()}


def shares(timings: dict[str, Timing]) -> dict[str, float]:
    """Each part's share of a step without resets, median over the rounds."""
    rows = list(zip(*(timings[name].seconds for name in PARTS), strict=True))
    parts = [[b - a for a, b in zip((0.0, *row[:-1]), row, strict=True)] for row in rows]
    medians = {
        name: statistics.median(part[i] / row[-1] for part, row in zip(parts, rows, strict=True))
        for i, name in enumerate(PARTS)
    }
    outside = statistics.median((row[3] - row[1]) / row[3] for row in rows)
    resets = [
        ((b - a) / b, (b - loss) / b)
        for loss, a, b in zip(
            *(timings[name].seconds for name in ("loss", "rest", "with resets")), strict=True
        )
    ]
    apart, together = (statistics.median(x) for x in zip(*resets, strict=True))
    return medians | {
        "outside render and loss": outside,
        "resets": apart,
        "outside, with resets": together,
    }


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


def run_large(n_envs: int, chunk: int, rounds: int) -> dict[str, Any]:
    """Whole steps of very many episodes."""
    env, params = make_env(EnvConfig(stage=5, bucket=n_envs, epsilon=0.0, history=False))
    many = AutoReset(env, n_envs, chunk)
    _, state = jax.jit(many.reset)(jax.random.key(0), params)
    begun = players(many, state, params)
    del state
    timings = measure(begun, rounds=rounds)
    return {
        "envs": n_envs,
        "chunk": chunk,
        "steps/s": n_envs / timings["rest"].median,
        "with resets": n_envs / timings["with resets"].median,
        "ms a step": 1e3 * timings["rest"].median,
        "rounds": rounds,
    }


def main() -> None:
    """Run, print, write."""
    options_parser = parser(__doc__, rounds=20)
    options_parser.add_argument(
        "--envs", type=int, nargs="+", help=f"episodes side by side (default {SIZES})"
    )
    options_parser.add_argument(
        "--large", type=int, default=LARGE, help=f"episodes of the few whole steps (default {LARGE}; 0: none)"
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
    large = (
        run_large(options.large, options.chunk, LARGE_ROUNDS) if options.large and not options.quick else None
    )
    if large is not None:
        print_table(f"{LARGE_ROUNDS} whole steps of many, without history", [large])
    print(f"aim: under {100 * AIM_SHARE:.0f} % outside render and loss")
    figures = [figures for _, figures in found]
    save("env", options, {"aim_outside": AIM_SHARE, "rows": figures, "large": large})


if __name__ == "__main__":
    main()
