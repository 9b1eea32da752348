"""The run: groups are made ready ahead, searched for, and written behind; what is over is in the manifest.

files ─▶ Feed (thread) ─▶ search, judge ─▶ Writer (thread) ─▶ OUT/NAME/ ─▶ manifest.jsonl
"""

import sys
import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ddsprl.allocator import keep_freed_memory
from ddsprl.compile_cache import enable_compilation_cache
from ddsprl.fitting.grouped import Inversion, references, search_group
from ddsprl.fitting.inverter import FINAL_KEYS, GRADIENT_COST, RandomReference, make_problem
from ddsprl.io import (
    EXIT_INTERRUPTED,
    UserError,
    ensure_output,
    expand_inputs,
    load_audio,
    match_progress,
    staged_directory,
)
from ddsprl.io.ahead import ahead
from ddsprl.match_results import Found, write_result
from ddsprl.matching.clock import Clock
from ddsprl.matching.feed import Bad, Feed, Group, check_name
from ddsprl.matching.interrupt import Interrupt
from ddsprl.matching.manifest import DONE, FAILED, PARTIAL, Manifest, made_by
from ddsprl.matching.options import MatchOptions, check, parse_locks

RANDOM_REFERENCE = 512
EXIT_SOME_FAILED = 1


def match(options: MatchOptions) -> int:
    """Match every target; returns the exit code.

    Raises:
        UserError: before anything is done, about the options, a file that was named, or the output.
    """
    check(options)
    files = expand_inputs(options.targets)
    named = {path for path in options.targets if not path.is_dir()}
    several = len(files) > 1 or not named
    manifest = Manifest(options.out) if several else None
    if manifest is not None:
        manifest.read(options.record())
    for file in files:
        if file in named:
            check_name(file)
        _check_output(options.out / file.stem, manifest)
    for file in files:
        if file in named:
            load_audio(file, sample_rate=options.sample_rate)
    free, locked = parse_locks(options.lock, make_problem(options.sample_rate, 0.5).instrument.table)
    keep_freed_memory()
    enable_compilation_cache()
    if manifest is not None:
        manifest.open()
    run = _Run(options, manifest)
    return run.all(Feed(options, free, locked, run.clock, manifest), files)


def _check_output(result: Path, manifest: Manifest | None) -> None:
    """A result that is there must be this run's own."""
    if manifest is not None and result.is_dir():
        found = made_by(result, manifest.run)
        if found is not None:
            return
    ensure_output(result)


