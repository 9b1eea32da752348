"""The run: groups are made ready ahead, searched for, and written behind; what is over is in the manifest.

files ─▶ Feed (thread) ─▶ search, judge ─▶ OUT/.findings ─▶ Writer (threads) ─▶ OUT/NAME/ ─▶ manifest.jsonl
"""

import sys
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from ddsprl.compile_cache import enable_compilation_cache
from ddsprl.cpu import tune_cpu
from ddsprl.fitting.core.budget import GRADIENT_COST, Progress
from ddsprl.fitting.findings.analysis import Analysis, analyse, posterior_renders, with_posteriors
from ddsprl.fitting.inversion.records import Inversion
from ddsprl.fitting.inversion.searching import Searcher, SolverSearch
from ddsprl.fitting.posterior.priors import make_prior
from ddsprl.io import (
    EXIT_INTERRUPTED,
    Clip,
    UserError,
    ensure_output,
    expand_inputs,
    load_audio,
    progress_display,
)
from ddsprl.io.ahead import ahead
from ddsprl.matching.clock import Clock
from ddsprl.matching.feed import Bad, Feed, Group, check_name, fingerprint
from ddsprl.matching.manifest import DONE, FAILED, PARTIAL, Manifest, made_by
from ddsprl.matching.options import MatchOptions, check, parse_locks
from ddsprl.matching.results import Finding, make_finding
from ddsprl.matching.stored import StoredFindings
from ddsprl.matching.writing import Writer
from ddsprl.measuring.interruption import Interruption
from ddsprl.measuring.work import loss_text
from ddsprl.plant import make_instrument
from synth_jax.presets import shipped_positions

EXIT_SOME_FAILED = 1
MOST_KEPT_BYTES = 1 << 28


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
    clips = _decoded([file for file in files if file in named], options.sample_rate)
    searcher: Searcher = SolverSearch(options.how(), options.budget, options.top)
    if options.run is not None:
        # Only here, so that nobody else waits for the agents' libraries.
        from ddsprl.matching.agent import load_search

        searcher = load_search(options.run, options)
    synth = make_instrument(options.instrument, options.sample_rate, 0.5)
    free, locked = parse_locks(options.lock, synth.table)
    if options.prior == "bank" and not len(shipped_positions(options.instrument)):
        raise UserError(f"--prior is 'bank', but no presets come with {options.instrument}")
    tune_cpu()
    enable_compilation_cache()
    if manifest is not None:
        manifest.open()
    run = _Run(options, manifest, searcher)
    return run.all(Feed(options, searcher.method, free, locked, manifest, clips), files)


