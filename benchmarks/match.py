"""How close a match comes: 64 random presets and real recordings, on the objective and on the yardstick.

Beside every match stand the noise floor (the true preset with other noise keys), the 1 % reference (every
knob of it moved by 1 %), and the best of 512 and of 4,096 random presets at the same note. Presets are judged
by the excess ratio (L - floor) / (L_best of 4,096 - floor), recordings by the plain ratio to the best of
4,096, both on the objective and on the yardstick (which nobody optimises: the references' yardstick is that
of the presets that the objective chose). Intervals are 95 % bootstrap intervals of the median.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
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
from ddsprl.fitting.core.problem import Problem, Target
from ddsprl.fitting.inversion.invert import Setup, invert
from ddsprl.fitting.inversion.inverter import InversionConfig, Inverter, make_problem
from ddsprl.fitting.inversion.methods import DEFAULT_BUDGET, make_method
from ddsprl.fitting.inversion.recording import choose_pitch, ready
from ddsprl.fitting.starts.library import LibraryConfig
from ddsprl.io import load_audio
from synth_jax import Note, load_bank, shipped_presets_dir

RATE = 16_000
KEYS = 8
JUDGES = ("objective", "yardstick")
ROOT = Path(__file__).resolve().parent.parent
CASE = ROOT / "tests" / "data" / "targets"


def references(problem: Problem, target: Target, u: jax.Array, key: jax.Array) -> dict[str, jax.Array]:
    """Losses and yardsticks of the references of one target; `u` is its true preset."""
    snap = problem.instrument.snap
    noise, signs, draw, one = jax.random.split(key, 4)
    keys = jax.random.split(noise, KEYS)
    moved = jnp.where(jax.random.bernoulli(signs, 0.5, (KEYS, len(u))), 0.01, -0.01)
    moved = snap(jnp.clip(u + moved, 0.0, 1.0))
    both = jax.vmap(lambda x, k: (problem.loss(x, target, k), problem.yardstick(x, target, k)))
    floor, percent = both(jnp.broadcast_to(u, moved.shape), keys), both(moved, keys)
    random = snap(jax.random.uniform(draw, (4096, len(u))))
    loss = problem.scores(random, target, one)
    found = {"floor": jax.tree.map(jnp.mean, floor), "percent": jax.tree.map(jnp.mean, percent)}
    for count in (512, 4096):
        # The random search chooses by one evaluation; what it chose is judged like everything else.
        best = jnp.broadcast_to(random[jnp.argmin(loss[:count])], moved.shape)
        found[f"best_{count}"] = jax.tree.map(jnp.mean, both(best, keys))
    return found


def random_targets(problem: Problem, count: int, seed: int):
    """Seeded presets that can be heard (over -50 LUFS): knobs, notes, sounds, and how many were rejected."""
    synth = problem.instrument
    keys = jax.random.split(jax.random.key(seed), 4)
    draws = 4 * count
    u = synth.snap(jax.random.uniform(keys[0], (draws, synth.n_params)))
    midi = jax.random.uniform(keys[1], (draws,), minval=36.0, maxval=84.0)
    gate = jax.random.uniform(keys[2], (draws,), minval=0.1, maxval=0.4)
    noise = jax.random.split(keys[3], draws)
    render = jax.jit(jax.vmap(lambda u, m, g, k: synth.render(u, Note(m, g, 1.0), k)))
    audio = np.asarray(render(u, midi, gate, noise))
    heard = np.flatnonzero(np.asarray(jax.vmap(lambda x: ungated_loudness(x, RATE))(audio)) > -50.0)[:count]
    rejected = int(heard[-1] + 1 - count)
    return tuple(np.asarray(x)[heard] for x in (u, midi, gate)) + (audio[heard], rejected)


def interval(values: np.ndarray, seed: int = 0) -> dict[str, float]:
    """Median and its 95 % bootstrap interval."""
    picks = np.random.default_rng(seed).choice(values, (10_000, len(values)))
    low, high = np.percentile(np.median(picks, axis=1), [2.5, 97.5])
    return {"median": float(np.median(values)), "low": float(low), "high": float(high)}


def run_presets(options: argparse.Namespace) -> dict[str, Any]:
    """The table on random presets."""
    problem = make_problem(RATE, 0.5)
    inverter = new_inverter(problem)
    u, midi, gate, audio, rejected = random_targets(problem, options.presets, options.seed)
    judge = jax.jit(lambda a, n, u, k: references(problem, problem.target(a, n), u, k))
    rows: list[dict[str, Any]] = []
    for i in range(len(u)):
        key = jax.random.fold_in(jax.random.key(options.seed + 1), i)
        note = {"midi": midi[i], "gate_s": gate[i]}
        row = match_one(inverter, audio[i], np.ones_like(audio[i]), note, key, options)
        others = judge(audio[i], Note(midi[i], gate[i], 1.0), u[i], jax.random.fold_in(key, 1))
        row |= {k: [float(x) for x in v] for k, v in others.items()}
        row["excess"] = [excess(row["match"][j], row["floor"][j], row["best_4096"][j]) for j in (0, 1)]
        rows.append(row)
        report(i, len(u), f"{midi[i]:5.1f}", row, "excess")
    summary: dict[str, Any] = {
        "rejected": rejected,
        "library_renders_per_target": inverter.library.renders / len(u),
        "seconds_per_target": float(np.median([r["seconds"] for r in rows])),
    }
    for j, name in enumerate(JUDGES):
        columns = ("match", "floor", "percent", "best_512", "best_4096")
        table = {k: np.array([r[k][j] for r in rows]) for k in columns}
        summary[name] = {f"median_{k}": float(np.median(v)) for k, v in table.items()}
        summary[name]["excess_ratio"] = interval(np.array([r["excess"][j] for r in rows]))
        summary[name]["share_at_1_percent"] = float(np.mean(table["match"] <= table["percent"]))
    return {"summary": summary, "rows": rows}


def excess(loss: float, floor: float, reference: float) -> float:
    """(L - floor) / (L_reference - floor)."""
    return (loss - floor) / (reference - floor)


def match_one(
    inverter: Inverter,
    audio: np.ndarray,
    window: np.ndarray,
    note: dict,
    key: jax.Array,
    options: argparse.Namespace,
) -> dict[str, Any]:
    """One match: its loss and yardstick, what it spent, how long it took."""
    begin = time.perf_counter()
    found = invert(
        audio[None],
        RATE,
        **note,
        key=key,
        budget=options.budget,
        method=options.method,
        start=options.start,
        setup=Setup(inverter=inverter, bank=bank(), window=window[None]),
    )
    return {
        "match": [float(found.loss[0]), float(found.verdict.yardstick[0])],
        "relaxed": float(found.course.loss[0, -1]),
        "seconds": time.perf_counter() - begin,
        "renders": int(found.cost.renders[0]),
        "gradients": int(found.cost.gradients[0]),
        "library_renders": int(found.cost.library[0]),
        **{k: float(v) for k, v in note.items()},
    }


def report(i: int, count: int, name: str, row: dict[str, Any], ratio: str) -> None:
    """One line a target, as it is done."""
    a, b = row[ratio]
    print(f"{i + 1:3d}/{count}  {name}  loss {row['match'][0]:.3f}  {ratio} {a:6.3f}, yardstick {b:6.3f}")


def run_recordings(options: argparse.Namespace, *, given: bool) -> dict[str, Any]:
    """The table on recordings, midi and gate given by the manifest or estimated."""
    folder = Path(options.recordings)
    manifest = folder / "manifest.json"
    entries = json.loads(manifest.read_text()) if manifest.is_file() else []
    known = {entry["file"]: entry for entry in entries}
    inverters: dict[float, Inverter] = {}
    rows: list[dict[str, Any]] = []
    paths = sorted(folder.glob("*.wav"))
    for i, path in enumerate(paths):
        note = known.get(path.name, {}) if given else {}
        clip = load_audio(path, sample_rate=RATE)
        recording = ready(clip, midi=note.get("midi"), gate_s=note.get("gate_s"))
        if recording.duration_s not in inverters:
            inverters[recording.duration_s] = new_inverter(make_problem(RATE, recording.duration_s))
        inverter = inverters[recording.duration_s]
        key = jax.random.fold_in(jax.random.key(options.seed + 2), i)
        played = {"midi": choose_pitch(recording, inverter, key), "gate_s": recording.gate_s}
        row = match_one(inverter, recording.audio, recording.window, played, key, options)
        arguments = (recording.audio, recording.window, Note(played["midi"], played["gate_s"], 1.0))
        best = _best_random(inverter.problem)(*arguments, jax.random.fold_in(key, 1))
        row |= {k: [float(x) for x in v] for k, v in best.items()}
        row["ratio"] = [row["match"][j] / row["best_4096"][j] for j in (0, 1)]
        rows.append(row | {"file": path.name, "note_given": bool(note)})
        report(i, len(paths), f"{path.stem:18s}", row, "ratio")
    summary: dict[str, Any] = {"seconds_per_target": float(np.median([r["seconds"] for r in rows]))}
    for j, name in enumerate(JUDGES):
        summary[name] = {"plain_ratio": interval(np.array([r["ratio"][j] for r in rows]))}
        for k in ("match", "best_4096"):
            summary[name][f"median_{k}"] = float(np.median([r[k][j] for r in rows]))
    return {"summary": summary, "rows": rows}


_JITTED: dict[Problem, Any] = {}


def _best_random(problem: Problem):
    """Compiled references of recordings, which have no true preset."""
    if problem not in _JITTED:

        def best(audio, window, note, key):
            target = problem.target(audio, note, window=window)
            found = references(problem, target, problem.instrument.default, key)
            return {k: v for k, v in found.items() if k.startswith("best")}

        _JITTED[problem] = jax.jit(best)
    return _JITTED[problem]


def run_timing() -> dict:
    """One recording by the command line in fresh processes: cold (empty caches), then warm."""
    times = {}
    with tempfile.TemporaryDirectory() as folder:
        environment = dict(os.environ, DDSPRL_CACHE_DIR=f"{folder}/cache")
        environment.pop("JAX_COMPILATION_CACHE_DIR", None)
        for name in ("cold", "warm", "warm_again"):
            command = [sys.executable, "-m", "ddsprl.match", str(CASE / "gm_trumpet_67.wav")]
            begin = time.perf_counter()
            subprocess.run([*command, "--out", f"{folder}/{name}", "--quiet"], check=True, env=environment)
            times[name] = time.perf_counter() - begin
            print(f"one 1 s recording, {name}: {times[name]:.1f} s")
    times["compile_s"] = compile_seconds()
    print(f"compiling a whole match: {times['compile_s']:.1f} s")
    return times


def compile_seconds() -> float:
    """Seconds that the compiler takes for all programs of a match, nothing cached, in a fresh process."""
    code = (
        "import jax, sys, ddsprl.match as m\n"
        "total = []\n"
        "jax.monitoring.register_event_duration_secs_listener(\n"
        "    lambda name, s, **_: total.append(s) if name.startswith('/jax/core/compile/') else None)\n"
        "code = m.main([sys.argv[1], '--out', sys.argv[2], '--quiet', '--budget', '64'])\n"
        "print(sum(total))\n"
        "sys.exit(code)\n"
    )
    with tempfile.TemporaryDirectory() as folder:
        environment = dict(os.environ, DDSPRL_CACHE_DIR=f"{folder}/cache")
        environment.pop("JAX_COMPILATION_CACHE_DIR", None)
        command = [sys.executable, "-c", code, str(CASE / "gm_trumpet_67.wav"), f"{folder}/out"]
        printed = subprocess.run(command, check=True, env=environment, capture_output=True, text=True).stdout
    return float(printed.split()[-1])


def new_inverter(problem: Problem) -> Inverter:
    """Default settings; pages of the library are kept in the user's cache, and counted when made."""
    return Inverter(problem, InversionConfig(library=LibraryConfig(cache_dir=user_cache_dir() / "library")))


