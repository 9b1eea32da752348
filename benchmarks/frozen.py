"""Small runs with fixed seeds of every command, and their numbers: does a change keep results as they are?

    python benchmarks/frozen.py                 # run, and compare with benchmarks/results/frozen.json
    python benchmarks/frozen.py --store         # run, and store the numbers anew
    python benchmarks/frozen.py --many --store  # also 32 targets and 3 seeds, as means with their intervals

Numbers hold on one machine and for one version of JAX; programs that are compiled anew may round otherwise,
so that they are compared to `--tolerance`. Where draws change on purpose, the means of `--many` must agree
within their intervals. Commands are run as users run them; nothing of the packages but their front doors is
used, so that this file outlives every move inside of them.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
STORED = ROOT / "benchmarks" / "results" / "frozen.json"
TARGETS = ROOT / "tests" / "data" / "targets"
SMALL = ("--sample-rate", "8000", "--max-seconds", "0.25")
# What a clock or a machine says.
PASSING = ("seconds", "wall", "_s", "per_s", "versions", "machine", "command", "path", "time", "out")
COMPARE = """
defaults: {suite: %s, targets: %d, seeds: %d, budgets: [%d], sample_rate: 8000, seconds: 0.25, group: %d}
methods:
  - {label: random, solver: random, start: random, count: 16, settings: {population: 8}}
  - {label: adam, solver: adam, start: neutral, count: 8, settings: {members: 2}}
  - {label: cma_es, solver: cma_es, start: guess, count: 16, settings: {population: 8}}
  - {label: hybrid, solver: hybrid, start: guess, count: 16}
"""
TRAIN = """
seeds: %d
agent: {network: {width: 8, blocks: 1, patch_features: 4, patch_summary: 2}, batch: 8, capacity: 256,
  kickstart: 1.0, kickstart_half: 20, goal_weight: 0.5, opening: 1, imitation_batch: 4, reward_gradient: 1.0}
env: {sample_rate: 8000, duration_s: 0.125, steps: 6, bucket: 8, epsilon: 0.5, history: false,
  objective: {terms: [mr, loud], n_ffts: [256], mel_n_fft: 256}}
loop: {n_envs: 4, iterations: 48, learn_after: 12, chunk: 3, cut: 0.1, off_mode_share: 0.5}
warm: {demonstrations: 2, solver: cma_es, budget: 64, clone_steps: 2, clone_batch: 8}
curriculum: {last_stage: 2, evaluate_every: 6, evaluate_episodes: 4, patience_evaluations: 2,
  threshold: 100.0, rehearsal: 0.5, refresh_every: 15, evaluate_all: true}
log: {name: frozen, every: 3, checkpoint_every: 48, tensorboard: false, snapshots_every: 48}
"""


def run(command: str, *arguments: object) -> None:
    """`python -m COMMAND ARGUMENTS`; its errors end this script."""
    done = subprocess.run(
        [sys.executable, "-m", command, *map(str, arguments)], cwd=ROOT, capture_output=True, text=True
    )
    if done.returncode:
        sys.exit(f"{command} {' '.join(map(str, arguments))}: exit {done.returncode}\n{done.stderr[-2000:]}")


def numbers_of(value: Any, name: str = "") -> Iterator[tuple[str, float]]:
    """All numbers of a tree that no clock told, by their places."""
    if isinstance(value, Mapping):
        for key, item in value.items():
            if not any(str(key) == word or str(key).endswith(word) for word in PASSING) or key == "gate_s":
                yield from numbers_of(item, f"{name}.{key}" if name else str(key))
    elif isinstance(value, list | tuple):
        for i, item in enumerate(value):
            yield from numbers_of(item, f"{name}[{i}]")
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield name, float(value)


def presets(_: Path) -> dict[str, Any]:
    """Projections of every shipped preset's sound on four fixed noises, at two rates."""
    import jax

    import synth_jax

    found = {}
    for rate in (16_000, 44_100):
        synth = synth_jax.serum_lite(rate, 0.5)
        noise = np.random.default_rng(0).standard_normal((4, synth.n_samples)) / np.sqrt(synth.n_samples)
        render = jax.jit(synth.render)
        for preset in synth_jax.load_bank(synth_jax.shipped_presets_dir()):
            note = preset.note or synth_jax.Note()
            audio = render(preset.to_unit(), note._replace(gate_s=0.3), jax.random.key(1))
            found[f"{preset.name} at {rate}"] = (noise @ np.asarray(audio, np.float64)).tolist()
    return found


