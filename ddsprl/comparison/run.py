"""From settings to a finished directory: every piece that is missing, then the tables, curves and page."""

import os
import platform
import signal
import sys
import zlib
from collections.abc import Callable
from dataclasses import asdict, is_dataclass, replace
from pathlib import Path
from typing import Any

import jax

from ddsprl.comparison.cells import Cells, source_digest
from ddsprl.comparison.curve_points import Curves, separate, write_numbers
from ddsprl.comparison.curves import draw_curves
from ddsprl.comparison.execution import Execution, gradient_batches, gradient_piece, sound_of, task_name
from ddsprl.comparison.markdown import markdown
from ddsprl.comparison.options import Settings
from ddsprl.comparison.page import chosen_targets, write_page
from ddsprl.comparison.suites import MANIFEST, recordings_of
from ddsprl.comparison.summary import Results, price_of, summarise
from ddsprl.fitting.core.programs import group_size
from ddsprl.fitting.inversion.methods import usable_start
from ddsprl.fitting.solvers.registry import make_solver, settings_of
from ddsprl.io import EXIT_INTERRUPTED, UserError, match_progress, versions
from ddsprl.io.atomic import replacing
from ddsprl.plant import make_instrument

PACKAGES = ("ddsprl", "jax", "jaxlib", "numpy")
# A note that every guess is trained for.
GUESSED_MIDI = 60.0


class Interruptible:
    """Ctrl-C ends the process at once, but never between the two files of a piece.

    An exception would have to find its way through a runtime's callbacks; there is nothing to clean up, as
    files appear by renaming.
    """

    def __init__(self, message: Callable[[], str]) -> None:
        """`message` is what is said, one line."""
        self._message, self._asked, self._busy = message, False, False

    def __enter__(self) -> "Interruptible":
        """Take Ctrl-C over."""
        self._before = signal.signal(signal.SIGINT, self._handle)
        return self

    def __exit__(self, *_: object) -> None:
        """Give it back."""
        signal.signal(signal.SIGINT, self._before)

    def finish(self, write: Callable[[], None]) -> None:
        """Write something to the end, whatever is pressed meanwhile."""
        self._busy = True
        try:
            write()
        finally:
            self._busy = False
        if self._asked:
            self._leave()

    def _handle(self, *_: object) -> None:
        self._asked = True
        if not self._busy:
            self._leave()

    def _leave(self) -> None:
        show_cursor = b"\x1b[?25h\n" if sys.stderr.isatty() else b""
        os.write(2, show_cursor + self._message().encode() + b"\n")
        os._exit(EXIT_INTERRUPTED)


class GuardedCells(Cells):
    """Cells whose writing is not interrupted."""

    def __init__(self, directory: Path, guard: Interruptible) -> None:
        """As `Cells`."""
        super().__init__(directory)
        self._guard = guard

    def write(self, name: str, numbers: Any, arrays: Any = None) -> None:
        """Store a piece."""
        self._guard.finish(lambda: super(GuardedCells, self).write(name, numbers, arrays))


def compare(settings: Settings) -> Results:
    """Do what is missing of a comparison, and write its tables; returns the results.

    Raises:
        UserError: the directory holds something else, or cannot be written.
    """
    group = group_size() if settings.group is None else settings.group
    counts = {"done": 0, "all": 0}

    def message() -> str:
        done = (
            f"{counts['done']} of {counts['all']} pieces are in {settings.out}"
            if counts["all"]
            else "at the start"
        )
        return f"interrupted: {done}; the same command goes on"

    with Interruptible(message) as guard, match_progress(settings.quiet) as display:
        cells = GuardedCells(settings.out, guard)
        cells.claim(_identity(settings, group))
        execution = Execution(settings, cells, group=group)
        pieces = execution.pieces
        counts["all"] = len(pieces)
        best = float("nan")
        for i, (name, make) in enumerate(pieces):
            if not cells.has(name):
                display.update(i, len(pieces), best, "comparing")
                best = make()
            counts["done"] = i + 1
        display.update(len(pieces), len(pieces), best, "comparing")
        results, curves = separate(collect(execution, cells, settings, group))
        # From what the file will hold: its reader gets the same table to the last digit.
        results["summary"] = summarise(results, settings.ratio)
        guard.finish(lambda: write_outputs(execution, cells, settings, results, curves))
    return results


def check_methods(settings: Settings) -> None:
    """Build every solver once.

    Raises:
        UserError: a setting is unknown or not allowed, or a budget does not pay for the starts.
    """
    for method in settings.methods:
        try:
            make_solver(method.solver, **method.solver_settings())
        except (TypeError, ValueError) as error:
            raise UserError(f"method {method.label!r}: {error}") from error
        least = min(settings.budgets) * method.times
        if least < method.count:
            short = f"a budget of {least} does not pay for its {method.count} starts"
            raise UserError(f"method {method.label!r}: {short}; raise --budgets, or lower count")


def with_usable_starts(settings: Settings) -> Settings:
    """The settings with methods that start where the instrument lets them; what is changed is printed.

    A start that asks a guess falls back to one that needs no training where no guess is trained.
    """
    synth = make_instrument(settings.instrument, settings.sample_rate, settings.seconds)
    methods = []
    for method in settings.methods:
        start, reason = usable_start(method.start, synth, GUESSED_MIDI)
        if reason is not None:
            print(f"method {method.label!r}: {reason}; it starts from {start!r} instead", file=sys.stderr)
        methods.append(replace(method, start=start))
    return replace(settings, methods=tuple(methods))


