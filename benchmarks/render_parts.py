"""What a render spends its time on: the parts alone and together, and ways of doing them that lost.

Batch 64 of half a second at 16 kHz, as in `render.py`. A part alone reads and writes memory that it does not
touch inside the whole, so parts do not add up to it. For the voices the arithmetic is counted and set against
what the same machine does in a loop of nothing but multiply-adds: that is how far they are from the limit.

    python benchmarks/render_parts.py                       # all cores
    taskset -c 0 python benchmarks/render_parts.py --out benchmarks/results/render_parts_one_core.json
"""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

import synth_jax
from _common import Timing, measure, parser, print_table, save
from ddsprl.cpu import tune_cpu
from render import presets
from synth_jax.filters import lowpass, warped_gain
from synth_jax.modulators import Adsr, adsr, lfo
from synth_jax.oscillators import REACH, OscParams, base_phase, control_hop, correct, oscillators, white_noise

SAMPLE_RATE, DURATION_S, BATCH = 16_000, 0.5, 64
VOICES = 14
# Of one voice and sample, in `waves.wave` and `bank.voice_bank`, a multiply-add counted once and a rounding
# twice: phase 1, wrap 3, fold 3, edge 6, corner 4, smooth 3, gate 2, mix 6, gain 1.
OPERATIONS = 29
PEAK_CHAINS, PEAK_DEPTH = 8, 32

Calls = dict[str, Callable[[], Any]]


def call(function: Callable[..., Any], *args: Any) -> Callable[[], Any]:
    """`function`, compiled, ready to be timed."""
    return functools.partial(jax.jit(function), *args)


