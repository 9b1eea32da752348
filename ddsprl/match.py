"""`python -m ddsprl.match TARGET.wav --out DIR`: turn recordings into presets.

Thin: parse, check at the door, call `ddsprl.fitting`, write. Every target gets a directory of its own under
`--out`, which appears only when it is complete. Ctrl-C keeps the best found so far.
"""

import contextlib
import dataclasses
import io
import os
import re
import signal
import sys
import time
import zlib
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import jax
import numpy as np
import tyro

from ddsprl.allocator import keep_freed_memory
from ddsprl.compile_cache import enable_compilation_cache, user_cache_dir
from ddsprl.fitting.inversion import Inversion, invert
from ddsprl.fitting.inverter import InversionConfig, Inverter, group_size, make_problem
from ddsprl.fitting.library import Library, LibraryConfig
from ddsprl.fitting.recording import Recording, choose_pitch, ready
from ddsprl.io import (
    EXIT_INTERRUPTED,
    UserError,
    did_you_mean,
    ensure_output,
    expand_inputs,
    load_audio,
    match_progress,
    run_cli,
    staged_directory,
)
from ddsprl.match_results import write_result
from synth_jax import load_bank, shipped_presets_dir
from synth_jax.params import Table, nearest_hint

PROGRAM = "python -m ddsprl.match"
DESCRIPTION = (
    "Turn recordings of single notes into presets. Every target gets a directory of its own under --out, "
    "which appears only when it is complete; Ctrl-C keeps the best found so far."
)
SAMPLE_RATES = (8_000, 96_000)
RANDOM_REFERENCE = 512


@dataclass(frozen=True)
class MatchOptions:
    """Turn recordings of single notes into presets."""

    targets: Annotated[tuple[Path, ...], tyro.conf.Positional]
    """Audio files, or directories of them."""
    out: Annotated[Path, tyro.conf.arg(aliases=["-o"])]
    """Directory for the results, one sub-directory per target; nothing there is overwritten."""
    seed: int = 0
    """Of everything random."""
    budget: int = 9_000
    """Renders to spend on a target; a gradient counts as 4. Two rounds, about 3,250, are the least."""
    lock: tyro.conf.UseAppendAction[tuple[str, ...]] = ()
    """Knob to hold, in physical units, such as --lock filter_cutoff=800; may be given several times."""
    midi: float | None = None
    """MIDI note of the targets (fractions allowed); estimated if not given."""
    gate: float | None = None
    """Seconds for which the key was held; estimated if not given."""
    sample_rate: int = 16_000
    """Rate at which targets are compared, in Hz."""
    max_seconds: float = 4.0
    """Longest stretch of a recording that is looked at."""
    quiet: bool = False
    """No progress display."""


@dataclass
class _Interrupt:
    """Remembers Ctrl-C until a round is over; a second one stops at once."""

    seen: bool = field(default=False)

    def __enter__(self):
        self._before = signal.signal(signal.SIGINT, self._handle)
        return self

    def __exit__(self, *_):
        signal.signal(signal.SIGINT, self._before)

    def _handle(self, *_):
        if self.seen:
            # An exception raised here can surface inside a callback of the runtime (garbage collection, for
            # one), which prints and swallows it. Files appear by renaming: there is nothing to clean up.
            show_cursor = b"\x1b[?25h" if sys.stderr.isatty() else b""
            os.write(2, show_cursor + b"interrupted\n")
            os._exit(EXIT_INTERRUPTED)
        self.seen = True

    def check(self) -> None:
        """Stop the search here if Ctrl-C was pressed."""
        if self.seen:
            raise KeyboardInterrupt


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point; returns the exit code."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    return run_cli(lambda: match(parse_options(given)))


