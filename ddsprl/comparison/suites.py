"""Targets of a comparison: seeded random presets, the shipped bank, and recordings.

A random preset has its knobs drawn uniformly and snapped, its note between MIDI 36 and 84, its gate between
0.1 and 0.4 s. The shipped presets are played at a seeded note each. What is quieter than -50 LUFS is rejected
and counted. Presets are drawn in blocks, so that the first targets of a seed are the same however many are
asked for.
"""

import dataclasses
import enum
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from ddsprl.comparison.plan import TargetSettings
from ddsprl.features.loudness import ungated_loudness
from ddsprl.fitting.core.streams import named
from ddsprl.fitting.inversion.inverter import Inverter
from ddsprl.fitting.inversion.recording import choose_pitch, most_plausible, pitch_hypotheses, ready
from ddsprl.fitting.starts.registry import SharedWork, page_work
from ddsprl.io import UserError, estimate_gate, expand_inputs, load_audio
from ddsprl.io.checks import within
from ddsprl.io.settings import of_kind
from ddsprl.measuring.keys import stream
from ddsprl.plant import in_chunks
from synth_jax import Instrument, Note, load_bank, shipped_presets_dir

MIDI_RANGE, GATE_RANGE_S = (36.0, 84.0), (0.1, 0.4)
QUIETEST_LUFS = -50.0
BLOCK = 64
MANIFEST = "manifest.json"
# Parts of every suite.
SUITES = {"presets": ("random", "bank"), "random": ("random",), "bank": ("bank",), "recordings": ()}


class Stream(enum.IntEnum):
    """What a key of `ddsprl.measuring.keys.stream` is for.

    The sound of a target is drawn from `TARGET`, searches from `SEARCH`, references from `REFERENCE`, and
    every preset that is judged, whoever found it, is heard under the same keys from `JUDGE`.
    """

    TARGET = 1
    NOTE = 2
    REFERENCE = 3
    SEARCH = 4
    START = 5
    JUDGE = 6


@dataclass(frozen=True)
class Case:
    """One target.

    Attributes:
        name: unique in its suite.
        part: `random`, `bank` or `recordings`; parts have tables of their own.
        audio: `[n]`.
        window: `[n]`, see `ddsprl.fitting.core.problem.Target`.
        note: at which candidates are played.
        true_note: at which the target was played; None for recordings.
        u: true knob positions `[d]`; None for recordings.
        note_renders: spent on estimating the note, besides the library.
        note_pages: of the library that were opened for it, see `ddsprl.fitting.starts.registry.page_work`.
    """

    name: str
    part: str
    audio: np.ndarray
    window: np.ndarray
    note: Note
    true_note: Note | None
    u: np.ndarray | None
    note_renders: int = 0
    note_pages: tuple[SharedWork, ...] = ()


class Suite(NamedTuple):
    """All targets.

    Attributes:
        cases: in order; those of one part stand together.
        rejected: presets that were too quiet, by part.
    """

    cases: tuple[Case, ...]
    rejected: dict[str, int]


class _Draw(NamedTuple):
    """Presets at notes, `[m, ...]`; `heard` where loud enough."""

    u: np.ndarray
    midi: np.ndarray
    gate_s: np.ndarray
    audio: np.ndarray
    heard: np.ndarray


def preset_suite(synth: Instrument, *, parts: tuple[str, ...], count: int | None, seed: int) -> Suite:
    """Targets with a known preset.

    Args:
        synth: the instrument.
        parts: of `random` and `bank`.
        count: most targets of each part; 64 random ones and the whole bank if None.
        seed: of the comparison.
    """
    cases: list[Case] = []
    rejected: dict[str, int] = {}
    if "random" in parts:
        found, rejected["random"] = _random_cases(synth, BLOCK if count is None else count, seed)
        cases += found
    if "bank" in parts:
        found, rejected["bank"] = _bank_cases(synth, count, seed)
        cases += found
    return Suite(tuple(cases), rejected)


def make_suite(settings: TargetSettings, seed: int, inverter_of: Callable[[float], Inverter]) -> Suite:
    """All targets of a comparison.

    Args:
        settings: which ones.
        seed: of the comparison.
        inverter_of: the programs and the library of clips of a length in seconds.

    Raises:
        UserError: a recording cannot be used, or too few presets can be heard.
    """
    if settings.suite == "recordings":
        return recording_suite(settings, seed, inverter_of)
    inverter = inverter_of(settings.seconds)
    parts = SUITES[settings.suite]
    suite = preset_suite(inverter.problem.instrument, parts=parts, count=settings.count, seed=seed)
    if settings.notes == "given":
        return suite
    return suite._replace(cases=tuple(estimated(case, inverter, seed=seed) for case in suite.cases))


def recording_suite(settings: TargetSettings, seed: int, inverter_of: Callable[[float], Inverter]) -> Suite:
    """Recordings of a folder; notes from its `manifest.json` where given, estimated elsewhere.

    Raises:
        UserError: a file or the manifest cannot be used.
    """
    known = _manifest(settings.folder) if settings.notes == "given" else {}
    cases = []
    for file in recordings_of(settings.folder)[: settings.count]:
        note = known.get(file.name, {})
        clip = load_audio(file, sample_rate=settings.sample_rate)
        heard = ready(clip, midi=note.get("midi"), gate_s=note.get("gate_s"), max_s=settings.max_seconds)
        inverter = inverter_of(heard.duration_s)
        midi = choose_pitch(heard, inverter, stream(seed, Stream.NOTE, file.stem))
        played = Note(float(midi), float(heard.gate_s), 1.0)
        tried = _tried(heard.midi, float(heard.gate_s), inverter)
        cases.append(Case(file.stem, "recordings", heard.audio, heard.window, played, None, None, *tried))
    return Suite(tuple(cases), {})


