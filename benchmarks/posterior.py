"""Do 90 % intervals hold the truth? Posteriors of random presets whose knobs are known.

Each target is a seeded random preset at a random note. Chains begin where a solver arrives from random
presets (never at the true preset), and climb a ladder of temperatures. T is chosen on the first targets, so
that their intervals hold the truth in 90 % of the knobs that count (those whose interval is under half the
prior's); the others are reported at that T. Beside it stands the cross-fitted figure: each of all targets at
the T that the rest of them choose. Nothing is said of a knob that does not count.

    python benchmarks/posterior.py
    python benchmarks/posterior.py --quick
    python benchmarks/posterior.py --samples kept.npz            # keeps all samples
    python benchmarks/posterior.py --samples kept.npz --again    # reports them again
"""

import argparse
import json
import time
from pathlib import Path
from typing import Any

import jax
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

import _common
from _targets import DURATION_S, RATE, random_targets
from ddsprl.compile_cache import enable_compilation_cache
from ddsprl.cpu import tune_cpu
from ddsprl.fitting.core.problem import Problem, Target
from ddsprl.fitting.core.solve import solve
from ddsprl.fitting.inversion.inverter import make_problem
from ddsprl.fitting.posterior.priors import UniformPrior
from ddsprl.fitting.posterior.sampling import KnobNames, PosteriorConfig, sample_posterior
from ddsprl.fitting.posterior.summary import (
    COUNTED,
    LEVEL,
    UNTELLABLE,
    Posterior,
    calibrate_temperature,
    holds,
    interval,
    ranks,
    split_r_hat,
)
from ddsprl.fitting.solvers.hybrid import Hybrid
from ddsprl.fitting.solvers.schedule import ScheduleConfig

STARTS = 64
# Random presets are far off, and suit the law with twice its steps; the replicas stay side by side.
FROM_AFAR = Hybrid(alone=0.0, schedule=ScheduleConfig(first_rate=0.2, last_rate=0.02))
PICTURE = Path(__file__).resolve().parent.parent / "docs" / "posterior.png"


def infer(
    problem: Problem, target: Target, key: jax.Array, options: argparse.Namespace
) -> tuple[Posterior, Any]:
    """A match of one target (leaves `[1, ...]`) and its posterior."""
    draw, search, sample = jax.random.split(key, 3)
    starts = jax.random.uniform(draw, (1, STARTS, problem.instrument.n_params))
    # Side by side to the end: chains should begin at several places, not along one descent.
    match = solve(problem, FROM_AFAR, target, starts, search[None], budget=options.budget)
    taken = match.archive.loss[0] < 1e3
    table = problem.instrument.table
    found = sample_posterior(
        problem,
        target,
        match.archive.u[:, taken],
        sample[None],
        KnobNames(tuple(spec.name for spec in table), problem.instrument.knowledge.partners(table)),
        config=settings(options),
    )[0]
    return found, match


def settings(options: argparse.Namespace) -> PosteriorConfig:
    """Of the sampler."""
    sizes = {"jumps": options.jumps, "chains": options.chains, "warm": options.warm, "cycles": options.cycles}
    return PosteriorConfig(temperatures=tuple(options.temperatures), **sizes)


def judged(samples: np.ndarray, truth: np.ndarray, choices: np.ndarray, prior: np.ndarray) -> dict[str, Any]:
    """Every knob of one target at one temperature; `samples` are `[m, C, d]`."""
    flat = samples.reshape(-1, samples.shape[-1])
    low, high = interval(flat, choices)
    width = (high - low) / prior
    return {
        "width": width,
        "holds": holds(low, high, truth),
        "counts": width < COUNTED,
        "rank": ranks(flat, truth),
        "untellable": width >= UNTELLABLE,
        "r_hat": np.array([split_r_hat(samples[..., i].astype(float)) for i in range(len(truth))]),
    }


