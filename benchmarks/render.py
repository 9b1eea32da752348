"""Presets rendered per second, beside SynthAX in the same run.

Serum-lite is rendered with random knobs, all fourteen unison voices sounding and the filter on, in two ways:
`vmap`, the whole batch at once, and `chunked`, `lax.map` over chunks inside one compiled function. SynthAX
(`pip install synthax`, the extra `bench`) renders its `ParametricSynth` with its own random parameters:
a sine, a square-saw and an FM sine oscillator.

    python benchmarks/render.py                 # all sizes
    python benchmarks/render.py --quick         # one small size
"""

import argparse
import functools
import importlib
import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

import synth_jax
from _common import Timing, measure, parser, print_table, save
from ddsprl.compile_cache import enable_compilation_cache
from ddsprl.cpu import tune_cpu
from synth_jax.params import index_of

CHUNK = 64


class Case(NamedTuple):
    """One clip length, the batches to render, and up to which batch SynthAX and the plain `vmap` take part.

    Attributes:
        sample_rate: Hz.
        duration_s: seconds.
        batches: presets a call.
        largest_whole: largest batch that is rendered at once; larger ones only in chunks.
    """

    sample_rate: int
    duration_s: float
    batches: tuple[int, ...]
    largest_whole: int

    @property
    def label(self) -> str:
        """As printed."""
        return f"{self.duration_s:g} s at {self.sample_rate / 1000:g} kHz"


CASES = (
    Case(16_000, 0.5, (64, 256, 1024, 4096), 4096),
    Case(44_100, 4.0, (64, 256), 64),
)
QUICK = (Case(16_000, 0.5, (64, 256), 256),)


def presets(synth: synth_jax.Instrument, batch: int) -> tuple[jax.Array, synth_jax.Note, jax.Array]:
    """Random snapped presets with all unison voices, random notes and noise keys, `[batch, ...]` each."""
    keys = jax.random.split(jax.random.key(0), 4)
    u = jax.random.uniform(keys[0], (batch, synth.n_params))
    unison = jnp.array([index_of(synth.table, f"osc{n}_unison") for n in (1, 2)])
    u = synth.snap(u.at[:, unison].set(1.0))
    note = synth_jax.Note(
        midi=jax.random.uniform(keys[1], (batch,), minval=36.0, maxval=84.0),
        gate_s=jax.random.uniform(keys[2], (batch,), minval=0.1, maxval=0.4),
        velocity=jnp.ones(batch),
    )
    return u, note, jax.random.split(keys[3], batch)


def chunked(render: Callable[..., jax.Array], size: int) -> Callable[..., jax.Array]:
    """`render`, a function of one example, over a batch in chunks of `size`, compiled as one."""

    def run(*args: Any) -> jax.Array:
        return jax.lax.map(lambda one: render(*one), args, batch_size=size)

    return jax.jit(run)


def ours(case: Case, batch: int) -> dict[str, Callable[[], Any]]:
    """Candidates of this project."""
    synth = synth_jax.serum_lite(sample_rate=case.sample_rate, duration_s=case.duration_s)
    args = presets(synth, batch)
    found: dict[str, Callable[[], Any]] = {}
    if batch <= case.largest_whole:
        found["vmap"] = functools.partial(jax.jit(jax.vmap(synth.render)), *args)
    if batch > CHUNK:
        found["chunked"] = functools.partial(chunked(synth.render, CHUNK), *args)
    return found


def synthax(case: Case, batch: int) -> Callable[[], Any]:
    """SynthAX's `ParametricSynth` at the same length and batch."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        config = importlib.import_module("synthax.config").SynthConfig(
            batch_size=batch, sample_rate=case.sample_rate, buffer_size_seconds=case.duration_s
        )
        synth = importlib.import_module("synthax.synth").ParametricSynth(
            config=config, sine=1, square_saw=1, fm_sine=1, fm_square_saw=0
        )
        params = synth.init(jax.random.key(0))
        return functools.partial(jax.jit(synth.apply), params)


def run_case(case: Case, options: argparse.Namespace) -> list[dict[str, Any]]:
    """Measure all batches of a clip length and print their table."""
    rows, reference = [], None
    for batch in case.batches:
        candidates = ours(case, batch)
        if not options.no_synthax and batch <= case.largest_whole:
            candidates["SynthAX"] = synthax(case, batch)
        # Large batches average over their own length.
        rounds = max(3, options.rounds * 64 // batch)
        timings = measure(candidates, rounds=rounds)
        best = min((name for name in timings if name != "SynthAX"), key=lambda name: timings[name].median)
        reference = reference or timings["vmap"].median / batch
        rows += [_row(case, batch, name, timings, reference, best=name == best) for name in timings]
        print(f"{case.label}: batch {batch} done", flush=True)
    shown = [{key: value for key, value in row.items() if key != "timing"} for row in rows]
    print_table(f"Presets per second, {case.label}", shown)
    return rows


def _row(
    case: Case, batch: int, name: str, timings: dict[str, Timing], reference_s: float, *, best: bool
) -> dict[str, Any]:
    timing, theirs = timings[name], timings.get("SynthAX")
    is_ours = name != "SynthAX"
    return {
        "clip": case.label,
        "batch": batch,
        "renderer": name,
        "presets/s": batch / timing.median,
        "best presets/s": batch / min(timing.seconds),
        "times SynthAX": theirs.ratio_to(timing) if is_ours and theirs else None,
        "cost per preset over batch 64": timing.median / batch / reference_s if is_ours else None,
        "faster of ours": best,
        "timing": timing.summary(),
    }


def main() -> None:
    """Run, print, write."""
    options_parser = parser(__doc__, rounds=15)
    options_parser.add_argument("--no-synthax", action="store_true", help="leave SynthAX out")
    options = options_parser.parse_args()
    tune_cpu()
    enable_compilation_cache()
    rows = [row for case in (QUICK if options.quick else CASES) for row in run_case(case, options)]
    save("render", options, {"chunk": CHUNK, "rows": rows})


if __name__ == "__main__":
    main()