def parse_options(arguments: Sequence[str]) -> MatchOptions:
    """Options of a command line; what cannot be read becomes one line.

    Raises:
        UserError: an unknown option, a missing one, or a value of the wrong kind.
        SystemExit: help was asked for, and printed.
    """
    known = {f"--{spec.name}".replace("_", "-") for spec in dataclasses.fields(MatchOptions)} - {"--targets"}
    known |= {"--no-quiet", "--help"}
    for argument in arguments:
        option = argument.partition("=")[0].replace("_", "-")
        if option.startswith("--") and option not in known:
            hint = did_you_mean(option, known) or f"; options are {', '.join(sorted(known))}"
            raise UserError(f"no option {option}{hint}")
    shown = io.StringIO()
    try:
        with contextlib.redirect_stderr(shown):
            return tyro.cli(MatchOptions, args=arguments, prog=PROGRAM, description=DESCRIPTION)
    except SystemExit as stop:
        if not stop.code:
            raise
        raise UserError(_one_line(shown.getvalue())) from None


def _one_line(box: str) -> str:
    """What the parser complains about, without its frame and the helptext under it."""
    plain = re.sub(r"\x1b\[[0-9;]*m", "", box)
    rows = [row.strip(" ╭╮╰╯│─") for row in plain.splitlines()][1:]  # below the title
    rows = ["" if set(row) == {"-"} else row for row in rows]
    paragraphs = "\n".join(rows).strip().split("\n\n")
    return " ".join(paragraphs[0].split()) or "the options cannot be read; see --help"


def match(options: MatchOptions) -> int:
    """Match every target; returns the exit code."""
    _check(options)
    files = expand_inputs(options.targets)
    for file in files:
        if not file.name.isprintable():
            raise UserError(f"{file!r}: a preset cannot be named after it; rename it to printable characters")
        ensure_output(options.out / file.stem)
    clips = [load_audio(file, sample_rate=options.sample_rate) for file in files]
    probe = make_problem(options.sample_rate, 0.5).instrument
    free, locked = parse_locks(options.lock, probe.table)
    keep_freed_memory()
    enable_compilation_cache()
    bank = np.stack([p.to_unit() for p in load_bank(shipped_presets_dir()) if p.instrument == probe.name])
    by_length: dict[float, list[Recording]] = defaultdict(list)
    for clip in clips:
        recording = ready(clip, midi=options.midi, gate_s=options.gate, max_s=options.max_seconds)
        by_length[recording.duration_s].append(recording)
    done = 0
    with match_progress(options.quiet) as display, _Interrupt() as interrupt:
        for duration_s, recordings in sorted(by_length.items()):
            inverter = _inverter(options.sample_rate, duration_s)
            for first in range(0, len(recordings), group_size()):
                group = recordings[first : first + group_size()]
                place = f"{done + 1}/{len(clips)} " if len(clips) > 1 else ""
                _match_group(place, group, inverter, options, bank, (free, locked), display, interrupt)
                done += len(group)
                if interrupt.seen:
                    message = f"interrupted: {done} of {len(clips)} targets written to {options.out}"
                    print(message, file=sys.stderr)
                    return EXIT_INTERRUPTED
    return 0


def _match_group(
    place: str, group, inverter: Inverter, options: MatchOptions, bank, knobs, display, interrupt
) -> None:
    """Match some targets of one length and write their results."""
    started = time.perf_counter()
    names = place + ", ".join(r.clip.path.stem for r in group[:2]) + (", ..." if len(group) > 2 else "")
    key = jax.random.fold_in(jax.random.key(options.seed), hash_name(group[0].clip.path.stem))
    search, pitch, reference = jax.random.split(key, 3)
    free, locked = knobs
    pages_before = inverter.library.renders
    midi = np.array([choose_pitch(r, inverter, pitch) for r in group], np.float32)
    gate_s = np.array([r.gate_s for r in group], np.float32)
    stack = {name: np.stack([getattr(r, name) for r in group]) for name in ("audio", "window")}

    def progress(done: int, rounds: int, loss: float) -> None:
        display.update(done, rounds, loss, names)
        interrupt.check()

    found: Inversion = invert(
        stack["audio"],
        options.sample_rate,
        midi=midi,
        gate_s=gate_s,
        key=search,
        bank=bank,
        budget=options.budget,
        inverter=inverter,
        free=free,
        locked=locked,
        window=stack["window"],
        progress=progress,
    )
    # The pages at which pitches were tried count as well.
    found = found._replace(library_renders=inverter.library.renders - pages_before)
    for i, recording in enumerate(group):
        sound = (stack["audio"][i], (midi[i], gate_s[i]), free, locked, stack["window"][i])
        random = inverter.reference(*sound, RANDOM_REFERENCE, reference)
        seconds = (time.perf_counter() - started) / len(group)
        with staged_directory(options.out / recording.clip.path.stem) as directory:
            write_result(directory, recording, found, i, random, inverter, seed=options.seed, seconds=seconds)
        if not options.quiet:
            share = float(found.loss[i]) / max(random.loss, 1e-9)
            said = f"loss {found.loss[i]:.3f}, {share:.2f} of the best of {random.count} random presets"
            print(f"{options.out / recording.clip.path.stem}: {said}")


