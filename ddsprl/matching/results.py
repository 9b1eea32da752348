"""What a match leaves behind: presets, sounds, pictures and numbers of one target.

A search's results become one `Finding` a target, which holds all that is ever written of it, in plain numbers
and arrays: it can be put on disk before anything is drawn, and drawn by another process, or another day.
"""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ddsprl.fitting.core.budget import GRADIENT_COST
from ddsprl.fitting.findings.extras import Extras, posterior_renders
from ddsprl.fitting.findings.reach import Conditions, judge_reach, known_losses
from ddsprl.fitting.findings.references import RandomReference
from ddsprl.fitting.findings.sensitivity import STEP
from ddsprl.fitting.findings.topk import LEAST_KNOBS
from ddsprl.fitting.inversion.grouped import Inversion
from ddsprl.fitting.inversion.inverter import Inverter
from ddsprl.fitting.inversion.recording import Recording
from ddsprl.fitting.posterior.summary import LEVEL, Posterior
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


class Said(NamedTuple):
    """What there is to say about one target besides the search.

    Attributes:
        random: its random reference.
        extras: its sensitivities and distinct presets.
        posterior: if it was sampled.
        prior: of the posterior, by name (`ddsprl.fitting.posterior.priors.PRIORS`).
    """

    random: RandomReference
    extras: Extras
    posterior: Posterior | None = None
    prior: str | None = None


def make_finding(
    recording: Recording,
    found: Inversion,
    index: int,
    said: Said,
    inverter: Inverter,
    about: Mapping[str, Any],
) -> Finding:
    """Everything that is to be written of a target.

    Args:
        recording: what was matched.
        found: by the search, for its group.
        index: which of the group's targets it is.
        said: about this target.
        inverter: of the group.
        about: the run, for `result.json`: `method`, `seed`, `seconds` and so on.
    """
    places = said.extras.places
    files = ["preset.json", *(f"preset_{rank}.json" for rank in range(2, len(places) + 1))]
    losses = found.member_loss[index, places].tolist()
    tried = len(recording.midi) if len(recording.midi) > 1 else 0
    numbers = _numbers(recording, found, index) | {
        "random_reference": {name: x for name, x in said.random._asdict().items() if name != "u"},
        "pitch_renders": tried * inverter.config.candidates,
        "presets": [{"file": file, "loss": loss} for file, loss in zip(files, losses, strict=True)],
        "distinct": {"least_knobs": LEAST_KNOBS, "least_sound_db": said.extras.least_sound},
        "sensitivity": {"rise": said.extras.rises, "step": STEP},
        "analysis_renders": said.extras.renders,
        "posterior": _credible(said, inverter.problem.instrument.table),
        "versions": versions(),
        "instrument": inverter.problem.instrument.name,
        **about,
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
    random, rate = numbers["random_reference"], numbers["sample_rate"]
    best = f"best of {random['count']} random"
    facts = {"midi": f"{numbers['midi']:.2f}", "gate": f"{numbers['gate_s']:.3f} s", "loss": f"{loss:.4f}"}
    return {
        "sample_rate": rate,
        "target": finding.target,
        "match": finding.match,
        "random_reference": {best: random["loss"]},
        "curve": _curve(numbers["curve"]),
        "verdicts": _verdicts(numbers["monitor"]),
        "terms": numbers["terms"],
        "reference_terms": random["terms"],
        "title": finding.name,
        "subtitle": f"{numbers['instrument']}, {rate} Hz, {numbers['duration_s']:g} s; loss {loss:.3f}, "
        f"{loss / max(random['loss'], 1e-9):.2f} of the {best} presets",
        "remark": _sentence(numbers["reach"]["sentence"]),
        "facts": facts,
        "rises": numbers["sensitivity"]["rise"],
        "curve_x_label": f"renders (a gradient counts as {GRADIENT_COST})",
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


def _credible(all_said: Said, table: Table) -> dict[str, Any] | None:
    """What `result.json` says of a posterior: intervals as knob positions and in physical units."""
    posterior, prior = all_said.posterior, all_said.prior
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


def _curve(curve: Mapping[str, Any]) -> dict[str, tuple[list[float], list[float]]]:
    """Best loss so far against renders, for the stage with relaxed knobs and the one with snapped knobs.

    A solver's curve is that already; it rises where the search begins to hear fresh noise, from where on what
    it had heard before does not count.
    """
    renders, loss, snapped = (np.asarray(curve[name]) for name in ("renders", "loss", "snapped"))
    if snapped.all():
        return {"snapped": (renders.tolist(), loss.tolist())}
    stages = {"relaxed": ~snapped, "snapped": snapped}
    return {
        name: (renders[chosen].tolist(), np.minimum.accumulate(loss[chosen]).tolist())
        for name, chosen in stages.items()
        if chosen.any()
    }


def _verdicts(monitor: Mapping[str, Any] | None) -> tuple[list[float], list[str]] | None:
    """What the monitor said against renders, if there was one."""
    return None if monitor is None else (monitor["renders"], monitor["verdict"])


def _numbers(recording: Recording, found: Inversion, index: int) -> dict[str, Any]:
    """What `result.json` says of the target and the search."""
    monitor = found.monitor[index]
    return {
        "target": recording.clip.path.name,
        "loss": float(found.loss[index]),
        "relaxed_loss": float(found.relaxed_loss[index]),
        "yardstick": float(found.yardstick[index]),
        "terms": {name: float(values[index]) for name, values in found.terms.items()},
        "midi": float(found.midi[index]),
        "pitch_strength": recording.strength,
        "gate_s": float(found.gate_s[index]),
        "onset_s": recording.onset_s,
        "sample_rate": recording.clip.sample_rate,
        "duration_s": recording.duration_s,
        "start": found.start[index],
        "start_note": found.start_note[index],
        "renders": found.renders,
        "gradients": found.gradients,
        "judge_renders": found.judge_renders,
        "library_renders": found.library_renders,
        "counts": {name: int(values[index]) for name, values in found.counts.items()},
        "locked": [name for name, free in zip(found.names, found.free, strict=True) if not free],
        "interrupted": found.interrupted,
        "curve": {
            "renders": found.curve_renders,
            "loss": found.curve[index],
            "snapped": found.curve_snapped,
        },
        "monitor": None if monitor is None else monitor.record(),
    }


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:] + "."