def _decoded(files: Sequence[Path], sample_rate: int) -> dict[Path, Clip]:
    """Read what was named, so that what is wrong with it is said before anything is done.

    Clips are kept for the search as far as they fit into `MOST_KEPT_BYTES`; the others are read again.

    Raises:
        UserError: about the first file that cannot be matched.
    """
    kept, size = {}, 0
    for file in files:
        clip = load_audio(file, sample_rate=sample_rate)
        size += clip.samples.nbytes
        if size <= MOST_KEPT_BYTES:
            kept[file] = clip
    return kept


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
        searcher: that finds presets.
        clock: runs from now.
        done: targets written or being written.
        failed: bad files.
    """

    options: MatchOptions
    manifest: Manifest | None
    searcher: Searcher
    clock: Clock = field(default_factory=Clock)
    done: int = 0
    failed: int = 0

    def all(self, feed: Feed, files: Sequence[Path]) -> int:
        """Match the files; returns the exit code."""
        stopped = False
        todo = [file for file in files if not self._adopted(file)]
        stored = StoredFindings(self.options.out, self.manifest.run) if self.manifest else None
        interrupt = Interruption(remembers=True)
        try:
            with (
                progress_display(quiet=self.options.quiet) as display,
                interrupt,
                Writer(self.options, self.manifest, stored) as writer,
            ):
                left = self._put_stored(stored, writer, todo)
                with closing(ahead(feed.groups(left), waiting=interrupt.check)) as groups:  # pyright: ignore[reportArgumentType]
                    stopped = self._search_all(feed, groups, writer, len(todo), display, interrupt)
                writer.settle()
        except KeyboardInterrupt:  # before there was anything of the group under way
            stopped = True
        finally:
            self._close()
        if stopped:
            over = self.done + len(files) - len(todo)
            message = f"interrupted: {over} of {len(files)} targets written to {self.options.out}"
            print(message, file=sys.stderr)
            return interrupt.code or EXIT_INTERRUPTED
        return self._end(len(files))

    def _search_all(self, feed: Feed, groups, writer: Writer, total: int, display, interrupt) -> bool:
        """Search for groups as they come; returns whether Ctrl-C ended it."""
        for group in groups:
            if isinstance(group, Bad):
                self._report(group)
                continue
            place = f"{self.done + 1}/{total} " if total > 1 else ""
            writer.put(self._search(feed, group, place, display, interrupt))
            self.done += len(group.items)
            if interrupt.code:
                return True
        return False

    def _put_stored(self, stored: StoredFindings | None, writer: Writer, todo: Sequence[Path]) -> list[Path]:
        """Have what an earlier session found written; returns the files that are still to be searched for."""
        by_name = {file.stem: file for file in todo}
        for kept in stored.found() if stored is not None else []:
            wanted = [x for x in kept.findings if x.name in by_name and _of_file(x, by_name[x.name])]
            writer.put(wanted, kept.path)
            for finding in wanted:
                del by_name[finding.name]
            self.done += len(wanted)
        return list(by_name.values())

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

    def _search(
        self, feed: Feed, group: Group, place: str, display, interrupt: Interruption
    ) -> list[Finding]:
        """Search for a group; what is to be written, for each of its targets."""
        began, count = time.perf_counter(), len(group.items)
        names = ", ".join(item.recording.clip.path.stem for item in group.items[:2])
        names = place + names + (", ..." if count > 2 else "")

        def progress(what: str, done: int, total: int, loss: float) -> None:
            display.update(done, total, loss_text(loss), what)
            interrupt.check()

        inverter, targets = group.inverter, group.targets
        found = self.searcher.search(inverter, targets, progress=partial(progress, names))
        analyses = analyse(inverter, targets, found, top=self.options.top)
        if self.options.posterior and not found.interrupted.any() and not interrupt.code:
            said = partial(progress, f"posterior of {names}")
            found, analyses = self._sampled(feed, group, found, analyses, said)
        self.clock.group_done(
            group.duration_s, count, sum(map(_renders, range(count), [found] * count, analyses))
        )
        about = self._about() | {"seconds": (time.perf_counter() - began) / count}
        return [
            make_finding(
                item.recording,
                found,
                i,
                analyses[i],
                inverter,
                about | self.searcher.about(i) | {"input": item.content},
            )
            for i, item in enumerate(group.items)
        ]

    def _sampled(
        self, feed: Feed, group: Group, found: Inversion, analyses: list[Analysis], progress: Progress
    ) -> tuple[Inversion, list[Analysis]]:
        """With posteriors; Ctrl-C leaves them out and makes the search an unfinished one."""
        choices = np.array([spec.choices for spec in group.inverter.problem.instrument.table])
        name, loss = self.options.prior_name(), float(found.loss.mean())
        assert name is not None
        prior = make_prior(name, bank=feed.shipped(group.inverter), choices=choices)
        try:
            return found, with_posteriors(
                analyses,
                group.inverter,
                group.targets,
                found,
                prior=prior,
                progress=lambda done, cycles: progress(done, cycles, loss),
            )
        except KeyboardInterrupt:
            return found._replace(interrupted=np.ones_like(found.interrupted)), analyses

    def _about(self) -> dict[str, Any]:
        """What every result says of the run."""
        options = self.options
        return {
            "method": options.method,
            "prior": options.prior_name(),
            "seed": options.seed,
            "budget": options.budget,
            "note_estimated": options.midi is None,
            "run": self.manifest.run if self.manifest else None,
        }

    def _close(self) -> None:
        if self.manifest is not None:
            self.manifest.close({"failed": self.failed, **self.clock.figures()})

    def _end(self, total: int) -> int:
        """Say how it went."""
        if self.manifest is None:
            return 0
        figures = self.clock.figures()
        if self.done and not self.options.quiet:
            print(summary(figures) if figures["targets"] else f"{self.done} targets were found before")
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


def _of_file(finding: Finding, file: Path) -> bool:
    """Whether a file is still what a finding is of."""
    try:
        return fingerprint(file)["sha256"] == finding.numbers["input"]["sha256"]
    except UserError:
        return False


def _renders(index: int, found: Inversion, analysis: Analysis) -> int:
    """Renders behind a target, a gradient counted as several."""
    cost = found.cost
    searched = int(cost.renders[index] + GRADIENT_COST * cost.gradients[index] + cost.judgement[index])
    # The reference's best is judged as finalists are.
    reference = analysis.random.count + int(cost.judgement[index])
    return searched + reference + analysis.renders + (posterior_renders() if analysis.posterior else 0)
