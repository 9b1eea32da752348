"""The run: groups are made ready ahead, searched for, and written behind; what is over is in the manifest.

files ─▶ Feed (thread) ─▶ search, judge ─▶ OUT/.findings ─▶ Writer (threads) ─▶ OUT/NAME/ ─▶ manifest.jsonl
"""

import sys
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jax
import numpy as np

from ddsprl.compile_cache import enable_compilation_cache
from ddsprl.cpu import tune_cpu
from ddsprl.fitting.core.budget import GRADIENT_COST
from ddsprl.fitting.core.driver import FINALISTS
from ddsprl.fitting.findings.extras import analyse, posterior_renders, posteriors_of
from ddsprl.fitting.findings.references import references
from ddsprl.fitting.inversion.grouped import Inversion
from ddsprl.fitting.inversion.inverter import FINAL_KEYS
from ddsprl.fitting.inversion.several import search_several
from ddsprl.fitting.posterior.priors import make_prior
from ddsprl.fitting.posterior.summary import Posterior
from ddsprl.io import (
    EXIT_INTERRUPTED,
    UserError,
    ensure_output,
    expand_inputs,
    load_audio,
    match_progress,
)
from ddsprl.io.ahead import ahead
from ddsprl.matching.clock import Clock
from ddsprl.matching.feed import Bad, Feed, Group, check_name, fingerprint
from ddsprl.matching.interrupt import Interrupt
from ddsprl.matching.manifest import DONE, FAILED, PARTIAL, Manifest, made_by
from ddsprl.matching.options import MatchOptions, check, parse_locks
from ddsprl.matching.results import Finding, Said, make_finding
from ddsprl.matching.stored import StoredFindings
from ddsprl.matching.writing import Writer
from ddsprl.plant import make_instrument
from synth_jax.presets import shipped_positions

if TYPE_CHECKING:
    from ddsprl.matching.agent import AgentSearch

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
    agent = None
    if options.run is not None:
        # Only here, so that nobody else waits for the agents' libraries.
        from ddsprl.matching.agent import load_search

        agent = load_search(options.run, options)
    synth = make_instrument(options.instrument, options.sample_rate, 0.5)
    free, locked = parse_locks(options.lock, synth.table)
    if options.prior == "bank" and not len(shipped_positions(options.instrument)):
        raise UserError(f"--prior is 'bank', but no presets come with {options.instrument}")
    tune_cpu()
    enable_compilation_cache()
    if manifest is not None:
        manifest.open()
    run = _Run(options, manifest, agent)
    return run.all(Feed(options, free, locked, manifest), files)


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
        agent: that plays instead of a search, if there is one.
        clock: runs from now.
        done: targets written or being written.
        failed: bad files.
    """

    options: MatchOptions
    manifest: Manifest | None
    agent: "AgentSearch | None" = None
    clock: Clock = field(default_factory=Clock)
    done: int = 0
    failed: int = 0

    def all(self, feed: Feed, files: Sequence[Path]) -> int:
        """Match the files; returns the exit code."""
        stopped = False
        todo = [file for file in files if not self._adopted(file)]
        stored = StoredFindings(self.options.out, self.manifest.run) if self.manifest else None
        try:
            with (
                match_progress(self.options.quiet) as display,
                Interrupt() as interrupt,
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
            return EXIT_INTERRUPTED
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
            if interrupt.seen:
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

    def _search(self, feed: Feed, group: Group, place: str, display, interrupt: Interrupt) -> list[Finding]:
        """Search for a group; what is to be written, for each of its targets."""
        began, count, options = time.perf_counter(), len(group.items), self.options
        names = ", ".join(item.recording.clip.path.stem for item in group.items[:2])
        names = place + names + (", ..." if count > 2 else "")

        def progress(done: int, rounds: int, loss: float) -> None:
            display.update(done, rounds, loss, names)
            interrupt.check()

        # Other draws than those of the random reference, from the same keys.
        apart, *keys = jax.vmap(lambda key: jax.random.split(jax.random.fold_in(key, 1), 3), out_axes=1)(
            group.references
        )
        search = search_several if self.agent is None else self.agent.search
        found = search(
            group.inverter,
            feed.method,
            group.prepared,
            apart,
            budget=options.budget,
            searches=options.top,
            progress=progress,
        )
        random = references(group.inverter, group.prepared, group.references, count=RANDOM_REFERENCE)
        extras = analyse(group.inverter, group.prepared, found, keys[0], top=options.top)
        found, posteriors = self._posteriors(feed, group, found, keys[1], names, display, interrupt)
        prior = options.prior_name()
        said = [Said(*row, prior=prior) for row in zip(random, extras, posteriors, strict=True)]
        renders = _renders(group, found) + extras[0].renders
        renders += posterior_renders() if posteriors[0] is not None else 0
        self.clock.group_done(group.duration_s, count, count * renders)
        about = self._about() | {"seconds": (time.perf_counter() - began) / count}
        played = [{} if self.agent is None else self.agent.said(i) for i in range(count)]
        return [
            make_finding(
                item.recording, found, i, said[i], group.inverter, about | played[i] | {"input": item.content}
            )
            for i, item in enumerate(group.items)
        ]

    def _posteriors(
        self,
        feed: Feed,
        group: Group,
        found: Inversion,
        keys: jax.Array,
        names: str,
        display,
        interrupt: Interrupt,
    ) -> tuple[Inversion, list[Posterior | None]]:
        """Posteriors, if asked for; Ctrl-C leaves them out and makes the search an unfinished one."""
        nothing: list[Posterior | None] = [None] * len(group.items)
        name = self.options.prior_name()
        if name is None or found.interrupted or interrupt.seen:
            return found, nothing
        loss = float(found.loss.mean())

        def progress(done: int, cycles: int) -> None:
            display.update(done, cycles, loss, f"posterior of {names}")
            interrupt.check()

        choices = np.array([spec.choices for spec in group.inverter.problem.instrument.table])
        prior = make_prior(name, bank=feed.shipped(group.inverter), choices=choices)
        try:
            sampled = posteriors_of(
                group.inverter, group.prepared, found, keys, prior=prior, progress=progress
            )
        except KeyboardInterrupt:
            return found._replace(interrupted=True), nothing
        return found, list(sampled)

    def _about(self) -> dict[str, Any]:
        """What every result says of the run."""
        options = self.options
        return {
            "method": options.method,
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


def _renders(group: Group, found: Inversion) -> int:
    """Renders behind one target, a gradient counted as several: search, judgement, random reference."""
    searched = found.renders + GRADIENT_COST * found.gradients
    return searched + found.judge_renders + RANDOM_REFERENCE + (FINALISTS + 1) * FINAL_KEYS
