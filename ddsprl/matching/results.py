"""What a match leaves behind: presets, sounds, pictures and numbers of one target.

What a search found becomes one `Finding` a target, which holds all that is ever written of it, in plain
numbers and arrays: it can be put on disk before anything is drawn, and drawn by another process, or another
day.
"""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ddsprl.drawing.match import Course, Heading, Sounds, Terms
from ddsprl.fitting.core.budget import GRADIENT_COST
from ddsprl.fitting.findings.analysis import Analysis, posterior_renders
from ddsprl.fitting.findings.reach import Conditions, judge_reach, known_losses
from ddsprl.fitting.findings.sensitivity import STEP
from ddsprl.fitting.findings.topk import LEAST_KNOBS
from ddsprl.fitting.inversion.inverter import Inverter
from ddsprl.fitting.inversion.recording import Recording
from ddsprl.fitting.inversion.records import Inversion
from ddsprl.fitting.posterior.summary import LEVEL, Posterior
from ddsprl.fitting.solvers.monitor import monitor_trace
from ddsprl.io import versions, write_json, write_wav
from ddsprl.io.output import json_text
from synth_jax import Instrument, Note, preset_from_unit, save_preset
from synth_jax.params import Table

# Draws a picture of `ddsprl.drawing.pictures` from its name and contents.
Draw = Callable[[str, Mapping[str, Any]], bytes]
CONVERGED = 1.1  # split R-hat up to which chains are said to agree


class Finding(NamedTuple):
    """What was found for one target.

    Attributes:
        name: of its result.
        numbers: of `result.json`, as JSON holds them.
        knobs: of the distinct presets, best first, `[k, d]`.
        target: what was asked for, `[n]`.
        match: what was found, `[n]`.
    """

    name: str
    numbers: dict[str, Any]
    knobs: np.ndarray
    target: np.ndarray
    match: np.ndarray


def make_finding(
    recording: Recording,
    found: Inversion,
    index: int,
    analysis: Analysis,
    inverter: Inverter,
    about: Mapping[str, Any],
) -> Finding:
    """Everything that is to be written of a target.

    Args:
        recording: what was matched.
        found: by the search, for its group.
        index: which of the group's targets it is.
        analysis: of this target.
        inverter: of the group.
        about: the run, for `result.json`: `method`, `seed`, `seconds` and so on.
    """
    places, table = analysis.places, inverter.problem.instrument.table
    files = ["preset.json", *(f"preset_{rank}.json" for rank in range(2, len(places) + 1))]
    losses = np.asarray(found.verdict.finalists.loss)[index, places].tolist()
    tried = len(recording.midi) if len(recording.midi) > 1 else 0
    numbers = _numbers(recording, found, index, table) | {
        "random_reference": {name: x for name, x in analysis.random._asdict().items() if name != "u"},
        "pitch_renders": tried * inverter.config.candidates,
        "presets": [{"file": file, "loss": loss} for file, loss in zip(files, losses, strict=True)],
        "distinct": {"least_knobs": LEAST_KNOBS, "least_sound_db": analysis.least_sound},
        "sensitivity": {"rise": analysis.rises, "step": STEP},
        "analysis_renders": analysis.renders,
        "posterior": _credible(analysis.posterior, about["prior"], table),
        "versions": versions(),
        "instrument": inverter.problem.instrument.name,
        **{name: x for name, x in about.items() if name != "prior"},
    }
    numbers["reach"] = _reach(numbers, inverter.problem.instrument)
    plain = json.loads(json_text(numbers))
    knobs = np.asarray(found.members[index, places], np.float32)
    return Finding(recording.clip.path.stem, plain, knobs, recording.audio, np.asarray(found.audio[index]))


def write_finding(directory: Path, finding: Finding, draw: Draw, *, report: bool = True) -> None:
    """Write presets, `match.wav`, `target.wav`, `result.json` and pictures into a directory.

    Args:
        directory: exists and is empty.
        finding: of the target.
        draw: makes pictures.
        report: whether pictures are wanted.
    """
    numbers, rate = finding.numbers, finding.numbers["sample_rate"]
    note = Note(numbers["midi"], numbers["gate_s"], 1.0)
    about = {"name": finding.name, "tags": ("match",), "note": note, "source": numbers["target"]}
    presets = [preset_from_unit(u, numbers["instrument"], **about) for u in finding.knobs]
    for row, preset in zip(numbers["presets"], presets, strict=True):
        save_preset(directory / row["file"], preset)
    write_wav(directory / "match.wav", finding.match, rate)
    write_wav(directory / "target.wav", finding.target, rate)
    if report:
        (directory / "report.png").write_bytes(draw("match", report_contents(finding)))
        if numbers["posterior"] is not None:
            picture = draw("posterior", posterior_contents(finding, list(presets[0].values)))
            (directory / "posterior.png").write_bytes(picture)
    write_json(directory / "result.json", numbers)


