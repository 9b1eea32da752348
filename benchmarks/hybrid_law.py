"""What the hybrid law does beside plain descent: it leaves a wrong valley, and it keeps to guards.

Three demonstrations with the shipped settings of `Hybrid`, on serum_lite (16 kHz, 0.5 s):

valleys   A triangle wave that plain descent takes for a sine: `osc1_wave_morph` (hidden at 0.97) and
          `amp_sustain` are free, all else is at the target's values. The loss over the two knobs has two
          valleys, as a grid shows. Every method gets the same single start and the same charged renders.
          Starts are uniform over the two knobs, and kept if steepest descent on that grid (no method takes
          part in it) ends in the wrong valley. Behind: the judged loss is above the 1 % reference, the mean
          loss of the hidden preset with both knobs moved by 1 %. In the valley: so does the grid say.
limit     Brightness, all knobs free, Q to stay at or under 2; beside it the same search without the guard,
          and the best of as many random presets within the limit.
band      Brightness, all knobs free, Q to stay within 6 and 8 (ringing), no sample above 0.8.

Judged are snapped presets, with 8 fresh noise keys. Intervals are at 95 %, over starts (valleys) or seeds:
Wilson's for shares of them (a bootstrap of 40 hits out of 40 knows no doubt), else bootstrap intervals.

    python benchmarks/hybrid_law.py
    python benchmarks/hybrid_law.py --quick
"""

import argparse
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from _common import RESULTS, parser, print_table, save
from _hybrid_law_picture import draw
from ddsprl.compile_cache import enable_compilation_cache
from ddsprl.cpu import tune_cpu
from ddsprl.fitting.control.problem import ControlProblem
from ddsprl.fitting.control.terms import Brightness, Damping, KnobBand, PeakLimit, brightness_octaves
from ddsprl.fitting.core.budget import GRADIENT_COST
from ddsprl.fitting.core.problem import Problem
from ddsprl.fitting.core.solve import Solution, solve
from ddsprl.fitting.core.solver import Solver
from ddsprl.fitting.inversion.inverter import make_problem
from ddsprl.fitting.solvers.gradient import MultiStartAdam
from ddsprl.fitting.solvers.hybrid import Hybrid
from ddsprl.fitting.solvers.monitor import VERDICTS
from ddsprl.metrics.statistics import Interval, mean_interval, median_interval
from synth_jax import Note
from synth_jax.params import index_of

RATE, DURATION_S = 16_000, 0.5
NOTE = Note(48.0, 0.35, 1.0)
KEYS, GRID = 8, 33
HIDDEN = {"osc2_level": 0.0, "filter_cutoff": 6000.0, "osc1_wave_morph": 0.97}
FREE = ("osc1_wave_morph", "amp_sustain")
METHODS: dict[str, Solver] = {
    "hybrid": Hybrid(),
    "hybrid, no probes": Hybrid(probes=0),
    "descent by the same law": Hybrid(replicas=1, probes=0, exchange_every=0),
    "descent (Adam)": MultiStartAdam(members=1),
}
Q, Q_LIMIT, Q_BAND, PEAK = "filter_resonance", 2.0, (6.0, 8.0), 0.8
CONTROL_STARTS = 16
LIMIT_TERMS = (Brightness(), Damping(least=1.0 / Q_LIMIT))
# Noise differs from take to take, and with it the peak: the guard stands a little below what is stated.
BAND_TERMS = (Brightness(), KnobBand(Q, *Q_BAND), PeakLimit(most=PEAK - 0.05))


class Valleys(NamedTuple):
    """The two-valley task.

    Attributes:
        problem: the match.
        target: one, as a group.
        hidden: its preset, `[d]`.
        knobs: indices of the free knobs.
        grid: losses over these, `[GRID, GRID]`.
        basin: flat index of the minimum where steepest descent on the grid ends, `[GRID, GRID]`.
    """

    problem: Problem
    target: Any
    hidden: np.ndarray
    knobs: list[int]
    grid: np.ndarray
    basin: np.ndarray

    def cell(self, u: np.ndarray) -> tuple[int, int]:
        """Nearest grid point of a preset."""
        i, j = np.rint(u[self.knobs] * (GRID - 1)).astype(int)
        return int(i), int(j)

    def in_right_valley(self, u: np.ndarray) -> bool:
        """Whether steepest descent from there leads where it leads from the hidden preset."""
        return bool(self.basin[self.cell(u)] == self.basin[self.cell(self.hidden)])

    def with_knobs(self, values: np.ndarray) -> np.ndarray:
        """The hidden preset with the free knobs at `[m, 2]`, `[m, d]`."""
        u = np.tile(self.hidden, (len(values), 1))
        u[:, self.knobs] = values
        return u