def oscillator_bank(knobs: jax.Array, midi: jax.Array, n: int) -> jax.Array:
    """Fourteen voices of random shape before correction, `[frames, hop]`; `knobs [2, 5]` in [0, 1]."""
    hop = control_hop(SAMPLE_RATE)
    frames = -(-(n + REACH) // hop)
    base = base_phase(midi, jnp.zeros(frames + 1), sample_rate=SAMPLE_RATE, hop=hop)
    frequency = base.increment / hop
    banks = [OscParams(k[0], 6.0 + k[1], 50.0 * k[2], k[3], 24.0 * k[4] - 12.0) for k in knobs]
    return oscillators(banks, base, frequency)


def parts(n: int) -> Calls:
    """The whole render and each of its parts alone."""
    synth = synth_jax.serum_lite(sample_rate=SAMPLE_RATE, duration_s=n / SAMPLE_RATE)
    args = presets(synth, BATCH)
    keys = jax.random.split(jax.random.key(1), 4)
    knobs = jax.random.uniform(keys[0], (BATCH, 2, 5))
    x, g, k = filter_inputs(n)
    time_s = jnp.arange(n) / SAMPLE_RATE
    bank = jax.vmap(functools.partial(oscillator_bank, n=n))
    frames = jax.jit(bank)(knobs, args[1].midi)
    envelope = Adsr(*(0.05 + jax.random.uniform(keys[1], (4, BATCH))))

    def cutoff(envelope, gate_s, rate_hz):
        return warped_gain(4.0 * adsr(time_s, gate_s, envelope) + lfo(time_s, rate_hz) - 8.0)

    noise = jax.vmap(lambda key: white_noise(key, n, jnp.dtype(jnp.float32)))
    return {
        "whole render": call(jax.vmap(synth.render), *args),
        "voices": call(bank, knobs, args[1].midi),
        "correction": call(jax.vmap(correct), frames),
        "filter": call(jax.vmap(lowpass), x, g, k),
        "filter, inputs already side by side": call(jax.vmap(lowpass, (1, 1, 0), 1), x.T, g.T, k),
        "cutoff": call(jax.vmap(cutoff), envelope, args[1].gate_s, 5.0 * knobs[:, 0, 0]),
        "noise": call(noise, args[2]),
        "envelope": call(jax.vmap(functools.partial(adsr, time_s)), args[1].gate_s, envelope),
    }


def filter_inputs(n: int) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Samples and gains `[BATCH, n]`, damping `[BATCH]`."""
    x = jax.random.normal(jax.random.key(2), (BATCH, n))
    g = jnp.exp(jax.random.uniform(jax.random.key(3), (BATCH, n), minval=-4.0, maxval=1.0))
    return x, g, jnp.linspace(0.2, 2.0, BATCH)


def advance(state: Any, inputs: Any, k: jax.Array) -> Any:
    """One sample of the filter, as in `filters.svf`: new states and the output."""
    (s1, s2), (x, g) = state, inputs
    a1 = 1.0 / (1.0 + g * (g + k))
    a2 = g * a1
    v3 = x - s2
    v1, v2 = a1 * s1 + a2 * v3, s2 + a2 * s1 + g * a2 * v3
    return (2.0 * v1 - s1, 2.0 * v2 - s2), v2


def scanned(x: jax.Array, g: jax.Array, k: jax.Array, *, output: str, unroll: int = 1) -> Any:
    """The filter as a scan over `[n, BATCH]` that writes its output, both states, or both stacked."""

    def step(state, inputs):
        after, y = advance(state, inputs, k)
        return after, {"output": y, "two arrays": state, "stacked": jnp.stack(state)}[output]

    return jax.lax.scan(step, (jnp.zeros(BATCH),) * 2, (x, g), unroll=unroll)[1]


def blocked(x: jax.Array, g: jax.Array, k: jax.Array, *, length: int) -> jax.Array:
    """The filter in blocks: transitions of all blocks at once, their starts in turn, all blocks again.

    The three runs of a block (its input from rest; each state alone) give its transition.
    """
    n = x.shape[0]
    x, g = (a.reshape(n // length, length, BATCH).swapaxes(0, 1) for a in (x, g))
    zero, one = jnp.zeros_like(x[0]), jnp.ones_like(x[0])

    def step(states, inputs):
        sources = (inputs[0], 0.0, 0.0)
        pairs = zip(states, sources, strict=True)
        return [advance(s, (source, inputs[1]), k)[0] for s, source in pairs], None

    moves = jax.lax.scan(step, [(zero, zero), (one, zero), (zero, one)], (x, g))[0]

    def jump(state, move):
        own, first, second = move
        after = tuple(o + a * state[0] + b * state[1] for o, a, b in zip(own, first, second, strict=True))
        return after, state

    starts = jax.lax.scan(jump, (jnp.zeros(BATCH),) * 2, moves)[1]
    y = jax.lax.scan(lambda state, inputs: advance(state, inputs, k), starts, (x, g))[1]
    return y.swapaxes(0, 1).reshape(n, BATCH)


def alternatives(n: int) -> Calls:
    """The filter's loop, and the loops that were tried in its place; inputs already side by side."""
    x, g, k = filter_inputs(n)
    args = (x.T, g.T, k)
    calls = {
        "scan (in use)": call(functools.partial(scanned, output="output"), *args),
        "scan, two samples a step": call(functools.partial(scanned, output="output", unroll=2), *args),
        "scan, writes both states, stacked": call(functools.partial(scanned, output="stacked"), *args),
        "scan, writes both states, two arrays": call(functools.partial(scanned, output="two arrays"), *args),
    }
    for length in (8, 32, 80):
        calls[f"blocks of {length}"] = call(functools.partial(blocked, length=length), *args)
    return calls


def tails(n: int) -> Calls:
    """What a transposition costs: alone, and inside the arithmetic that follows it."""
    x = filter_inputs(n)[0]

    def arithmetic(x):
        return x * (1.0 + x * (0.5 + x * (0.25 + x * 0.125))) / (1.0 + jnp.abs(x))

    return {
        "arithmetic": call(arithmetic, x),
        "transposition": call(lambda x: x.T + 0.0, x),
        "arithmetic after a transposition": call(lambda x: arithmetic(x.T), x),
    }


def peak(x: jax.Array) -> jax.Array:
    """Independent chains of multiply-adds on values that stay in registers."""
    chains = [x + 0.1 * i for i in range(PEAK_CHAINS)]
    for _ in range(PEAK_DEPTH):
        chains = [0.5 + x * y for y in chains]
    return functools.reduce(jnp.add, chains)


def throughput(voices: Timing, peak_time: Timing, n: int, peak_n: int) -> dict[str, float]:
    """Operations a nanosecond of the voices and of the machine, all cores together."""
    hop = control_hop(SAMPLE_RATE)
    samples = BATCH * -(-(n + REACH) // hop) * hop
    done = OPERATIONS * VOICES * samples / voices.median * 1e-9
    best = PEAK_CHAINS * PEAK_DEPTH * peak_n / peak_time.median * 1e-9
    return {
        "operations per voice and sample": OPERATIONS,
        "voice samples": VOICES * samples,
        "voices, operations/ns": done,
        "multiply-adds, operations/ns": best,
        "share": done / best,
    }


def main() -> None:
    """Run, print, write."""
    tune_cpu()
    options = parser(__doc__, rounds=25).parse_args()
    n = 1_600 if options.quick else round(SAMPLE_RATE * DURATION_S)
    values = jnp.full(2**18, 0.5)
    groups = {"parts": parts(n) | {"multiply-adds": call(peak, values)}}
    groups |= {"filter": alternatives(n), "transposition": tails(n)}
    results: dict[str, Any] = {}
    timings: dict[str, Timing] = {}
    for group, calls in groups.items():
        timings |= (taken := measure(calls, rounds=options.rounds))
        first = next(iter(taken.values()))
        rows = [
            {
                "name": name,
                "ms": 1e3 * t.median,
                "best ms": 1e3 * min(t.seconds),
                "of the first": t.ratio_to(first),
            }
            for name, t in taken.items()
        ]
        print_table(group, rows)
        results[group] = [{**row, "timing": taken[row["name"]].summary()} for row in rows]
    results["throughput"] = throughput(timings["voices"], timings["multiply-adds"], n, values.size)
    print_table("throughput", [results["throughput"]])
    save("render_parts", options, results)


if __name__ == "__main__":
    main()