def report_contents(finding: Finding) -> dict[str, Any]:
    """Of the picture `match`."""
    numbers, loss = finding.numbers, finding.numbers["loss"]
    random, rate, monitor = (numbers[name] for name in ("random_reference", "sample_rate", "monitor"))
    best = f"best of {random['count']} random"
    facts = {"midi": f"{numbers['midi']:.2f}", "gate": f"{numbers['gate_s']:.3f} s", "loss": f"{loss:.4f}"}
    subtitle = f"{numbers['instrument']}, {rate} Hz, {numbers['duration_s']:g} s; loss {loss:.3f}, "
    subtitle += f"{loss / max(random['loss'], 1e-9):.2f} of the {best} presets"
    heading = Heading(finding.name, subtitle, _sentence(numbers["reach"]["sentence"]), facts)
    course = Course(
        {"snapped": (numbers["curve"]["renders"], numbers["curve"]["loss"])},
        {best: random["loss"]},
        x_label=f"renders (a gradient counts as {GRADIENT_COST})",
        verdicts=None if monitor is None else (monitor["renders"], monitor["verdict"]),
    )
    return {
        "heading": heading._asdict(),
        "sounds": Sounds(rate, finding.target, finding.match)._asdict(),
        "course": course._asdict(),
        "terms": Terms(numbers["terms"], random["terms"])._asdict(),
        "rises": numbers["sensitivity"]["rise"],
    }


def posterior_contents(finding: Finding, names: list[str]) -> dict[str, Any]:
    """Of the picture `posterior`, knobs in the order of `names`."""
    found = finding.numbers["posterior"]
    return {
        "low": {name: found["knobs"][name]["low"] for name in names},
        "high": {name: found["knobs"][name]["high"] for name in names},
        "title": finding.name,
        "remark": _sentence(found["sentence"]),
        "preset": dict(zip(names, finding.knobs[0].tolist(), strict=True)),
        "untellable": found["untellable"],
    }


def _credible(posterior: Posterior | None, prior: str | None, table: Table) -> dict[str, Any] | None:
    """What `result.json` says of a posterior: intervals as knob positions and in physical units."""
    if posterior is None:
        return None
    record: dict[str, Any] = posterior.record()
    for spec in table:
        row = record["knobs"][spec.name]
        row |= {"low_value": spec.to_physical(row["low"]), "high_value": spec.to_physical(row["high"])}
        # Infinite where every chain sticks to a value of its own, which JSON cannot hold.
        row["r_hat"] = row["r_hat"] if np.isfinite(row["r_hat"]) else None
    free, blind = int(np.sum(posterior.width > 0.0)), posterior.untellable
    said = "this sound tells something of every knob"
    if blind:
        listed = ", ".join(name.replace("_", " ") for name in blind)
        said = f"this sound cannot tell {len(blind)} of {free} knobs: {listed}"
    apart = int(np.sum(posterior.r_hat > CONVERGED))
    if apart:
        said += f"; the chains do not agree yet on {apart} knobs (split R-hat over {CONVERGED})"
    if prior == "bank":
        said += "; presets near those of the bank were taken to be likelier"
    return record | {"prior": prior, "renders": posterior_renders(), "level": LEVEL, "sentence": said}


def _reach(numbers: Mapping[str, Any], instrument: Instrument) -> dict[str, Any]:
    """Whether the sound is within reach, in words and numbers."""
    note = "estimated" if numbers.get("note_estimated") else "given"
    shape = (numbers["sample_rate"], numbers["duration_s"], note, len(numbers["locked"]))
    here = Conditions(numbers["method"], numbers["budget"], *shape, numbers["start"])
    known = known_losses(instrument)
    verdict = judge_reach(numbers["loss"], known, conditions=here)
    table = None if known is None else known.conditions._asdict()
    return verdict._asdict() | {"table": table, "applies": known is not None and not verdict.differs}


def _numbers(recording: Recording, found: Inversion, index: int, table: Table) -> dict[str, Any]:
    """What `result.json` says of the target and the search."""
    best, course, cost, task = found.verdict, found.course, found.cost, found.task
    monitor = monitor_trace(course, index)
    return {
        "target": recording.clip.path.name,
        "loss": float(found.loss[index]),
        # A search hears nothing but presets, so that this is the best in its own noise.
        "relaxed_loss": float(course.loss[index, -1]),
        "yardstick": float(best.yardstick[index]),
        "terms": {name: float(values[index]) for name, values in best.terms.items()},
        "midi": float(task.note.midi[index]),
        "pitch_strength": recording.strength,
        "gate_s": float(task.note.gate_s[index]),
        "onset_s": recording.onset_s,
        "sample_rate": recording.clip.sample_rate,
        "duration_s": recording.duration_s,
        "start": task.start[index],
        "start_note": task.start_note[index],
        "renders": int(cost.renders[index]),
        "gradients": int(cost.gradients[index]),
        "judge_renders": int(cost.judgement[index]),
        "library_renders": int(cost.library[index]),
        "counts": {name: int(values[index]) for name, values in course.counts.items()},
        "locked": [spec.name for spec, free in zip(table, task.free[index], strict=True) if not free],
        "interrupted": bool(found.interrupted[index]),
        "curve": {
            "renders": course.renders[index],
            "loss": course.loss[index],
            "snapped": np.ones(course.loss.shape[1], bool),
        },
        "monitor": None if monitor is None else monitor.record(),
    }


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:] + "."
