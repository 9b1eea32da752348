"""Presets: knob vectors as JSON files with physical values by knob name.

    {"format": "synth_jax-preset", "version": 1, "instrument": "NAME", "name": "Warm pad",
     "tags": ["pad"], "note": {"midi": 57.0, "gate_s": 1.5}, "params": {"KNOB": 0.33, ...}}

`note` (where the sound is at home), `comment` and `source` are optional, everything else is required, and
anything else is an error. An older flat form also loads: an object of just the knob names of the instrument
that has such files (`Knowledge.flat_presets`), with positions in [0, 1].

A file carries as few digits as give back the same float32 knob positions, so a saved sound is bit for bit
the sound that was heard.
"""

import dataclasses
import json
import os
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np

from synth_jax.excitation import Note
from synth_jax.instrument import Instrument
from synth_jax.instruments import DEFAULT_INSTRUMENT
from synth_jax.params import ParamSpec, Table, nearest_hint, snap
from synth_jax.preset_rules import (
    FORMAT,
    OPTIONAL,
    REQUIRED,
    VERSION,
    PresetError,
    check_keys,
    check_note,
    check_number,
    check_params,
    check_text,
    flat_instrument,
    instrument_table,
    parse_json,
    resolve_instrument,
    shown,
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Preset:
    """A named sound of one instrument.

    Attributes:
        name: for people.
        instrument: registry name of the instrument whose knobs these are.
        tags: families and moods, such as `bass`.
        values: physical value by knob name, in the units of the instrument's table.
        note: pitch and gate at which the sound is at home, or was matched; None when it does not matter.
        comment: free text.
        source: where the sound comes from, free text.
    """

    name: str
    values: Mapping[str, float]
    instrument: str = DEFAULT_INSTRUMENT
    tags: tuple[str, ...] = ()
    note: Note | None = None
    comment: str = ""
    source: str = ""

    def to_unit(self, table: Table | None = None) -> np.ndarray:
        """Knob positions, float32 `[d]` in table order, discrete knobs on their choices.

        Args:
            table: the knobs; the registered instrument's own by default.

        Raises:
            PresetError: a value is unknown, missing or outside its range.
        """
        table = instrument_table(self.instrument) if table is None else table
        try:
            values = check_params(self.values, table)
        except PresetError as error:
            raise PresetError(f"preset {self.name!r}: {error}") from None
        return _unit_vector(values, table)


def preset_from_unit(
    u: Any,
    instrument: str | Instrument,
    *,
    name: str,
    tags: Sequence[str] = (),
    note: Note | None = None,
    comment: str = "",
    source: str = "",
) -> Preset:
    """The preset that sounds as the knob positions do once they are snapped.

    Args:
        u: knob positions `[d]`; positions outside [0, 1] are clipped, as the render does.
        instrument: an instrument, or its registry name.
        name: for people.
        tags: families and moods.
        note: pitch and gate at which the sound is at home.
        comment: free text.
        source: where the sound comes from.

    Raises:
        PresetError: `u` has another shape than the table or is not finite.
    """
    instrument_name, table = resolve_instrument(instrument)
    u = np.asarray(u, np.float32)
    if u.shape != (len(table),):
        raise PresetError(f"preset {name!r}: u has shape {u.shape}, {instrument_name} takes ({len(table)},)")
    for spec, position in zip(table, u, strict=True):
        if not np.isfinite(position):
            raise PresetError(f"preset {name!r}: {spec.name} is at {position}, allowed 0 to 1")
    snapped = np.asarray(snap(jnp.asarray(u, jnp.float32), table))
    values = {spec.name: _physical(spec, position) for spec, position in zip(table, snapped, strict=True)}
    note = None if note is None else Note(*(float(x) for x in note))
    return Preset(
        name=name,
        values=values,
        instrument=instrument_name,
        tags=tuple(tags),
        note=note,
        comment=comment,
        source=source,
    )


def load_preset(path: str | os.PathLike[str]) -> Preset:
    """Read a preset file, in today's form or the older flat one.

    Raises:
        PresetError: the file is missing or unreadable, not JSON, of another format, version or instrument,
            or has a key that is unknown, missing, doubled, of the wrong type or out of range.
    """
    path = Path(path)
    try:
        return _from_document(parse_json(_read(path)), stem=path.stem)
    except PresetError as error:
        raise PresetError(f"{path}: {error}") from None


def save_preset(path: str | os.PathLike[str], preset: Preset) -> None:
    """Write a preset file: all of it or nothing, and only if `load_preset` would accept it.

    An existing file is replaced in one step, so a reader never sees half a preset.

    Raises:
        PresetError: the preset is invalid or the file cannot be written.
    """
    path = Path(path)
    try:
        text = json.dumps(_to_document(preset), indent=2, ensure_ascii=False) + "\n"
        _replace(path, text)
    except PresetError as error:
        raise PresetError(f"{path}: {error}") from None
    except OSError as error:
        raise PresetError(f"{path}: cannot write: {error.strerror or error}") from None


def load_bank(directory: str | os.PathLike[str]) -> list[Preset]:
    """All `*.json` presets of a folder, by file name.

    Raises:
        PresetError: no such folder, no presets in it, a bad preset, or two of one name.
    """
    directory = Path(directory)
    if not directory.is_dir():
        raise PresetError(f"{directory}: no such folder of presets")
    files = {}
    bank = []
    for path in sorted(directory.glob("*.json")):
        preset = load_preset(path)
        if preset.name in files:
            raise PresetError(f"{path}: name {preset.name!r} is taken by {files[preset.name]}")
        files[preset.name] = path.name
        bank.append(preset)
    if not bank:
        raise PresetError(f"{directory}: holds no presets (*.json)")
    return bank


def shipped_presets_dir() -> Path:
    """Folder of the presets that come with the project, in a checkout and in an installed package.

    Raises:
        PresetError: the installation left them out.
    """
    installed = Path(str(resources.files("synth_jax"))) / "_presets"
    checkout = Path(__file__).resolve().parent.parent / "presets"
    for folder in (installed, checkout):
        if any(folder.glob("*.json")):
            return folder
    raise PresetError(f"{installed}: the presets are not installed")


def shipped_positions(instrument: str) -> np.ndarray:
    """Knob positions of the presets that come with an instrument, float32 `[b, d]`; b may be 0."""
    table = instrument_table(instrument)
    presets = [preset for preset in load_bank(shipped_presets_dir()) if preset.instrument == instrument]
    return np.array([preset.to_unit() for preset in presets], np.float32).reshape(-1, len(table))


def _physical(spec: ParamSpec, position: float) -> float:
    """Physical value with the fewest digits that give the same float32 position."""
    if spec.integer:
        return round(spec.to_physical(float(position)))
    # `low * ratio ** 1.0` may end a rounding error above `high`.
    exact = min(max(spec.to_physical(float(position)), spec.low), spec.high)
    for digits in range(4, 17):
        value = min(max(float(f"{exact:.{digits}g}"), spec.low), spec.high)
        if np.float32(spec.to_unit(value)) == np.float32(position):
            return value
    return exact


def _unit_vector(values: Mapping[str, float], table: Table) -> np.ndarray:
    u = np.array([spec.to_unit(values[spec.name]) for spec in table], np.float32)
    return np.clip(u, np.float32(0.0), np.float32(1.0))


def _to_document(preset: Preset) -> dict[str, Any]:
    """JSON object of a preset, checked by the same rules as a file."""
    document: dict[str, Any] = {
        "format": FORMAT,
        "version": VERSION,
        "instrument": preset.instrument,
        "name": preset.name,
        "tags": list(preset.tags),
    }
    if preset.note is not None:
        note = {key: _plain(value) for key, value in preset.note._asdict().items()}
        # The nominal velocity goes without saying.
        document["note"] = {key: value for key, value in note.items() if key != "velocity" or value != 1.0}
    document |= {key: text for key in ("comment", "source") if (text := getattr(preset, key)) != ""}
    document["params"] = {key: _plain(value) for key, value in preset.values.items()}
    # Checked values come in the order of the table, whole numbers as such.
    return document | {"params": dict(_from_document(document, stem="").values)}


def _plain(value: Any) -> Any:
    """The Python number in an array scalar; anything else as it is."""
    return value.item() if getattr(value, "shape", None) == () else value


def _from_document(document: Any, *, stem: str) -> Preset:
    """Preset of a parsed file; `stem` names a flat one."""
    if isinstance(document, Mapping) and not set(document) & {*REQUIRED, *OPTIONAL}:
        return _from_flat(document, name=stem)
    check_keys(document, REQUIRED, OPTIONAL, what="key", where="the preset")
    for key, expected in (("format", FORMAT), ("version", VERSION)):
        if document[key] != expected or isinstance(document[key], bool):
            raise PresetError(f"{key} is {shown(document[key])}, allowed: {json.dumps(expected)}")
    table = instrument_table(document["instrument"])
    tags = document["tags"]
    if not isinstance(tags, list):
        raise PresetError(f"tags is {shown(tags)}, allowed: a list of texts")
    return Preset(
        name=check_text("name", document["name"]),
        instrument=document["instrument"],
        tags=tuple(check_text(f"tags[{i}]", tag) for i, tag in enumerate(tags)),
        note=check_note(document["note"]) if "note" in document else None,
        comment=check_text("comment", document.get("comment", ""), empty=True),
        source=check_text("source", document.get("source", ""), empty=True),
        values=check_params(document["params"], table),
    )


def _from_flat(document: Mapping[str, Any], *, name: str) -> Preset:
    """Preset of the older form: positions in [0, 1] by knob name; whole-number knobs are snapped."""
    instrument = flat_instrument()
    table = instrument_table(instrument)
    check_keys(document, [spec.name for spec in table], what="knob", where="the flat preset")
    u = [check_number(spec.name, document[spec.name], 0.0, 1.0) for spec in table]
    return preset_from_unit(u, instrument, name=name)


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        siblings = sorted(p.name for p in path.parent.glob("*.json")) if path.parent.is_dir() else []
        hint = nearest_hint(path.name, siblings) if siblings else ""
        raise PresetError(f"no such file{hint}") from None
    except UnicodeDecodeError as error:
        raise PresetError(f"not UTF-8 text: {error.reason} at byte {error.start}") from None
    except OSError as error:
        raise PresetError(f"cannot read: {error.strerror or error}") from None


def _replace(path: Path, text: str) -> None:
    """Write beside the target, then rename over it."""
    draft = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with draft.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.replace(draft, path)
    finally:
        draft.unlink(missing_ok=True)
