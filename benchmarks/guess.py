"""How good a guess is: its density and errors on fresh presets, and the best of n guesses as starts.

The guess is the shipped one, or weights from a file. On fresh presets: the mean negative log density of their
knobs, and the error of the likeliest component's mean beside that of always saying 0.5. On audible targets:
the objective of the best of n guesses, beside the best of n random presets and of the n closest of a library.
Losses are of one evaluation with one noise key; the floor is the true preset's own.
"""

import argparse
import time
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import _common
from ddsprl.compile_cache import enable_compilation_cache, user_cache_dir
from ddsprl.cpu import tune_cpu
from ddsprl.features.loudness import ungated_loudness
from ddsprl.fitting.guess.clips import Clips
from ddsprl.fitting.guess.features import RATE_HZ
from ddsprl.fitting.guess.model import Guess, load_guess, standardized
from ddsprl.fitting.guess.training import TrainingConfig, draw_presets, render_clips, validated
from ddsprl.fitting.inversion.inverter import make_problem
from ddsprl.fitting.starts.library import Library, LibraryConfig
from ddsprl.metrics.statistics import median_interval
from synth_jax import Note
from synth_jax.instruments import DEFAULT_INSTRUMENT

COUNTS, RANDOM = (8, 64, 256), 4096
AUDIBLE_LUFS = -50.0


def knob_errors(guess: Guess, clips: Clips, names: list[str]) -> dict[str, Any]:
    """Mean absolute errors by knob: of the heaviest component's mean, and of always 0.5."""
    network, variables = guess.header.network(), guess.variables

    def mean(features):
        ready = standardized(features, variables["statistics"])
        found: Any = network.apply({"params": variables["params"]}, ready)
        return found.ordered().centres()[0]

    error = np.abs(np.asarray(jax.jit(jax.vmap(mean))(clips.features)) - clips.u).mean(axis=0)
    middle = np.abs(0.5 - clips.u).mean(axis=0)
    return {
        name: {"guess": float(e), "always_half": float(m)}
        for name, e, m in zip(names, error, middle, strict=True)
    }


def audible(synth, count: int, seed: int) -> tuple[np.ndarray, Note, np.ndarray]:
    """Audible random presets, their notes and sounds: `[count, d]`, leaves `[count]`, `[count, n]`."""
    draw, noise = jax.random.split(jax.random.key(seed))
    u, notes = draw_presets(draw, 4 * count, synth)
    audio = jax.jit(jax.vmap(synth.render))(u, notes, jax.random.split(noise, 4 * count))
    loud = jax.vmap(lambda x: ungated_loudness(x, RATE_HZ))(audio) > AUDIBLE_LUFS
    kept = np.flatnonzero(np.asarray(loud))[:count]
    return jax.tree.map(lambda x: np.asarray(x)[kept], (u, notes, audio))


def starts(guess: Guess, count: int, seed: int) -> list[dict[str, Any]]:
    """Best losses of every kind of start, a row a target."""
    problem = make_problem(RATE_HZ, 0.5)
    synth = problem.instrument
    library = Library(synth, LibraryConfig(cache_dir=user_cache_dir() / "library"))
    u, notes, audio = audible(synth, count, seed)
    prepare, scores = jax.jit(problem.target), jax.jit(problem.scores)
    most, rows = max(COUNTS), []
    for i in range(len(u)):
        note = jax.tree.map(lambda x: x[i], notes)  # noqa: B023
        draw, dice, noise = jax.random.split(jax.random.fold_in(jax.random.key(seed + 1), i), 3)
        guesses = guess.sample(draw, audio[i], float(note.midi), float(note.gate_s), most)
        random = jax.random.uniform(dice, (RANDOM, synth.n_params))
        close = library.closest(audio[i], note, most)
        sets = [u[i : i + 1], guesses, close, random]
        loss = np.asarray(scores(synth.snap(jnp.concatenate(sets)), prepare(audio[i], note), noise))
        parts = np.split(loss, np.cumsum([len(x) for x in sets])[:-1])
        row: dict[str, Any] = {
            "midi": float(note.midi),
            "gate_s": float(note.gate_s),
            "floor": float(loss[0]),
        }
        for name, part in zip(("guess", "library", "random"), parts[1:], strict=True):
            row |= {f"{name}_{n}": float(part[:n].min()) for n in (*COUNTS, RANDOM) if n <= len(part)}
        rows.append(row)
        said = ", ".join(f"{name} {row[f'{name}_{most}']:.2f}" for name in ("guess", "library", "random"))
        print(f"{i + 1:3d}/{len(u)}: best of {most}: {said}", flush=True)
    return rows


def summary(rows: list[dict[str, Any]], seed: int) -> list[dict[str, Any]]:
    """Medians over the targets with their intervals, a row a kind of start."""
    table = []
    for name in [key for key in rows[0] if key not in ("midi", "gate_s")]:
        values = np.array([row[name] for row in rows])
        found = median_interval(values, seed=seed)
        wins = float(np.mean([row["guess_64"] < row[name] for row in rows]))
        table.append(
            {"start": name, "median": found.estimate, "low": found.low, "high": found.high}
            | {"mean": float(values.mean()), "64 guesses better": wins}
        )
    return table


def main() -> None:
    """Measure, print and write."""
    parser = _common.parser(__doc__, rounds=1)
    parser.add_argument("--weights", type=Path, help="file of weights (default: the shipped ones)")
    parser.add_argument("--targets", type=int, default=32, help="audible random presets")
    parser.add_argument("--fresh", type=int, default=4096, help="presets for density and errors")
    parser.add_argument("--seed", type=int, default=2027)
    options: argparse.Namespace = parser.parse_args()
    if options.quick:
        options.targets, options.fresh = min(options.targets, 4), min(options.fresh, 512)
    tune_cpu()
    enable_compilation_cache()
    guess = load_guess(options.weights or DEFAULT_INSTRUMENT)
    clips = render_clips(TrainingConfig(seed=options.seed), options.fresh)
    nll = validated(guess, clips).header.validation_nll
    print(
        f"NLL on {options.fresh:,} fresh presets: {nll:.3f}; in the header: {guess.header.validation_nll:.3f}"
    )
    names = [spec.name for spec in make_problem(RATE_HZ, 0.5).instrument.table]
    errors = knob_errors(guess, clips, names)
    _common.print_table("Mean absolute error", [{"knob": name, **row} for name, row in errors.items()])
    begin = time.perf_counter()
    rows = starts(guess, options.targets, options.seed)
    table = summary(rows, options.seed)
    _common.print_table("Best of n, objective", table)
    found = {"nll": nll, "header": vars(guess.header), "errors": errors, "summary": table, "rows": rows}
    _common.save("guess", options, found | {"seconds": time.perf_counter() - begin})


if __name__ == "__main__":
    main()
