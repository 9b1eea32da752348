"""What a match leaves behind: preset, sounds, report and numbers of one target."""

from pathlib import Path
from typing import Any

import numpy as np

from ddsprl.fitting.inversion import Inversion
from ddsprl.fitting.inverter import Inverter, RandomReference
from ddsprl.fitting.recording import Recording
from ddsprl.io import draw_match_report, versions, write_json, write_wav
from synth_jax import Note, preset_from_unit, save_preset


def write_result(
    directory: Path,
    recording: Recording,
    found: Inversion,
    index: int,
    random: RandomReference,
    inverter: Inverter,
    *,
    seed: int,
    seconds: float,
) -> None:
    """Write `preset.json`, `match.wav`, `target.wav`, `report.png` and `result.json` into a directory.

    Args:
        directory: exists and is empty.
        recording: what was matched.
        found: the inversion.
        index: which of its targets this is.
        random: the random reference of this target.
        inverter: that found it.
        seed: of the run.
        seconds: wall time of this target.
    """
    rate, name = recording.clip.sample_rate, recording.clip.path.stem
    note = Note(float(found.midi[index]), float(found.gate_s[index]), 1.0)
    instrument = inverter.problem.instrument
    preset = preset_from_unit(
        found.u[index], instrument, name=name, tags=("match",), note=note, source=recording.clip.path.name
    )
    save_preset(directory / "preset.json", preset)
    write_wav(directory / "match.wav", found.audio[index], rate)
    write_wav(directory / "target.wav", recording.audio, rate)
    terms = {k: float(v[index]) for k, v in found.terms.items()}
    loss = float(found.loss[index])
    draw_match_report(
        directory / "report.png",
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
    tried = len(recording.midi) if len(recording.midi) > 1 else 0
    run = {"pitch_renders": tried * inverter.config.candidates}
    run |= {"terms": terms, "seed": seed, "seconds": seconds, "versions": versions()}
    write_json(directory / "result.json", _numbers(recording, found, index, random, note) | run)


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
