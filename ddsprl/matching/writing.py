"""Written behind the search: findings become directories and lines of the manifest, several at a time."""

import os
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from ddsprl.drawing.pictures import Drawers
from ddsprl.io import staged_directory
from ddsprl.matching.edits import edits_contents
from ddsprl.matching.manifest import DONE, PARTIAL, Manifest, made_by
from ddsprl.matching.options import MatchOptions
from ddsprl.matching.results import Finding, write_finding
from ddsprl.matching.stored import StoredFindings

# Groups that may wait to be written; their findings are in memory, and on disk.
BACKLOG = 4
MOST_DRAWERS = 8


@dataclass
class Writer:
    """Writes findings in threads of its own; pictures are drawn in other processes.

    Attributes:
        options: of the run.
        manifest: None for a single target.
        stored: findings on disk; None for a single target.
    """

    options: MatchOptions
    manifest: Manifest | None
    stored: StoredFindings | None = None
    _waiting: deque[tuple[list[Future], Path | None]] = field(default_factory=deque)

    def __enter__(self) -> "Writer":
        """Processes are started when there is something to draw."""
        several = self.manifest is not None
        count = max(1, min(MOST_DRAWERS, (os.cpu_count() or 2) - 1)) if several else 1
        self._drawers = Drawers(count if several and self.options.report else 0)
        self._threads = ThreadPoolExecutor(count, "write")
        return self

    def __exit__(self, *_) -> None:
        """Wait for the threads."""
        self._threads.shutdown()
        self._drawers.__exit__()

    def put(self, findings: Sequence[Finding], kept: Path | None = None) -> None:
        """Write the findings of a group, soon; waits while there are too many before it.

        Args:
            findings: of the group.
            kept: file of `StoredFindings` to be removed when all of them are written.
        """
        if kept is None and self.stored is not None and not any(x.numbers["interrupted"] for x in findings):
            kept = self.stored.keep(findings)
        while len(self._waiting) >= BACKLOG:
            self._settle_one()
        self._waiting.append(([self._threads.submit(self._write, finding) for finding in findings], kept))
        while self._waiting and all(job.done() for job in self._waiting[0][0]):
            self._settle_one()

    def settle(self) -> None:
        """Wait until everything is written; what went wrong is raised here."""
        while self._waiting:
            self._settle_one()

    def _settle_one(self) -> None:
        jobs, kept = self._waiting.popleft()
        for job in jobs:
            job.result()
        if kept is not None and self.stored is not None:
            self.stored.drop(kept)

    def _write(self, finding: Finding) -> None:
        """Write the result of one target, and that it is over."""
        numbers, manifest = finding.numbers, self.manifest
        result = self.options.out / finding.name
        # Only what this run itself left behind, cut short by Ctrl-C, is replaced.
        again = manifest is not None and made_by(result, manifest.run) is not None
        with staged_directory(result, overwrite=again) as directory:
            write_finding(directory, finding, self._drawers.draw, report=self.options.report)
            if self.options.report and "episode" in numbers:
                (directory / "edits.png").write_bytes(self._drawers.draw("edits", edits_contents(finding)))
        if manifest is not None:
            status = PARTIAL if numbers["interrupted"] else DONE
            figures = {name: numbers[name] for name in ("loss", "seconds")}
            manifest.add({"name": finding.name, "status": status, **numbers["input"], **figures})
        if not self.options.quiet:
            print(f"{result}: {said_of(finding, self.options.top)}", flush=True)


def said_of(finding: Finding, top: int) -> str:
    """A line for people about a result."""
    numbers, random = finding.numbers, finding.numbers["random_reference"]
    share = numbers["loss"] / max(random["loss"], 1e-9)
    said = f"loss {numbers['loss']:.3f}, {share:.2f} of the best of {random['count']} random presets"
    said += f"; {numbers['reach']['verdict']}"
    if len(numbers["presets"]) < top:
        said += f"; {len(numbers['presets'])} of {top} presets, no more were distinct"
    if numbers["posterior"] is not None:
        said += f"; {numbers['posterior']['sentence']}"
    if numbers["start_note"] is not None:
        said += f"; begun at {numbers['start']}: {numbers['start_note']}"
    return said