def match(folder: Path) -> dict[str, Any]:
    """Two shipped recordings: numbers, files and keys of their folders."""
    files = (TARGETS / "gm_trumpet_67.wav", TARGETS / "gm_epiano_60.wav")
    run("ddsprl.match", *files, "--out", folder, *SMALL, "--budget", 400, "--seed", 5, "--top", 2, "--quiet")
    found: dict[str, Any] = {}
    for file in files:
        place = folder / file.stem
        result = json.loads((place / "result.json").read_text())
        preset = json.loads((place / "preset.json").read_text())
        names = sorted(str(path.relative_to(place)) for path in place.rglob("*"))
        found[file.stem] = {
            "result": result,
            "params": preset["params"],
            "files": names,
            "keys": keys(result),
        }
    return found


def keys(tree: Any, name: str = "") -> list[str]:
    """Names of all fields of a tree."""
    if not isinstance(tree, Mapping):
        return [name]
    return sorted(place for key, item in tree.items() for place in keys(item, f"{name}.{key}"))


def invert(_: Path) -> dict[str, Any]:
    """`ddsprl.invert` on two sounds, as the README calls it and with another solver."""
    import jax

    import ddsprl
    import synth_jax

    synth = synth_jax.serum_lite(8_000, 0.25)
    u = jax.random.uniform(jax.random.key(3), (2, synth.n_params))
    notes = synth_jax.Note(
        np.array([57.0, 64.0], np.float32), np.full(2, 0.2, np.float32), np.ones(2, np.float32)
    )
    sounds = np.asarray(jax.vmap(synth.render)(u, notes, jax.random.split(jax.random.key(4), 2)))
    found = {}
    for name, budget, start in (("hybrid", 400, "guess"), ("cma_es", 300, "random")):
        settings: dict[str, Any] = {"midi": [57.0, 64.0], "gate_s": 0.2, "key": jax.random.key(1)}
        done = ddsprl.invert(sounds, 8_000, method=name, start=start, budget=budget, **settings)
        found[name] = {"u": np.asarray(done.u).tolist(), "loss": np.asarray(done.loss).tolist()}
    return found


def compare(folder: Path) -> dict[str, Any]:
    """Four methods on two random presets and two of the bank."""
    results = compared(folder, ("presets", 2, 1, 128, 2))
    kept = ("method", "target", "loss", "yardstick", "parameter_error", "renders", "gradients", "charged")
    return {"runs": [{name: row[name] for name in kept} for row in results["runs"]]}


def compared(folder: Path, settings: tuple[Any, ...]) -> dict[str, Any]:
    """Results of a comparison."""
    (folder / "compare.yaml").write_text(COMPARE % settings)
    run("ddsprl.compare", "--config", folder / "compare.yaml", "--out", folder / "compared", "--quiet")
    return json.loads((folder / "compared" / "results.json").read_text())


def train(folder: Path) -> dict[str, Any]:
    """A tiny run with everything switched on, and its evaluation."""
    log = trained(folder, 1)
    run("ddsprl.evaluate", folder / "runs" / "frozen-001", *EVALUATE, "--out", folder / "evaluated")
    stages = json.loads((folder / "evaluated" / "results.json").read_text())["stages"]
    methods = {f"stage {s['stage']} {name}": row for s in stages for name, row in s["methods"].items()}
    return {"log": log, "evaluation": methods}


EVALUATE = ("--targets", 3, "--stages", 2, "--budgets", 50, 60, "--players", 1, "--quiet")