def make_valleys() -> Valleys:
    """The task and its map."""
    problem = make_problem(RATE, DURATION_S)
    synth = problem.instrument
    hidden = np.array(synth.default)
    for name, value in HIDDEN.items():
        place = index_of(synth.table, name)
        hidden[place] = synth.table[place].to_unit(value)
    knobs = [index_of(synth.table, name) for name in FREE]
    free = np.zeros_like(hidden)
    free[knobs] = 1.0
    note = Note(*map(jnp.float32, NOTE))
    sound = jax.jit(synth.render)(jnp.asarray(hidden), note, jax.random.key(0))
    target = jax.jit(lambda x: problem.target(x, note, free=jnp.asarray(free), locked=jnp.asarray(hidden)))
    group = jax.tree.map(lambda x: x[None], target(sound))
    task = Valleys(problem, group, hidden, knobs, np.zeros((GRID, GRID)), np.zeros((GRID, GRID), int))
    line = np.linspace(0.0, 1.0, GRID)
    points = np.stack(np.meshgrid(line, line, indexing="ij"), -1).reshape(-1, 2)
    grid = judged(task.problem, group, task.with_knobs(points), keys=1).reshape(GRID, GRID)
    return task._replace(grid=grid, basin=basins(grid))


def basins(grid: np.ndarray) -> np.ndarray:
    """Flat index of the minimum at the end of steepest descent over the eight neighbours, for every cell."""
    n, m = grid.shape
    end = np.full(grid.shape, -1)
    for flat in np.argsort(grid, axis=None):  # downhill neighbours are done before
        i, j = divmod(int(flat), m)
        rows, columns = slice(max(i - 1, 0), min(i + 2, n)), slice(max(j - 1, 0), min(j + 2, m))
        around = grid[rows, columns]
        a, b = np.unravel_index(np.argmin(around), around.shape)
        low = (rows.start + int(a), columns.start + int(b))
        end[i, j] = flat if low == (i, j) else end[low]
    return end


@partial(jax.jit, static_argnums=0)
def _scores(problem: Any, u: jax.Array, target: Any, key: jax.Array) -> jax.Array:
    return problem.scores(u, target, key)


def judged(problem: Any, group: Any, u: np.ndarray, *, keys: int = KEYS, seed: int = 1000) -> np.ndarray:
    """Mean losses of presets `[m, d]` over fresh noise keys, `[m]`."""
    target = jax.tree.map(lambda x: x[0], group)
    fresh = jax.random.split(jax.random.key(seed), keys)
    snapped = problem.snap(jnp.asarray(u, jnp.float32))
    return np.mean([np.asarray(_scores(problem, snapped, target, key)) for key in fresh], axis=0)


def wrong_starts(task: Valleys, count: int, seed: int) -> tuple[np.ndarray, int]:
    """Uniform positions of the free knobs from where steepest descent on the grid goes wrong; and draws."""
    rng, found, drawn = np.random.default_rng(seed), [], 0
    while len(found) < count:
        u = task.with_knobs(rng.uniform(size=(1, 2)))[0]
        drawn += 1
        if not task.in_right_valley(u):
            found.append(u)
    return np.stack(found), drawn