def _inverter(sample_rate: int, duration_s: float) -> Inverter:
    problem = make_problem(sample_rate, duration_s)
    config = InversionConfig(library=LibraryConfig(cache_dir=user_cache_dir() / "library"))
    return Inverter(problem, config, Library(problem.instrument, config.library))


def hash_name(name: str) -> int:
    """A small number that depends on a name only, the same in every process."""
    return zlib.crc32(name.encode("utf-8", "surrogateescape")) & 0x7FFFFFFF


def parse_locks(locks: Sequence[str], table: Table) -> tuple[np.ndarray, np.ndarray]:
    """`name=value` strings in physical units to a free mask and locked positions, each `[d]`.

    Raises:
        UserError: unknown knob, not a number, or outside the knob's range.
    """
    names = [spec.name for spec in table]
    free, locked = np.ones(len(table), np.float32), np.zeros(len(table), np.float32)
    for lock in locks:
        name, equals, text = lock.partition("=")
        if not equals:
            raise UserError(f"--lock {lock}: expected name=value, such as filter_cutoff=800")
        if name not in names:
            raise UserError(f"--lock {lock}: no knob {name!r}{nearest_hint(name, names)}")
        spec = table[names.index(name)]
        try:
            value = float(text)
        except ValueError:
            raise UserError(f"--lock {lock}: {text!r} is not a number") from None
        if not spec.low <= value <= spec.high:
            allowed = f"{spec.low:g} to {spec.high:g} {spec.unit}".strip()
            raise UserError(f"--lock {lock}: {name} is {text}, allowed are {allowed}")
        if spec.integer and value != round(value):
            raise UserError(f"--lock {lock}: {name} is {text}, only whole numbers are allowed")
        free[names.index(name)], locked[names.index(name)] = 0.0, spec.to_unit(value)
    return free, locked


def _check(options: MatchOptions) -> None:
    if not options.targets:
        raise UserError("no target: name at least one audio file or directory")
    low, high = SAMPLE_RATES
    if not low <= options.sample_rate <= high:
        raise UserError(f"--sample-rate is {options.sample_rate}, allowed are {low} to {high} Hz")
    if not 0 <= options.seed < 2**32:
        raise UserError(f"--seed is {options.seed}, allowed are 0 to {2**32 - 1}")
    if options.budget < 1:
        raise UserError(f"--budget is {options.budget}, at least 1 render is needed")
    if options.midi is not None and not 0.0 <= options.midi <= 127.0:
        raise UserError(f"--midi is {options.midi:g}, allowed are 0 to 127")
    if options.gate is not None and not 0.0 < options.gate <= 10.0:
        raise UserError(f"--gate is {options.gate:g}, allowed are seconds over 0, up to 10")
    if not 0.25 <= options.max_seconds <= 10.0:
        raise UserError(f"--max-seconds is {options.max_seconds:g}, allowed are 0.25 to 10")


if __name__ == "__main__":
    sys.exit(main())