@dataclass
class _Run:
    """One session of a run.

    Attributes:
        options: of the run.
        manifest: None for a single target.
        clock: runs from now.
        done: targets written or being written.
        failed: bad files.
    """

    options: MatchOptions
    manifest: Manifest | None
    clock: Clock = field(default_factory=Clock)
    done: int = 0
    failed: int = 0

    def all(self, feed: Feed, files: Sequence[Path]) -> int:
        """Match the files; returns the exit code."""
        writing: list[Future] = []
        stopped = False
        todo = [file for file in files if not self._adopted(file)]
        try:
            with (
                match_progress(self.options.quiet) as display,
                Interrupt() as interrupt,
                ThreadPoolExecutor(1, "write") as writer,
                closing(ahead(feed.groups(files), waiting=interrupt.check)) as groups,  # pyright: ignore[reportArgumentType]
            ):
                for group in groups:
                    if isinstance(group, Bad):
                        self._report(group)
                        continue
                    place = f"{self.done + 1}/{len(todo)} " if len(files) > 1 else ""
                    results = self._search(feed, group, place, display, interrupt)
                    # One group is written while the next is searched for, and no more are waiting.
                    _settle(writing)
                    writing = [writer.submit(self._write, *result) for result in results]
                    self.done += len(group.items)
                    if interrupt.seen:
                        stopped = True
                        break
                _settle(writing)
        except KeyboardInterrupt:  # before there was anything of the group under way
            stopped = True
        finally:
            self._close()
        if stopped:
            over = self.done + len(files) - len(todo)
            message = f"interrupted: {over} of {len(files)} targets written to {self.options.out}"
            print(message, file=sys.stderr)
            return EXIT_INTERRUPTED
        return self._end(len(files))

    def _adopted(self, file: Path) -> bool:
        """Whether a file is over; a result whose line was not written any more gets it now."""
        name, manifest = file.stem, self.manifest
        result = self.options.out / name
        if manifest is None or not result.exists():
            return False
        if manifest.status(name) in (DONE, PARTIAL):
            return manifest.status(name) == DONE
        found = made_by(result, manifest.run)
        if found is None:
            return False
        status = PARTIAL if found.get("interrupted") else DONE
        manifest.add({"name": name, "status": status, **found.get("input", {})})
        return status == DONE

    def _report(self, bad: Bad) -> None:
        """Record a bad file and go on; a single target is not among others, and ends the run.

        Raises:
            UserError: for a single target.
        """
        if self.manifest is None:
            raise UserError(bad.reason)
        self.failed += 1
        entry = {"name": bad.path.stem, "status": FAILED, **bad.content, "reason": bad.reason}
        self.manifest.add(entry)
        print(f"left out: {bad.reason}", file=sys.stderr)

    def _search(self, feed: Feed, group: Group, place: str, display, interrupt: Interrupt) -> list[tuple]:
        """Search for a group; what is to be written, for each of its targets."""
        began, count = time.perf_counter(), len(group.items)
        names = ", ".join(item.recording.clip.path.stem for item in group.items[:2])
        names = place + names + (", ..." if count > 2 else "")

        def progress(done: int, rounds: int, loss: float) -> None:
            display.update(done, rounds, loss, names)
            interrupt.check()

        with self.clock.inside():
            found = search_group(
                group.inverter, feed.method, group.prepared, budget=self.options.budget, progress=progress
            )
            random = references(group.inverter, group.prepared, group.references, count=RANDOM_REFERENCE)
        self.clock.group_done(group.duration_s, count, count * _renders(group, found))
        seconds = (time.perf_counter() - began) / count
        return [(group, found, i, random[i], seconds) for i in range(count)]

    def _write(
        self, group: Group, found: Inversion, index: int, random: RandomReference, seconds: float
    ) -> None:
        """Write the result of one target, and that it is over."""
        options, item = self.options, group.items[index]
        name = item.recording.clip.path.stem
        result, content = options.out / name, item.content
        about: dict[str, Any] = {
            "method": options.method,
            "start": options.start,
            "seed": options.seed,
            "seconds": seconds,
            "input": content,
            "interrupted": found.interrupted,
            "run": self.manifest.run if self.manifest else None,
        }
        # Only what this run itself left behind, cut short by Ctrl-C, is replaced.
        again = self.manifest is not None and made_by(result, self.manifest.run) is not None
        with staged_directory(result, overwrite=again) as directory:
            result_of = Found(found, index, random)
            shown = {"top": options.top, "report": options.report}
            write_result(directory, item.recording, result_of, group.inverter, about, **shown)
        loss = float(found.loss[index])
        if self.manifest is not None:
            status = PARTIAL if found.interrupted else DONE
            self.manifest.add({"name": name, "status": status, **content, "loss": loss, "seconds": seconds})
        if not options.quiet:
            share = loss / max(random.loss, 1e-9)
            said = f"loss {loss:.3f}, {share:.2f} of the best of {random.count} random presets"
            print(f"{result}: {said}", flush=True)

    def _close(self) -> None:
        if self.manifest is not None:
            self.manifest.close({"failed": self.failed, **self.clock.figures()})

    def _end(self, total: int) -> int:
        """Say how it went."""
        if self.manifest is None:
            return 0
        figures = self.clock.figures()
        if self.done and not self.options.quiet:
            print(summary(figures))
        if self.failed:
            said = f"{self.failed} of {total} targets could not be matched"
            print(f"error: {said}; the reasons are in {self.options.out / 'manifest.jsonl'}", file=sys.stderr)
            return EXIT_SOME_FAILED
        if not self.done and not self.options.quiet:
            print(f"{self.options.out}: all {total} targets were finished before")
        return 0


def summary(figures: dict[str, Any]) -> str:
    """Throughput in one line."""
    steady = figures["after_first_groups"]
    shown, note = (
        (steady, "; the first group of each length left out") if steady["targets"] else (figures, "")
    )
    return (
        f"{figures['targets']} targets in {figures['seconds']:.0f} s: "
        f"{shown['targets_per_minute']:.1f} targets a minute, {shown['renders_per_s']:.0f} renders a second, "
        f"{100 * shown['outside_share']:.1f} % of the time outside compiled programs{note}"
    )


def _settle(writing: list[Future]) -> None:
    """Wait for what is being written; what went wrong there is raised here."""
    for job in writing:
        job.result()


def _renders(group: Group, found: Inversion) -> int:
    """Renders behind one target, a gradient counted as several: search, judgement, random reference."""
    searched = found.renders + GRADIENT_COST * found.gradients
    return (
        searched + found.judge_renders + RANDOM_REFERENCE + (group.inverter.config.members + 1) * FINAL_KEYS
    )