def collect(execution: Execution, cells: Cells, settings: Settings, group: int) -> Results:
    """What `results.json` holds but the summary, from the pieces, and the curve of every run."""
    results: Results = {
        "format": "ddsprl-comparison",
        "version": 1,
        "options": {**settings.record(), "group": group},
        "source": source_digest(),
        "machine": machine(),
        "versions": versions(),
        "rejected": execution.suite.rejected,
        "targets": _targets(execution, cells),
        "runs": _runs(execution, cells, settings),
    }
    results["methods"] = {m.label: _method(execution, cells, m) for m in settings.methods}
    _charge(results)
    return results


def write_outputs(
    execution: Execution, cells: Cells, settings: Settings, results: Results, curves: Curves
) -> None:
    """Write `results.json`, `curves.json`, `table.md`, `curves.png` and `report.html`."""
    directory = settings.out
    write_numbers(directory / "results.json", directory / "curves.json", results, curves)
    with replacing(directory / "table.md") as temporary:
        temporary.write_text(markdown(results), encoding="utf-8")
    draw_curves(directory / "curves.png", results, curves)
    names = chosen_targets(results, settings.players)
    sounds = {case.name: case.audio for case in execution.suite.cases if case.name in names}
    write_page(
        directory / "report.html",
        results,
        directory / "curves.png",
        target_sounds=sounds,
        sound_of=lambda run: sound_of(cells, execution.groups, run),
    )


def machine() -> dict[str, Any]:
    """Where the comparison ran."""
    return {
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "backend": jax.default_backend(),
        "devices": ", ".join(device.device_kind for device in jax.devices()),
    }


def _processor() -> str:
    """The processor's name where the system tells it, else its kind."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _identity(settings: Settings, group: int) -> dict[str, Any]:
    """What a second run into the same directory must agree with."""
    found = versions()
    record = {**settings.record(), "group": group, "backend": jax.default_backend()}
    if settings.suite == "recordings":
        record["recordings"] = _contents(settings.folder)
    return {**record, "versions": {name: found[name] for name in PACKAGES}, "source": source_digest()}


def _contents(folder: Path) -> dict[str, int]:
    """Fingerprints of the recordings and of what is said about their notes, by file name."""
    files = [*recordings_of(folder), *folder.glob(MANIFEST)]
    return {file.name: zlib.crc32(file.read_bytes()) for file in files}


def _targets(execution: Execution, cells: Cells) -> list[dict[str, Any]]:
    found = []
    for group in execution.groups:
        references = cells.read(f"references-{group.name}")["targets"]
        for case in group.cases[: group.count]:
            true = case.true_note
            found.append(
                {
                    "name": case.name,
                    "part": case.part,
                    "midi": float(case.note.midi),
                    "gate_s": float(case.note.gate_s),
                    "true_midi": None if true is None else float(true.midi),
                    "true_gate_s": None if true is None else float(true.gate_s),
                    "note_renders": case.note_renders,
                    "note_pages": case.note_pages,
                    "samples": group.n,
                    "references": references[case.name],
                }
            )
    return found


def _runs(execution: Execution, cells: Cells, settings: Settings) -> list[dict[str, Any]]:
    found = []
    for method in settings.methods:
        for budget in settings.budgets:
            for seed in range(settings.seeds):
                task = task_name(method.label, budget, seed)
                metrics = cells.read(f"field-{task}")["targets"]
                about = {"method": method.label, "budget": budget, "seed": seed}
                for group in execution.groups:
                    rows = cells.read(f"run-{task}-{group.name}")["rows"]
                    found += [{**about, **row, **metrics[row["target"]]} for row in rows]
    return found


def _method(execution: Execution, cells: Cells, method: Any) -> dict[str, Any]:
    lengths = dict.fromkeys(group.n for group in execution.groups)
    costs = [cells.read(f"cost-{method.label}-n{n}") for n in lengths]
    solver = make_solver(method.solver, **method.solver_settings())
    gradient = [cells.read(gradient_piece(b, n)) for b in gradient_batches(method) for n in lengths]
    return {
        "solver": method.solver,
        "start": method.start,
        "count": method.count,
        "settings": {name: _plain(getattr(solver, name)) for name in settings_of(method.solver)},
        "compile_s": sum(cost["compile_s"] for cost in costs),
        "gradient_cost": gradient,
    }


def _plain(setting: Any) -> Any:
    """A setting as JSON holds it: a record of settings is an object."""
    return asdict(setting) if is_dataclass(setting) and not isinstance(setting, type) else setting


def _charge(results: Results) -> None:
    """Shared renders of every run: pages of the library over the targets that they serve, and the note's."""
    targets = {target["name"]: target for target in results["targets"]}
    opened = {tuple(page) for target in results["targets"] for page in target["note_pages"]}
    for label, method in results["methods"].items():
        runs = [run for run in results["runs"] if run["method"] == label]
        pages = opened | {tuple(work) for run in runs for work in run["works"]}
        shared = sum(size for _, _, size, _ in pages) / len(targets)
        method["shared_renders_a_target"] = shared
        for run in runs:
            target = targets[run["target"]]
            price = price_of(results, label, target["samples"]) or 0.0
            run["shared"] = shared + target["note_renders"]
            run["charged"] = run["renders"] + price * run["gradients"] + run["shared"]