def trained(folder: Path, seeds: int) -> list[dict[str, Any]]:
    """Log of a tiny training run."""
    (folder / "train.yaml").write_text(TRAIN % seeds)
    run("ddsprl.train", "--config", folder / "train.yaml", "--out", folder / "runs", "--quiet")
    lines = (folder / "runs" / "frozen-001" / "log.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]


PARTS: dict[str, Callable[[Path], dict[str, Any]]] = {
    "presets": presets,
    "match": match,
    "invert": invert,
    "compare": compare,
    "train": train,
}


def many(folder: Path) -> dict[str, list[float]]:
    """Mean losses with 95 % intervals: of methods over 32 targets and 3 seeds, of training over 3 seeds."""
    found = {}
    results = compared(folder, ("random", 32, 3, 384, 16))
    for label in ("random", "adam", "cma_es", "hybrid"):
        rows = [row for row in results["runs"] if row["method"] == label]
        of_target: dict[str, list[float]] = {}
        for row in rows:
            of_target.setdefault(row["target"], []).append(row["loss"])
        found[f"compare {label}"] = interval([float(np.mean(losses)) for losses in of_target.values()])
    said = [row for row in trained(folder, 3) if row["kind"] == "evaluation"]
    for stage in sorted({row["stage"] for row in said}):
        losses = [row["median_loss"] for row in said if row["stage"] == stage]
        found[f"train median_loss, stage {stage}"] = interval(losses)
    return found


def interval(values: list[float]) -> list[float]:
    """Mean, and the ends of its 95 % bootstrap interval."""
    x = np.asarray(values)
    means = np.random.default_rng(0).choice(x, (4000, len(x))).mean(axis=1)
    return [float(x.mean()), *np.quantile(means, (0.025, 0.975)).tolist()]


def differences(now: Mapping[str, Any], then: Mapping[str, Any], tolerance: float) -> list[str]:
    """Numbers and names that are other than they were, in words, the largest difference first."""
    a, b = dict(numbers_of(now)), dict(numbers_of(then))
    said = [(np.inf, f"{name}: {'new' if name in a else 'gone'}") for name in a.keys() ^ b.keys()]
    for name in a.keys() & b.keys():
        apart = abs(a[name] - b[name]) / max(1.0, abs(b[name]))
        if apart > tolerance:
            said.append((apart, f"{name}: {a[name]:.8g}, was {b[name]:.8g}"))
    for name in ("files", "keys"):
        if texts(now, name) != texts(then, name):
            said.append((np.inf, f"{name}: {texts(now, name) ^ texts(then, name)}"))
    return [text for _, text in sorted(said, key=lambda pair: -pair[0])]


def texts(tree: Any, name: str) -> set[str]:
    """All texts in lists of one name."""
    if not isinstance(tree, Mapping):
        return set()
    own = set(tree.get(name, ())) if isinstance(tree.get(name), list) else set()
    return own.union(*(texts(item, name) for item in tree.values()))


def apart(now: Mapping[str, list[float]], then: Mapping[str, list[float]]) -> list[str]:
    """Means whose intervals do not meet."""
    return [
        f"{name}: {now[name]}, was {then[name]}"
        for name in then
        if now[name][1] > then[name][2] or then[name][1] > now[name][2]
    ]


def main() -> int:
    """Run, compare or store; returns 1 if something is other than it was."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--store", action="store_true", help="write the numbers instead of comparing them")
    parser.add_argument("--many", action="store_true", help="also means over 32 targets and 3 seeds")
    parser.add_argument("--parts", nargs="+", choices=[*PARTS], default=[*PARTS], help="default: all")
    parser.add_argument("--tolerance", type=float, default=1e-5, help="default: 1e-5, beside 1 or the number")
    parser.add_argument("--out", type=Path, default=STORED, help="JSON file of the numbers")
    options = parser.parse_args()
    stored = json.loads(options.out.read_text()) if options.out.exists() else {"parts": {}, "many": {}}
    failed = 0
    for name in options.parts:
        with tempfile.TemporaryDirectory() as folder:
            found = json.loads(json.dumps(PARTS[name](Path(folder))))
        kept = {"files": sorted(texts(found, "files")), "keys": sorted(texts(found, "keys"))}
        found = {"numbers": {place: float(f"{x:.9g}") for place, x in numbers_of(found)}, **kept}
        if options.store:
            stored["parts"][name] = found
        else:
            said = differences(found, stored["parts"].get(name, {}), options.tolerance)
            print(f"{name}: {len(found['numbers'])} numbers, {len(said)} other than they were", flush=True)
            print("".join(f"  {line}\n" for line in said[:12]), end="", flush=True)
            failed += len(said)
    if options.many:
        with tempfile.TemporaryDirectory() as folder:
            means = many(Path(folder))
        print("\n".join(f"{name}: {x[0]:.4f} [{x[1]:.4f}, {x[2]:.4f}]" for name, x in means.items()))
        if options.store:
            stored["many"] = means
        else:
            said = apart(means, stored["many"])
            print(f"many: {len(said)} of {len(means)} means apart", *said, sep="\n  ")
            failed += len(said)
    if options.store:
        options.out.write_text(json.dumps(stored, indent=0) + "\n")
        print(f"written to {options.out}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
