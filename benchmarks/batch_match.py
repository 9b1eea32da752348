"""Matching a folder of files by the command line: throughput, and what `kill -9` costs.

Targets are random presets rendered at one pitch and written as WAV files. The folder is matched twice, with
an empty library and with a filled one (compiled programs are the user's own in both). Then it is matched
again and killed at random moments, each time continued by the same command: what was finished must stay
untouched, only targets that were being searched for may be searched for again (what was found and not yet
drawn is drawn), and in the end every result must equal that of the undisturbed run.
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
import numpy as np
import soundfile

import _common
from ddsprl.compile_cache import OVERRIDE_VARIABLE, enable_compilation_cache, user_cache_dir
from ddsprl.features.loudness import ungated_loudness
from ddsprl.fitting.core.programs import group_size
from ddsprl.fitting.inversion.inverter import make_problem
from ddsprl.io import write_wav
from ddsprl.matching.stored import StoredFindings
from synth_jax import Note

ROOT = Path(__file__).resolve().parent.parent
MIDI = 60.0
VARYING = ("seconds", "run", "library_renders")


def write_targets(folder: Path, options: argparse.Namespace) -> None:
    """Random presets that can be heard (over -50 LUFS), as WAV files."""
    rate = options.sample_rate
    synth = make_problem(rate, options.length).instrument
    draws = 4 * options.targets
    keys = jax.random.split(jax.random.key(options.seed), 3)
    u = synth.snap(jax.random.uniform(keys[0], (draws, synth.n_params)))
    gate_s = jax.random.uniform(keys[1], (draws,), minval=0.2 * options.length, maxval=0.8 * options.length)
    render = jax.jit(lambda u, gate_s, key: synth.render(u, Note(MIDI, gate_s, 1.0), key))
    heard = 0
    for i, key in enumerate(jax.random.split(keys[2], draws)):
        audio = render(u[i], gate_s[i], key)
        if heard < options.targets and float(ungated_loudness(audio, rate)) > -50.0:
            write_wav(folder / f"preset_{heard:04d}.wav", np.asarray(audio), rate)
            heard += 1


def start(folder: Path, out: Path, options: argparse.Namespace, cache: Path) -> subprocess.Popen:
    """The command line on the folder; what it says goes into files beside `out`."""
    command = [sys.executable, "-m", "ddsprl.match", str(folder), "--out", str(out), "--midi", str(MIDI)]
    for name in ("method", "budget", "seed"):
        command += [f"--{name}", str(getattr(options, name))]
    command += ["--sample-rate", str(options.sample_rate), "--max-seconds", str(max(0.25, options.length))]
    compiled = os.environ.get("JAX_COMPILATION_CACHE_DIR") or str(user_cache_dir() / "jax")
    environment = os.environ | {OVERRIDE_VARIABLE: str(cache), "JAX_COMPILATION_CACHE_DIR": compiled}
    with open(f"{out}.out", "ab") as said, open(f"{out}.err", "ab") as shown:
        return subprocess.Popen(command, cwd=ROOT, env=environment, stdout=said, stderr=shown)


def finish(folder: Path, out: Path, options: argparse.Namespace, cache: Path) -> dict[str, Any]:
    """Run until it ends by itself; figures of its session.

    Raises:
        RuntimeError: it failed.
    """
    begun = time.perf_counter()
    code = start(folder, out, options, cache).wait()
    if code != 0:
        raise RuntimeError(f"exit code {code}: {Path(f'{out}.err').read_text()[-2000:]}")
    session = json.loads((out / "manifest.json").read_text())["sessions"][-1]
    return {"process_s": time.perf_counter() - begun} | {k: v for k, v in session.items() if k != "versions"}


def results(out: Path) -> dict[str, Any]:
    """All that must not depend on when, where or beside whom a target was matched, by name."""
    found = {}
    for path in sorted(out.glob("[!.]*/result.json")):
        numbers = json.loads(path.read_text())
        kept = {name: value for name, value in numbers.items() if name not in VARYING}
        sound, _ = soundfile.read(path.parent / "match.wav", dtype="float32")
        found[path.parent.name] = (kept, (path.parent / "preset.json").read_bytes(), sound.tobytes())
    return found


def stamps(out: Path) -> dict[str, int]:
    """Times of every file of the finished targets."""
    return {str(file): file.stat().st_mtime_ns for file in out.glob("[!.]*/*")}


def begun_targets(log: Path, since: int) -> set[str]:
    """Targets that a process said it was working on (a group of several names only two of them)."""
    with open(log, "rb") as file:
        file.seek(since)
        rows = file.read().decode(errors="replace").splitlines()
    named = [row.split(" ", 1)[1].rsplit(":", 1)[0] for row in rows if "best loss" in row and "/" in row]
    return {name for row in named for name in row.rsplit(":", 1)[0].split(", ") if name != "..."}


def stored_targets(out: Path) -> set[str]:
    """Targets whose findings are on disk, drawn or not."""
    if not (out / "manifest.json").exists():
        return set()
    run = json.loads((out / "manifest.json").read_text())["run"]
    return {finding.name for kept in StoredFindings(out, run).found() for finding in kept.findings}


def kill_and_continue(
    folder: Path, place: Path, options: argparse.Namespace, cache: Path, startup_s: float
) -> dict[str, Any]:
    """Kill a run again and again at random moments, then let it end.

    Args:
        folder: of the targets.
        place: for the results.
        options: of the benchmark.
        cache: of the library.
        startup_s: what a process takes until its first groups are done, with compiling.
    """
    out, log = place / "killed", place / "killed.err"
    rng = np.random.default_rng(options.seed)
    rows: list[dict[str, Any]] = []
    for _ in range(options.kills):
        before, since = stamps(out), log.stat().st_size if log.exists() else 0
        # A process that goes on has its first result after about half of what the first groups took. Some
        # kills come before it, most after it, and the last one still finds work.
        until = rng.uniform(0.4, 0.8) * startup_s
        process, begun = start(folder, out, options, cache), time.perf_counter()
        while process.poll() is None and time.perf_counter() - begun < until:
            time.sleep(0.005)
        ended = process.poll() is not None
        process.kill()
        process.wait()
        after = stamps(out)
        finished = {path.parent.name for path in out.glob("[!.]*/result.json")}
        found = stored_targets(out)
        lost = begun_targets(log, since) - finished - found
        rows.append(
            {
                "after_s": time.perf_counter() - begun,
                "ended_before": ended,
                "finished": len(finished),
                "found_and_not_drawn": len(found - finished),
                "begun_and_lost": len(lost),
                "finished_untouched": all(after.get(path) == stamp for path, stamp in before.items()),
            }
        )
        print(rows[-1], flush=True)
    last = finish(folder, out, options, cache)
    return {"kills": rows, "last_session": last}


def run(options: argparse.Namespace, place: Path) -> dict[str, Any]:
    """Everything, in a folder that is thrown away."""
    folder, cache = place / "targets", place / "cache"
    folder.mkdir()
    write_targets(folder, options)
    cold = finish(folder, place / "cold", options, cache)
    warm = finish(folder, place / "warm", options, cache)
    found: dict[str, Any] = {"cold_library": cold, "filled_library": warm}
    whole = results(place / "warm")
    found["repeats_exactly"] = results(place / "cold") == whole
    if options.kills:
        startup_s = warm["process_s"] - warm["after_first_groups"]["seconds"]
        killed = kill_and_continue(folder, place, options, cache, startup_s)
        rows, again = killed["kills"], results(place / "killed")
        found["killed"] = killed | {
            "equal_to_undisturbed": again == whole,
            "different": sorted(name for name in whole if again.get(name) != whole[name]),
            "finished_untouched": all(row["finished_untouched"] for row in rows),
            "most_lost": max(row["begun_and_lost"] for row in rows),
            "most_in_flight": group_size(),
        }
    return found


def main() -> None:
    """Run, print, write."""
    parser = _common.parser(__doc__, rounds=1)
    parser.add_argument("--targets", type=int, help="files to match (default 32, quick 4)")
    parser.add_argument("--kills", type=int, help="how often a run is killed (default 10, quick 1)")
    parser.add_argument("--budget", type=int, help="renders a target (default 2048, quick 256)")
    parser.add_argument("--method", default="hybrid", help="as of the match (default hybrid)")
    parser.add_argument("--sample-rate", type=int, help="in Hz (default 16000, quick 8000)")
    parser.add_argument("--length", type=float, help="of the targets in seconds (default 0.5, quick 0.25)")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    quick = {"targets": 4, "kills": 1, "budget": 256, "sample_rate": 8_000, "length": 0.25}
    full = {"targets": 32, "kills": 10, "budget": 2048, "sample_rate": 16_000, "length": 0.5}
    for name, value in (quick if options.quick else full).items():
        if getattr(options, name) is None:
            setattr(options, name, value)
    enable_compilation_cache()
    with tempfile.TemporaryDirectory() as place:
        found = run(options, Path(place))
    settings = {name: getattr(options, name) for name in (*full, "method", "seed")}
    rates = ("targets_per_minute", "renders_per_s", "outside_share")
    rows = [
        {"library": name, "compiling": which, **{rate: part[rate] for rate in rates}}
        for name in ("cold_library", "filled_library")
        for which, part in (("counted", found[name]), ("left out", found[name]["after_first_groups"]))
    ]
    _common.print_table(f"{options.targets} targets, {options.method}, {options.budget} renders each", rows)
    if "killed" in found:
        names = ("most_lost", "most_in_flight", "finished_untouched", "equal_to_undisturbed")
        row = {"kills": len(found["killed"]["kills"]), **{name: found["killed"][name] for name in names}}
        _common.print_table("Killed and continued", [row])
    _common.save("batch_match", options, {"settings": settings, **found})


if __name__ == "__main__":
    main()