def summary(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Over all targets and knobs."""
    whole = {name: np.stack([row[name] for row in rows]) for name in rows[0]}
    counts, inside = whole["counts"], whole["holds"]
    by_target = [(inside[i] & counts[i]).sum() / counts[i].sum() for i in range(len(rows)) if counts[i].any()]
    picks = np.random.default_rng(0).integers(len(rows), size=(4000, len(rows)))
    drawn = (inside & counts)[picks].sum(axis=(1, 2)) / np.maximum(counts[picks].sum(axis=(1, 2)), 1)
    return {
        "targets": len(rows),
        "coverage_counted": float((inside & counts).sum() / max(counts.sum(), 1)),
        "coverage_counted_interval": [float(x) for x in np.percentile(drawn, [2.5, 97.5])],
        "worst_target": float(min(by_target, default=np.nan)),
        "coverage_all": float(inside.mean()),
        "counted_per_target": float(counts.sum(axis=1).mean()),
        "median_width_counted": float(np.median(whole["width"][counts])) if counts.any() else None,
        "untellable_per_target": float(whole["untellable"].sum(axis=1).mean()),
        "share_r_hat_over_1.1": float((whole["r_hat"] > 1.1).mean()),
        "share_r_hat_over_1.1_counted": float((whole["r_hat"][counts] > 1.1).mean())
        if counts.any()
        else None,
        "rank_histogram": np.histogram(whole["rank"], 10, (0, 1))[0].tolist(),
        "rank_histogram_counted": np.histogram(whole["rank"][counts], 10, (0, 1))[0].tolist(),
    }


def cross_fitted(rows: list[dict[str, Any]], names: list[str]) -> dict[str, Any]:
    """All targets, each at the temperature that the others chose."""
    chosen, counts = np.unique([float(row["temperature"]) for row in rows], return_counts=True)
    plain = [{name: value for name, value in row.items() if name != "temperature"} for row in rows]
    times = {str(t): int(n) for t, n in zip(chosen, counts, strict=True)}
    return {"chosen": times, "summary": summary(plain), "knobs": by_knob(plain, names)}


def by_knob(rows: list[dict[str, Any]], names: list[str]) -> list[dict[str, Any]]:
    """What becomes of each knob."""
    whole = {name: np.stack([row[name] for row in rows]) for name in rows[0]}
    return [
        {
            "knob": name,
            "median_width": float(np.median(whole["width"][:, i])),
            "counted": int(whole["counts"][:, i].sum()),
            "held_counted": int((whole["counts"] & whole["holds"])[:, i].sum()),
            "held": int(whole["holds"][:, i].sum()),
            "untellable": int(whole["untellable"][:, i].sum()),
        }
        for i, name in enumerate(names)
    ]


def draw(path: Path, grid: list[dict[str, Any]], held_out: dict[str, Any], crossed: dict[str, Any]) -> None:
    """Coverage against T, and ranks of the truth at the chosen ones."""
    figure = Figure(figsize=(14, 3.6), dpi=100)
    canvas = FigureCanvasAgg(figure)
    first, *others = figure.subplots(1, 4)
    for part, colour in (("fit", "#a9b1bb"), ("reported", "#2f6690")):
        rows = [row for row in grid if row["part"] == part]
        x, y = ([row[k] for row in rows] for k in ("T", "coverage"))
        first.plot(x, y, "o-", color=colour, label=part)
    first.axhline(LEVEL, color="#1d2430", linewidth=0.8)
    first.set(title="coverage of counted knobs", xlabel="T", xscale="log", ylim=(0, 1.03))
    ticks = sorted({row["T"] for row in grid})
    first.set_xticks(ticks, labels=[f"{t:g}" for t in ticks])
    first.xaxis.set_minor_locator(NullLocator())
    first.legend(frameon=False)
    panels = (
        ("held out, all knobs", held_out["rank_histogram"]),
        ("held out, counted knobs", held_out["rank_histogram_counted"]),
        ("cross-fitted, counted knobs", crossed["rank_histogram_counted"]),
    )
    for axes, (name, heights) in zip(others, panels, strict=True):
        heights = np.array(heights)
        expected = heights.sum() / 10
        axes.bar(np.arange(10) / 10 + 0.05, heights, 0.09, color="#2f6690")
        spread = 1.96 * np.sqrt(0.9 * expected)
        axes.axhspan(expected - spread, expected + spread, color="#fde3c8", zorder=0)
        axes.set(title=f"ranks, {name}", xlabel="share of samples below", xlim=(0, 1))
    figure.tight_layout()
    canvas.print_figure(path, format="png")


def main() -> None:
    """Infer, calibrate, report."""
    parser = _common.parser(__doc__, rounds=1)
    parser.add_argument("--fit", type=int, default=8, help="targets that T is chosen on")
    parser.add_argument("--targets", type=int, default=16, help="targets that are reported")
    parser.add_argument("--budget", type=int, default=4_000, help="renders of the match before")
    parser.add_argument("--temperatures", type=float, nargs="+", default=[0.05, 0.08, 0.125, 0.2, 0.32, 0.5])
    parser.add_argument("--chains", type=int, default=6)
    parser.add_argument("--jumps", type=int, default=16)
    parser.add_argument("--warm", type=int, default=48)
    parser.add_argument("--cycles", type=int, default=40)
    parser.add_argument("--seed", type=int, default=77)
    parser.add_argument("--samples", type=Path, help="file (.npz) to keep all samples in")
    parser.add_argument(
        "--again", action="store_true", help="report the samples of an earlier run, kept there"
    )
    tune_cpu()
    options = parser.parse_args()
    if options.quick:
        options.fit, options.targets, options.budget = 1, 2, 300
        options.warm = options.cycles = 4
    enable_compilation_cache()
    problem = make_problem(RATE, DURATION_S)
    table = problem.instrument.table
    names, choices = [spec.name for spec in table], np.array([spec.choices for spec in table])
    prior = UniformPrior().widths(choices, LEVEL)
    if options.again:
        kept = np.load(options.samples)
        runs = json.loads(str(kept["runs"]))
        report(options, names, choices, prior, list(kept["truths"]), list(kept["ladders"]), runs)
        return
    truths, targets = random_targets(problem, options.fit + options.targets, options.seed)
    ladders, runs = [], []
    for i, truth in enumerate(truths):
        begin = time.perf_counter()
        one = jax.tree.map(lambda x, i=i: x[i : i + 1], targets)
        key = jax.random.fold_in(jax.random.key(options.seed + 1), i)
        found, match = infer(problem, one, key, options)
        floor = float(problem_loss(problem)(truth, jax.tree.map(lambda x: x[0], one), key))
        ladders.append(found.by_temperature)
        means = found.loss.mean(axis=(1, 2))
        runs.append({"match": float(match.loss[0]), "floor": floor, "mean_loss": means.tolist()})
        runs[-1] |= {k: v.tolist() for k, v in found.acceptance.items()} | {"swaps": found.swaps.tolist()}
        cells = [judged(ladder, truth, choices, prior) for ladder in found.by_temperature]
        said = " ".join(f"{(c['holds'] & c['counts']).sum()}/{c['counts'].sum()}" for c in cells)
        losses = f"floor {floor:.2f} match {match.loss[0]:.2f} mean {means[0]:.2f}..{means[-1]:.2f}"
        print(
            f"{i + 1}/{len(truths)} {losses} held/counted {said} {time.perf_counter() - begin:.0f} s",
            flush=True,
        )
    if options.samples is not None:
        kept = {"truths": truths, "ladders": np.stack(ladders), "runs": np.array(json.dumps(runs))}
        np.savez_compressed(options.samples, **kept)
    report(options, names, choices, prior, truths, ladders, runs)


def problem_loss(problem: Problem):
    """Compiled loss of one candidate."""
    return jax.jit(problem.loss)


def report(options, names, choices, prior, truths, ladders, runs) -> None:
    """Choose T on the first targets, judge the others, print, draw and write."""
    fit = options.fit
    temperatures = list(options.temperatures)

    def choose(places: list[int]):
        some = ([ladders[i] for i in places], [truths[i] for i in places])
        return calibrate_temperature(*some, temperatures=temperatures, choices=choices, prior_width=prior)

    chosen, crossed = choose(list(range(fit))), []
    for i in range(len(truths)):
        temperature = choose([j for j in range(len(truths)) if j != i]).temperature
        ladder = ladders[i][temperatures.index(temperature)]
        crossed.append(judged(ladder, truths[i], choices, prior) | {"temperature": np.array(temperature)})
    grid, tables = [], {}
    for r, temperature in enumerate(options.temperatures):
        rows = [judged(x[r], u, choices, prior) for x, u in zip(ladders, truths, strict=True)]
        for part, some in (("fit", rows[:fit]), ("reported", rows[fit:])):
            done = summary(some)
            coverage, counted = done["coverage_counted"], done["counted_per_target"]
            grid.append({"part": part, "T": temperature, "coverage": coverage, "counted a target": counted})
            if part == "reported" and temperature == chosen.temperature:
                tables = {"summary": done, "knobs": by_knob(some, names)}
    _common.print_table("Coverage of counted knobs", grid)
    _common.print_table(f"Reported at T = {chosen.temperature}", tables["knobs"])
    cross = cross_fitted(crossed, names)
    print(tables["summary"], cross["summary"], sep="\n")
    result = {"temperature": chosen.temperature, "grid": grid, **tables, "cross_fitted": cross, "runs": runs}
    options.samples = None if options.samples is None else options.samples.name
    _common.save("posterior", options, result)
    if not options.quick:
        draw(PICTURE, grid, tables["summary"], cross["summary"])


if __name__ == "__main__":
    main()
