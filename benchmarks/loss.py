"""Evaluations per second of render + analyze + compare, where the time goes, and a counted floor.

One evaluation renders a preset, takes its spectra and compares it with a prepared target. The stages are
timed alone, in turns with the whole; `comparison` is the objective without its STFTs (a difference).

The floor is counted by hand, per clip, and divided by what this machine attains in the same run:

    render       51 operations a voice and sample (oscillators/waves.py), 14 voices, and 120 a sample for
                 envelopes, filter, noise and clip; bytes: the audio written once
    STFTs        2.5 n log2 n for each real transform of n samples, 1 a sample for the window, 3 a bin for the
                 power; bytes: the audio read and the power written once a window
    comparison   24 operations a bin (root, logarithm, differences, mel and transport sums; each function
                 counted as one operation); bytes: power and target spectra read once

A stage's floor is the larger of operations over the rate of a long polynomial in a fused loop and bytes over
the rate of a copy that exceeds the caches. Operations of an add, multiply, minimum or function count one.

    python benchmarks/loss.py
    python benchmarks/loss.py --quick
"""

import functools
import math
from typing import Any

import jax
import jax.numpy as jnp

from _common import measure, parser, print_table, save
from _problem import Problem, make_problem
from ddsprl.compile_cache import enable_compilation_cache
from ddsprl.cpu import tune_cpu
from ddsprl.losses.spectra import power_spectra, quarter_hop

AIM = 2_000
VOICES, VOICE_OPS, SAMPLE_OPS, BIN_OPS = 14, 51, 120, 24
FLOAT_BYTES = 4


def stages(problem: Problem) -> dict[str, Any]:
    """The whole evaluation and its stages, ready to call."""
    windows = tuple(quarter_hop(n) for n in problem.objective.config.n_ffts)
    render = functools.partial(jax.jit(jax.vmap(problem.synth.render)), *problem.args[:3])
    audio = render()

    def compare(clip, target):
        return problem.objective(clip, target).total

    return {
        "whole": functools.partial(jax.jit(jax.vmap(problem.evaluate)), *problem.args),
        "render": render,
        "STFTs": functools.partial(jax.jit(jax.vmap(lambda clip: power_spectra(clip, windows))), audio),
        "objective": functools.partial(jax.jit(jax.vmap(compare)), audio, problem.target),
    }


def counts(problem: Problem) -> dict[str, tuple[float, float]]:
    """Operations and bytes of each stage for one clip, counted as the module says."""
    n = problem.synth.n_samples
    operations, samples, bins = 0.0, 0, 0
    for n_fft in problem.objective.config.n_ffts:
        frames = 1 + n // (n_fft // 4)
        operations += frames * (2.5 * n_fft * math.log2(n_fft) + n_fft)
        samples += n
        bins += frames * (n_fft // 2 + 1)
    return {
        "render": (n * (VOICES * VOICE_OPS + SAMPLE_OPS), FLOAT_BYTES * n),
        "STFTs": (operations + 3 * bins, FLOAT_BYTES * (samples + bins)),
        "comparison": (BIN_OPS * bins, FLOAT_BYTES * 2 * bins),
    }


def attained(rounds: int) -> tuple[float, float]:
    """Operations and bytes per second of this machine, by the best of several runs."""
    terms = 64
    small, large = jnp.ones(2**20), jnp.ones(2**26)

    @jax.jit
    def polynomial(x):
        # Four independent chains, so that latency does not hide the rate.
        chains = [x + 0.1 * i for i in range(4)]
        for _ in range(terms):
            chains = [chain * x + 0.5 for chain in chains]
        return chains[0] + chains[1] + chains[2] + chains[3]

    copy = jax.jit(lambda x: x + 1.0)
    timings = measure(
        {"polynomial": lambda: polynomial(small), "copy": lambda: copy(large)}, rounds=max(rounds, 5)
    )
    operations = small.size * 4 * terms * 2 / min(timings["polynomial"].seconds)
    return operations, 2 * FLOAT_BYTES * large.size / min(timings["copy"].seconds)


def breakdown(problem: Problem, batch: int, rounds: int) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Rows of the table, and the figures behind them."""
    timings = measure(stages(problem), rounds=rounds)
    operations_rate, bytes_rate = attained(rounds)
    ms = {name: 1e3 * timing.median for name, timing in timings.items()}
    ms["comparison"] = ms["objective"] - ms["STFTs"]
    rows, floor_total = [], 0.0
    for name, (operations, size) in counts(problem).items():
        floor = 1e3 * batch * max(operations / operations_rate, size / bytes_rate)
        floor_total += floor
        rows.append(
            {
                "stage": name,
                "ms": ms[name],
                "share": ms[name] / ms["whole"],
                "Mop/clip": operations / 1e6,
                "kB/clip": size / 1e3,
                "floor ms": floor,
                "over floor": ms[name] / floor,
            }
        )
    whole = {"stage": "whole", "ms": ms["whole"], "share": 1.0, "floor ms": floor_total}
    rows.append(whole | {"over floor": ms["whole"] / floor_total})
    figures = {
        "evaluations_per_s": batch / timings["whole"].median,
        "best_evaluations_per_s": batch / min(timings["whole"].seconds),
        "attained_gop_per_s": operations_rate / 1e9,
        "attained_gb_per_s": bytes_rate / 1e9,
        "timings": {name: timing.summary() for name, timing in timings.items()},
    }
    return rows, figures


def main() -> None:
    """Run, print, write."""
    options_parser = parser(__doc__, rounds=30)
    options_parser.add_argument("--batch", type=int, default=64, help="evaluations a call (default 64)")
    options_parser.add_argument("--sample-rate", type=int, default=16_000, help="Hz (default 16000)")
    options_parser.add_argument("--duration", type=float, default=0.5, help="seconds (default 0.5)")
    options = options_parser.parse_args()
    tune_cpu()
    enable_compilation_cache()
    problem = make_problem(options.batch, sample_rate=options.sample_rate, duration_s=options.duration)
    rounds = min(options.rounds, 8) if options.quick else options.rounds
    rows, figures = breakdown(problem, options.batch, rounds)
    clip = f"{options.duration:g} s at {options.sample_rate / 1000:g} kHz, batch {options.batch}"
    print_table(f"Where the time of an evaluation goes, {clip}", rows)
    print(
        f"{figures['evaluations_per_s']:,.0f} evaluations/s (best {figures['best_evaluations_per_s']:,.0f}; "
        f"aim {AIM:,}); attained {figures['attained_gop_per_s']:.1f} Gop/s, "
        f"{figures['attained_gb_per_s']:.1f} GB/s"
    )
    save("loss", options, {"rows": rows, **figures})


if __name__ == "__main__":
    main()
