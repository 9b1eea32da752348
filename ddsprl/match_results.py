"""What a match leaves behind: preset, sounds, report and numbers of one target."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ddsprl.fitting.grouped import Inversion, distinct_members
from ddsprl.fitting.inverter import Inverter, RandomReference
from ddsprl.fitting.recording import Recording
from ddsprl.io import draw_match_report, versions, write_json, write_wav
from synth_jax import Note, preset_from_unit, save_preset


class Found(NamedTuple):
    """What there is to say about one target.

    Attributes:
        inversion: of its group.
        index: which of the group's targets it is.
        random: its random reference.
    """

    inversion: Inversion
    index: int
    random: RandomReference


def write_result(
    directory: Path,
    recording: Recording,
    result: Found,
    inverter: Inverter,
    about: Mapping[str, Any],
    *,
    top: int = 1,
    report: bool = True,
) -> None:
    """Write `preset.json`, `match.wav`, `target.wav`, `report.png` and `result.json` into a directory.

    Args:
        directory: exists and is empty.
        recording: what was matched.
        result: of the search.
        inverter: that found it.
        about: the run, for `result.json`: `method`, seed, seconds and so on.
        top: distinct presets to write, the further ones as `preset_2.json` and so on.
        report: whether to draw `report.png`.
    """
    found, index, random = result
    rate, name = recording.clip.sample_rate, recording.clip.path.stem
    note = Note(float(found.midi[index]), float(found.gate_s[index]), 1.0)
    instrument = inverter.problem.instrument
    presets = []
    for rank, place in enumerate(distinct_members(found, index, top), start=1):
        file = "preset.json" if rank == 1 else f"preset_{rank}.json"
        source = recording.clip.path.name
        preset = preset_from_unit(
            found.members[index, place], instrument, name=name, tags=("match",), note=note, source=source
        )
        save_preset(directory / file, preset)
        presets.append({"file": file, "loss": float(found.member_loss[index, place])})
    write_wav(directory / "match.wav", found.audio[index], rate)
    write_wav(directory / "target.wav", recording.audio, rate)
    terms = {k: float(v[index]) for k, v in found.terms.items()}
    if report:
        _draw(directory / "report.png", recording, result, inverter, terms, note)
    tried = len(recording.midi) if len(recording.midi) > 1 else 0
    run = {"pitch_renders": tried * inverter.config.candidates}
    run |= {"terms": terms, "presets": presets, "versions": versions(), **about}
    write_json(directory / "result.json", _numbers(recording, found, index, random, note) | run)


def _draw(
    path: Path, recording: Recording, result: Found, inverter: Inverter, terms: dict[str, float], note: Note
) -> None:
    found, index, random = result
    rate, name, instrument = recording.clip.sample_rate, recording.clip.path.stem, inverter.problem.instrument
    loss = float(found.loss[index])
    draw_match_report(
        path,
        sample_rate=rate,
        target=recording.audio,
        match=found.audio[index],
        random_reference={f"best of {random.count} random": random.loss},
        curve=_curve(found, index),
        terms=terms,
        reference_terms=random.terms,
        title=name,
        subtitle=f"{instrument.name}, {rate} Hz, {recording.duration_s:g} s; loss {loss:.3f}, "
        f"{loss / max(random.loss, 1e-9):.2f} of the best of {random.count} random presets",
        facts={"midi": f"{note.midi:.2f}", "gate": f"{note.gate_s:.3f} s", "loss": f"{loss:.4f}"},
        curve_x_label="renders (a gradient counts as 4)",
    )


def _curve(found: Inversion, index: int) -> dict[str, tuple[list[float], list[float]]]:
    """Best loss so far against renders, for the stage with relaxed knobs and the one with snapped knobs."""
    stages = {"relaxed": ~found.curve_snapped, "snapped": found.curve_snapped}
    return {
        name: (found.curve_renders[chosen].tolist(), _best_so_far(found.curve[index][chosen]))
        for name, chosen in stages.items()
        if chosen.any()
    }


def _numbers(
    recording: Recording, found: Inversion, index: int, random: RandomReference, note: Note
) -> dict[str, Any]:
    """What `result.json` says besides how the run was made."""
    return {
        "target": recording.clip.path.name,
        "loss": float(found.loss[index]),
        "relaxed_loss": float(found.relaxed_loss[index]),
        "yardstick": float(found.yardstick[index]),
        "random_reference": {"count": random.count, "loss": random.loss, "terms": random.terms},
        "midi": note.midi,
        "pitch_strength": recording.strength,
        "gate_s": note.gate_s,
        "onset_s": recording.onset_s,
        "sample_rate": recording.clip.sample_rate,
        "duration_s": recording.duration_s,
        "renders": found.renders,
        "gradients": found.gradients,
        "judge_renders": found.judge_renders,
        "library_renders": found.library_renders,
        "locked": [name for name, free in zip(found.names, found.free, strict=True) if not free],
        "curve": {
            "renders": found.curve_renders,
            "loss": found.curve[index],
            "snapped": found.curve_snapped,
        },
    }


def _best_so_far(losses: np.ndarray) -> list[float]:
    return np.minimum.accumulate(losses).tolist()
