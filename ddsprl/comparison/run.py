"""From settings to a finished directory: every piece that is missing, then the tables, curves and page."""

import sys
import zlib
from dataclasses import replace
from pathlib import Path
from typing import Any

from ddsprl.comparison.curves import draw_curves
from ddsprl.comparison.execution import Execution
from ddsprl.comparison.markdown import markdown
from ddsprl.comparison.options import Output, Settings
from ddsprl.comparison.page import chosen_targets, write_page
from ddsprl.comparison.plan import Experiment
from ddsprl.comparison.results import Curves, collect, separate, sound_of, write_numbers
from ddsprl.comparison.suites import MANIFEST, recordings_of
from ddsprl.comparison.summary import Results, summarise
from ddsprl.fitting.core.programs import group_size
from ddsprl.fitting.inversion.methods import usable_start
from ddsprl.fitting.solvers.registry import make_solver
from ddsprl.io import UserError
from ddsprl.io.output import replacing
from ddsprl.io.sources import source_digest
from ddsprl.measuring.machine import place
from ddsprl.measuring.work import Work
from ddsprl.plant import make_instrument

# A note that every guess is trained for.
GUESSED_MIDI = 60.0
# Makes all pieces, and knows nothing of tables and pages.
ENTRY = "ddsprl.comparison.execution"


def compare(settings: Settings) -> Results:
    """Do what is missing of a comparison, and write its tables; returns the results.

    Raises:
        UserError: the directory holds something else, or cannot be written.
    """
    experiment, output = settings
    if experiment.group is None:
        experiment = replace(experiment, group=group_size())
    with Work(output.directory, "comparison", quiet=output.quiet) as work:
        work.cells.claim(_identity(experiment))
        execution = Execution(experiment, work.cells)
        work.do(execution.jobs, "comparing")
        results, curves = separate(collect(execution, source_digest(ENTRY)))
        # From what the file will hold: its reader gets the same table to the last digit.
        results["summary"] = summarise(results, output.ratio)
        with work.interruption.whole():
            write_outputs(execution, output, results, curves)
    return results


def check_methods(experiment: Experiment) -> None:
    """Build every solver once.

    Raises:
        UserError: a setting is unknown or not allowed, or a budget does not pay for the starts.
    """
    for method in experiment.methods:
        try:
            make_solver(method.solver, **method.solver_settings())
        except (TypeError, ValueError) as error:
            raise UserError(f"method {method.label!r}: {error}") from error
        least = min(experiment.budgets) * method.times
        if least < method.count:
            short = f"a budget of {least} does not pay for its {method.count} starts"
            raise UserError(f"method {method.label!r}: {short}; raise --budgets, or lower count")


def with_usable_starts(experiment: Experiment) -> Experiment:
    """The experiment with methods that start where the instrument lets them; what is changed is printed.

    A start that asks a guess falls back to one that needs no training where no guess is trained.
    """
    targets, methods = experiment.targets, []
    synth = make_instrument(experiment.instrument, targets.sample_rate, targets.seconds)
    for method in experiment.methods:
        start, reason = usable_start(method.start, synth, GUESSED_MIDI)
        if reason is not None:
            print(f"method {method.label!r}: {reason}; it starts from {start!r} instead", file=sys.stderr)
        methods.append(replace(method, start=start))
    return replace(experiment, methods=tuple(methods))


def write_outputs(execution: Execution, output: Output, results: Results, curves: Curves) -> None:
    """Write `results.json`, `curves.json`, `table.md`, `curves.png` and `report.html`."""
    directory = output.directory
    write_numbers(directory / "results.json", directory / "curves.json", results, curves)
    with replacing(directory / "table.md") as temporary:
        temporary.write_text(markdown(results), encoding="utf-8")
    draw_curves(directory / "curves.png", results, curves)
    names = chosen_targets(results, output.players)
    write_page(
        directory / "report.html",
        results,
        directory / "curves.png",
        target_sounds={case.name: case.audio for case in execution.suite.cases if case.name in names},
        sound_of=lambda run: sound_of(execution, run),
    )


def _identity(experiment: Experiment) -> dict[str, Any]:
    """What a second session in the same directory must agree with."""
    record = experiment.record() | place(source_digest(ENTRY))
    if experiment.targets.suite == "recordings":
        record["recordings"] = _contents(experiment.targets.folder)
    return record


def _contents(folder: Path) -> dict[str, int]:
    """Fingerprints of the recordings and of what is said about their notes, by file name."""
    files = [*recordings_of(folder), *folder.glob(MANIFEST)]
    return {file.name: zlib.crc32(file.read_bytes()) for file in files}