def bank() -> np.ndarray:
    """The shipped presets, `[k, d]`."""
    return np.stack([p.to_unit() for p in load_bank(shipped_presets_dir())])


def earlier_parts(options: argparse.Namespace) -> dict[str, Any]:
    """Parts that were measured before under the same conditions, so that parts can be run one by one."""
    path = options.out or _common.RESULTS / "match.json"
    if options.quick or not path.is_file():
        return {}
    results = json.loads(path.read_text())["results"]
    same = all(results.get(name) == value for name, value in conditions(options).items())
    return results if same else {}


def conditions(options: argparse.Namespace) -> dict[str, Any]:
    """What parts that are kept together have in common."""
    method = make_method(options.method, options.start)
    found = {"budget": options.budget, "seed": options.seed, "sample_rate": RATE}
    return {**found, "method": method.name, "start": method.start}


def main() -> None:
    """Run the parts asked for, print and write."""
    parser = _common.parser(__doc__, rounds=1)
    parser.add_argument("--parts", nargs="+", default=["presets", "recordings", "timing"])
    parser.add_argument("--presets", type=int, default=64, help="random presets")
    parser.add_argument("--recordings", default=str(CASE), help="folder of WAV files (and manifest.json)")
    parser.add_argument("--budget", type=int, default=DEFAULT_BUDGET, help="renders; a gradient counts as 3")
    parser.add_argument("--method", help="default that of ddsprl.match")
    parser.add_argument("--start", help="where a solver begins; default that of ddsprl.match")
    parser.add_argument("--seed", type=int, default=2026)
    options = parser.parse_args()
    if options.quick:
        options.presets, options.budget = min(options.presets, 4), min(options.budget, 4_000)
    result: dict = conditions(options)
    if "timing" in options.parts:
        result["timing"] = run_timing()
    tune_cpu()
    enable_compilation_cache()
    if "presets" in options.parts:
        result["presets"] = run_presets(options)
    if "recordings" in options.parts:
        result["recordings_given"] = run_recordings(options, given=True)
        result["recordings_estimated"] = run_recordings(options, given=False)
    for part in ("presets", "recordings_given", "recordings_estimated"):
        if part in result:
            print(part, json.dumps(result[part]["summary"], indent=1))
    earlier = earlier_parts(options)
    options.recordings = Path(options.recordings).name  # not where it lies on this machine
    _common.save("match", options, earlier | result)


if __name__ == "__main__":
    main()