def estimated(case: Case, inverter: Inverter, *, seed: int) -> Case:
    """A case with its note estimated from the sound."""
    rate = inverter.problem.instrument.sample_rate
    gate_s = float(estimate_gate(case.audio, rate))
    pitches, _ = pitch_hypotheses(case.audio, rate)
    key = stream(seed, Stream.NOTE, case.name)
    midi = float(most_plausible(case.audio, pitches, gate_s, inverter, key))
    renders, pages = _tried(pitches, gate_s, inverter)
    note = Note(midi, gate_s, 1.0)
    return dataclasses.replace(case, note=note, note_renders=renders, note_pages=pages)


def _tried(
    pitches: tuple[float, ...], gate_s: float, inverter: Inverter
) -> tuple[int, tuple[SharedWork, ...]]:
    """Renders and pages that choosing among some pitches took; a pitch that is sure takes none."""
    if len(pitches) == 1:
        return 0, ()
    pages = tuple(page_work(inverter.library, midi, gate_s) for midi in pitches)
    return len(pitches) * inverter.config.candidates, pages


def _random_cases(synth: Instrument, count: int, seed: int) -> tuple[list[Case], int]:
    draw, cases, rejected = _drawer(synth), [], 0
    for block in range(64):
        key = stream(seed, Stream.TARGET, "random", block)
        knobs = jax.random.uniform(named(key, "knobs")[0], (BLOCK, synth.n_params))
        drawn = draw(synth.snap(knobs), key)
        for i in range(BLOCK):
            if len(cases) == count:
                return cases, rejected
            if drawn.heard[i]:
                cases.append(_case(f"random-{len(cases):03d}", "random", drawn, i))
            else:
                rejected += 1
    raise UserError(f"--targets is {count}, of {64 * BLOCK} random presets only {len(cases)} can be heard")


def _bank_cases(synth: Instrument, count: int | None, seed: int) -> tuple[list[Case], int]:
    presets = [p for p in load_bank(shipped_presets_dir()) if p.instrument == synth.name]
    if not presets:
        return [], 0
    knobs = np.stack([preset.to_unit() for preset in presets])
    drawn = _drawer(synth)(knobs, stream(seed, Stream.TARGET, "bank"))
    heard = [i for i in range(len(presets)) if drawn.heard[i]]
    kept = heard[:count]
    seen = kept[-1] + 1 if count is not None and len(kept) == count and kept else len(presets)
    names = [preset.name.lower().replace(" ", "-") for preset in presets]
    return [_case(f"bank-{names[i]}", "bank", drawn, i) for i in kept], seen - len(kept)


def _drawer(synth: Instrument):
    """Presets `[m, d]` rendered at seeded notes."""

    def one(u, midi, gate_s, key):
        sound = synth.render(u, Note(midi, gate_s, 1.0), key)
        return sound, ungated_loudness(sound, synth.sample_rate) > QUIETEST_LUFS

    render = jax.jit(lambda *parts: in_chunks(one, BLOCK, *parts))

    def draw(u, key) -> _Draw:
        pitch, gate, noise = named(key, "pitch", "gate", "noise")
        midi = jax.random.uniform(pitch, (len(u),), minval=MIDI_RANGE[0], maxval=MIDI_RANGE[1])
        gate_s = jax.random.uniform(gate, (len(u),), minval=GATE_RANGE_S[0], maxval=GATE_RANGE_S[1])
        sound, heard = render(jnp.asarray(u, jnp.float32), midi, gate_s, jax.random.split(noise, len(u)))
        return _Draw(*(np.asarray(x) for x in (u, midi, gate_s, sound, heard)))

    return draw


def _case(name: str, part: str, drawn: _Draw, i: int) -> Case:
    note = Note(float(drawn.midi[i]), float(drawn.gate_s[i]), 1.0)
    audio = np.asarray(drawn.audio[i], np.float32)
    return Case(name, part, audio, np.ones_like(audio), note, note, np.asarray(drawn.u[i], np.float32))


def recordings_of(folder: Path) -> list[Path]:
    """Audio files of a folder, by name.

    Raises:
        UserError: no such folder, none in it, or two of one name but for the extension.
    """
    if not folder.is_dir():
        raise UserError(f"--folder: {folder} is not a directory")
    return expand_inputs([folder])


def _manifest(folder: Path) -> dict[str, dict]:
    """Midi and gate by file name."""
    path = folder / MANIFEST
    if not path.is_file():
        return {}
    try:
        entries = json.loads(path.read_text(encoding="utf-8"))
        known = {str(entry["file"]): entry for entry in entries}
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise UserError(f"{path}: must be a list of objects with file, midi and gate_s ({error})") from error
    for name, entry in known.items():
        for field, low, high in (("midi", 0.0, 127.0), ("gate_s", 0.0, 10.0)):
            value = entry.get(field)
            if value is not None:
                where = f"{path}: {name}: {field}"
                entry[field] = of_kind(value, float, where)
                within(where, entry[field], low, high)
    return known