def run_valleys(options: argparse.Namespace) -> dict[str, Any]:
    """Every method from every start."""
    task = make_valleys()
    starts, drawn = wrong_starts(task, options.starts, options.seed)
    moved = task.hidden[task.knobs] + 0.01 * np.array([[a, b] for a in (-1, 1) for b in (-1, 1)])
    reference = float(judged(task.problem, task.target, task.with_knobs(np.clip(moved, 0.0, 1.0))).mean())
    ends = np.unique(task.basin)
    minima = sorted((float(task.grid.flat[i]), int(i), float((task.basin == i).mean())) for i in ends)
    rows, curves = [], {}
    for name, solver in METHODS.items():
        runs = [_solve(task.problem, solver, task.target, u, options, i) for i, u in enumerate(starts)]
        loss = judged(task.problem, task.target, np.concatenate([run.u for run in runs]))
        reached = loss <= reference
        right = np.array([task.in_right_valley(run.u[0]) for run in runs])
        rows.append(
            {
                "method": name,
                "charged": runs[0].charged,
                "at 1 %": _share(reached),
                "in the valley": _share(right),
                "loss": median_interval(loss, seed=0),
                "losses": loss.tolist(),
            }
        )
        curves[name] = {
            "renders": runs[0].course.renders[0].tolist(),
            "loss": [run.course.loss[0].tolist() for run in runs],
            "traces": [{k: v[0].tolist() for k, v in run.course.traces.items()} for run in runs],
            "reached": reached.tolist(),
        }
    verdicts = [t["verdict"] for t in curves["hybrid"]["traces"]]
    shares = {v: float(np.mean(np.array(verdicts) == i)) for i, v in enumerate(VERDICTS)}
    return {
        "rows": rows,
        "reference_1_percent": reference,
        "minima": [
            {"loss": loss, "knobs": [i // GRID / (GRID - 1), i % GRID / (GRID - 1)], "basin": share}
            for loss, i, share in minima
        ],
        "starts": len(starts),
        "draws": drawn,
        "verdicts_of_hybrid": shares,
        "highest_sigma_of_hybrid": float(max(max(t["sigma"]) for t in curves["hybrid"]["traces"])),
        "curves": curves,
    }


def _share(hits: np.ndarray) -> Interval:
    """Share of hits with Wilson's score interval (Wilson 1927, J. Am. Stat. Assoc. 22, 209-212)."""
    n, share, z2 = len(hits), float(np.mean(hits)), 1.959964**2
    middle = (share + z2 / (2 * n)) / (1 + z2 / n)
    half = float(np.sqrt(z2 * (share * (1 - share) / n + z2 / (4 * n * n)))) / (1 + z2 / n)
    return Interval(share, max(middle - half, 0.0), min(middle + half, 1.0))


def _solve(problem: Any, solver: Solver, group: Any, starts: np.ndarray, options: Any, seed: int) -> Solution:
    """One run; `starts` is one preset or several."""
    keys = jax.random.split(jax.random.key(1_000_000 * (options.seed + 1) + seed), 1)
    rows = np.atleast_2d(starts)[None].astype(np.float32)
    return solve(problem, solver, group, rows, keys, budget=options.budget)


class Measured(NamedTuple):
    """Presets as they sound: centroid in Hz and peak over all noise keys, and Q; `[m]` each."""

    centroid_hz: np.ndarray
    q: np.ndarray
    peak: np.ndarray


def measure(problem: ControlProblem, u: np.ndarray) -> Measured:
    """Mean centroid and largest sample over fresh noise keys of snapped presets `[m, d]`."""
    synth, note = problem.instrument, Note(*map(jnp.float32, NOTE))

    def one(u, key):
        sound = synth.render(u, note, key)
        return 1000.0 * 2.0 ** brightness_octaves(sound, RATE), jnp.max(jnp.abs(sound))

    keys = jax.random.split(jax.random.key(2000), KEYS)
    centroid, peak = jax.jit(jax.vmap(jax.vmap(one, (None, 0)), (0, None)))(jnp.asarray(u), keys)
    place = index_of(synth.table, Q)
    q = [synth.table[place].to_physical(float(x)) for x in u[:, place]]
    return Measured(np.asarray(centroid).mean(1), np.array(q), np.asarray(peak).max(1))


def run_control(
    options: argparse.Namespace, terms: tuple, *, q_range: tuple[float, float], bare: bool = False
) -> dict[str, Any]:
    """The guarded search, random presets with Q in a range, and the search without guards if `bare`."""
    plant = make_problem(RATE, DURATION_S).plant
    synth, guarded = plant.instrument, ControlProblem(plant, terms)
    problems = {"hybrid, guarded": guarded}
    if bare:
        problems["hybrid, no guard"] = ControlProblem(plant, terms[:1])
    group = jax.tree.map(lambda x: jnp.asarray(x)[None], guarded.target(NOTE))
    place = index_of(synth.table, Q)
    found: dict[str, list[Measured]] = {name: [] for name in (*problems, "best random")}
    for seed in range(options.seeds):
        rng = np.random.default_rng(options.seed + seed)
        starts = rng.uniform(size=(CONTROL_STARTS, synth.n_params))
        for name, problem in problems.items():
            run = _solve(problem, METHODS["hybrid"], group, starts, options, seed)
            found[name].append(measure(problem, np.asarray(run.archive.u)[0]))
        u = rng.uniform(size=(options.budget, synth.n_params))
        low, high = (synth.table[place].to_unit(x) for x in q_range)
        u[:, place] = rng.uniform(low, high, size=len(u))
        snapped = np.asarray(guarded.snap(jnp.asarray(u, jnp.float32)))
        order = np.argsort(judged(guarded, group, snapped, keys=1, seed=seed))[:8]
        found["best random"].append(measure(guarded, snapped[order]))
    return {name: _control_row(parts, q_range) for name, parts in found.items()}


def _control_row(parts: list[Measured], q_range: tuple[float, float]) -> dict[str, Any]:
    """Results (the first of every archive) and what holds for whole archives."""
    q = np.array([part.q for part in parts])
    held = (q >= q_range[0] - 1e-4) & (q <= q_range[1] + 1e-4)
    return {
        "centroid Hz": median_interval([part.centroid_hz[0] for part in parts], seed=0),
        "Q": [float(part.q[0]) for part in parts],
        "centroids": [float(part.centroid_hz[0]) for part in parts],
        "peaks": [float(part.peak[0]) for part in parts],
        "results with Q held": _share(held[:, 0]),
        "archive with Q held": mean_interval(held.mean(1), seed=0),
        "least Q of archives": float(q.min()),
        "largest Q of archives": float(q.max()),
        "largest peak of archives": float(max(part.peak.max() for part in parts)),
    }


def _shown(row: dict[str, Any]) -> dict[str, Any]:
    """Intervals as text, lists left out."""
    texts = {}
    for key, value in row.items():
        if isinstance(value, Interval):
            texts[key] = f"{value.estimate:.3g} ({value.low:.3g} to {value.high:.3g})"
        elif not isinstance(value, list):
            texts[key] = value
    return texts


def main() -> None:
    """Run, print, draw, write."""
    options_parser = parser(__doc__, rounds=1)
    options_parser.add_argument("--starts", type=int, default=40, help="of the valleys (default 40)")
    options_parser.add_argument("--seeds", type=int, default=8, help="of limit and band (default 8)")
    options_parser.add_argument("--budget", type=int, default=1200, help="renders a run (default 1200)")
    options_parser.add_argument("--seed", type=int, default=0, help="of everything random (default 0)")
    options = options_parser.parse_args()
    if options.quick:
        options.starts, options.seeds, options.budget = 2, 2, 200
    tune_cpu()
    enable_compilation_cache()
    valleys = run_valleys(options)
    title = f"Two valleys: {valleys['starts']} starts in the wrong one, one start a run"
    print_table(title, [_shown(row) for row in valleys["rows"]])
    limit = run_control(options, LIMIT_TERMS, q_range=(0.1, Q_LIMIT), bare=True)
    print_table(f"Brightness, Q at most {Q_LIMIT:g}", [{"run": k, **_shown(v)} for k, v in limit.items()])
    band = run_control(options, BAND_TERMS, q_range=Q_BAND)
    title = f"Brightness, Q in {Q_BAND[0]:g} to {Q_BAND[1]:g}, peak at most {PEAK:g}"
    print_table(title, [{"run": k, **_shown(v)} for k, v in band.items()])
    results = {"valleys": valleys, "limit": limit, "band": band}
    if not options.quick:
        draw(RESULTS.parent.parent / "docs" / "hybrid_law.png", results, q_limit=Q_LIMIT, q_band=Q_BAND)
    valleys["curves"] = {name: {"reached": curve["reached"]} for name, curve in valleys["curves"].items()}
    settings = {"gradient_cost": GRADIENT_COST, "hybrid": str(METHODS["hybrid"]), "note": list(NOTE)}
    save("hybrid_law", options, {"settings": settings, **results})


if __name__ == "__main__":
    main()
