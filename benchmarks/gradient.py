"""Cost of value-and-grad over one forward evaluation of the whole objective, and its memory.

An evaluation is render, analyze and compare, one compiled function; the gradient is with respect to all knobs
of the unsnapped vector. Forward and gradient take turns at the same batch. Parts alone are shown below the
whole: the render through a fixed random projection, the objective with respect to the audio.

Memory is measured in a fresh process: the peak of its resident set (of the device's memory, off the CPU),
and what XLA reserved for arguments, results and intermediates.

    python benchmarks/gradient.py
    python benchmarks/gradient.py --quick
"""

import functools
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp

from _common import Timing, measure, parser, print_table, save
from _problem import Problem, make_problem
from ddsprl.compile_cache import enable_compilation_cache
from ddsprl.cpu import tune_cpu
from ddsprl.fitting.core.problem import GRADIENT_SAMPLES, SCORE_SAMPLES, chunk_size
from ddsprl.plant import in_chunks

MOST_FORWARDS, MOST_GIB = 4.0, 4.0


def candidates(problem: Problem) -> dict[str, Any]:
    """Forward and value-and-grad of the whole and of its two halves, ready to call."""
    audio = jax.jit(jax.vmap(problem.synth.render))(problem.u, problem.note, problem.key)
    weights = jax.random.normal(jax.random.key(9), (problem.synth.n_samples,))

    def projected(u, note, key):
        return jnp.dot(problem.synth.render(u, note, key), weights)

    def compared(clip, target):
        return problem.objective(clip, target).total

    parts = {
        "whole": (problem.evaluate, problem.args),
        "render": (projected, problem.args[:3]),
        "objective": (compared, (audio, problem.target)),
    }
    found = {}
    for name, (function, args) in parts.items():
        found[f"{name} forward"] = functools.partial(jax.jit(jax.vmap(function)), *args)
        found[f"{name} gradient"] = functools.partial(jax.jit(jax.vmap(jax.value_and_grad(function))), *args)
    # As the search computes them: the same batch, a few candidates at a time, so that they stay in the cache.
    chunked = {
        "forward": (problem.evaluate, SCORE_SAMPLES),
        "gradient": (slope_of(problem), GRADIENT_SAMPLES),
    }
    for name, (function, samples) in chunked.items():
        run = jax.jit(functools.partial(in_chunks, function, chunk_size(samples, problem.synth.n_samples)))
        found[f"whole, in chunks {name}"] = functools.partial(run, *problem.args)
    return found


def slope_of(problem: Problem):
    """Value and gradient of one candidate."""
    return jax.value_and_grad(problem.evaluate)


def ratio_rows(timings: dict[str, Timing], batch: int) -> list[dict[str, Any]]:
    """One row a part."""
    rows = []
    for part in ("whole, in chunks", "whole", "render", "objective"):
        forward, gradient = timings[f"{part} forward"], timings[f"{part} gradient"]
        rows.append(
            {
                "part": part,
                "batch": batch,
                "forward ms": 1e3 * forward.median,
                "value-and-grad ms": 1e3 * gradient.median,
                "ratio": gradient.ratio_to(forward),
                "gradients/s": batch / gradient.median,
            }
        )
    return rows


def memory_of(batch: int) -> dict[str, Any]:
    """Measure, in this process, the memory of value-and-grad at a batch."""
    problem = make_problem(batch)
    before = peak_bytes()
    run = jax.jit(jax.vmap(jax.value_and_grad(problem.evaluate))).lower(*problem.args).compile()
    value, slope = jax.block_until_ready(run(*problem.args))
    assert bool(jnp.all(jnp.isfinite(value)) & jnp.all(jnp.isfinite(slope)))
    analysis: Any = run.memory_analysis()
    reserved = analysis.temp_size_in_bytes + analysis.output_size_in_bytes + analysis.argument_size_in_bytes
    gib = 2.0**30
    return {
        "batch": batch,
        "process peak GiB": peak_bytes() / gib,
        "before the gradient GiB": before / gib,
        "XLA total GiB": reserved / gib,
        "XLA intermediates GiB": analysis.temp_size_in_bytes / gib,
    }


def peak_bytes() -> int:
    """Peak memory so far: of the device where it counts, else of this process."""
    stats = jax.devices()[0].memory_stats()
    if stats and "peak_bytes_in_use" in stats:
        return stats["peak_bytes_in_use"]
    try:
        # Unlike getrusage, this does not inherit the peak of the process that started us.
        status = Path("/proc/self/status").read_text(encoding="utf-8")
        return 1024 * int(status.partition("VmHWM:")[2].split()[0])
    except (OSError, IndexError):
        import resource

        unit = 1 if sys.platform == "darwin" else 1024
        return unit * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def memory_in_fresh_process(batch: int) -> dict[str, Any]:
    """`memory_of` in a process of its own."""
    command = [sys.executable, __file__, "--memory-only", str(batch)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return json.loads(done.stdout.strip().splitlines()[-1])


def main() -> None:
    """Run, print, write."""
    options_parser = parser(__doc__, rounds=20)
    options_parser.add_argument("--batch", type=int, default=64, help="candidates of the ratio (default 64)")
    options_parser.add_argument(
        "--memory-batch", type=int, help="of the memory figure (default 256, quick 64)"
    )
    options_parser.add_argument(
        "--memory-only", type=int, metavar="BATCH", help="print only this figure as JSON"
    )
    options = options_parser.parse_args()
    tune_cpu()
    enable_compilation_cache()
    if options.memory_only:
        print(json.dumps(memory_of(options.memory_only)))
        return
    # Before anything else: on a GPU, this process would hold the memory.
    memory = memory_in_fresh_process(options.memory_batch or (64 if options.quick else 256))
    timings = measure(
        candidates(make_problem(options.batch)), rounds=min(options.rounds, 5 if options.quick else 99)
    )
    rows = ratio_rows(timings, options.batch)
    print_table(f"Value-and-grad over forward (at most {MOST_FORWARDS:g} wanted)", rows)
    print_table(f"Memory of value-and-grad (under {MOST_GIB:g} GiB wanted at batch 256)", [memory])
    save(
        "gradient",
        options,
        {
            "rows": rows,
            "memory": memory,
            "timings": {name: timing.summary() for name, timing in timings.items()},
            "meets": {
                "ratio": rows[0]["ratio"] <= MOST_FORWARDS,
                "memory": memory["process peak GiB"] < MOST_GIB,
            },
        },
    )


if __name__ == "__main__":
    main()
