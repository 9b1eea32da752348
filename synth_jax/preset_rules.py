"""The rules of preset files: what a JSON object must hold, and errors that say what is wrong with it.

Every message names the key, its value, what is allowed and, for a name, the nearest valid one; whoever knows
the file puts its name in front.
"""

import contextlib
import json
import math
import numbers
import reprlib
from collections.abc import Mapping, Sequence
from typing import Any

from synth_jax.excitation import Note
from synth_jax.instrument import MAX_DURATION_S, Instrument
from synth_jax.instruments import INSTRUMENTS
from synth_jax.params import Table, nearest_hint

FORMAT = "synth_jax-preset"
VERSION = 1
REQUIRED = ("format", "version", "instrument", "name", "tags", "params")
OPTIONAL = ("note", "comment", "source")
# Bounds of a note: name -> (low, high, unit, required).
NOTE_FIELDS = {
    "midi": (0.0, 127.0, "", True),
    "gate_s": (0.0, MAX_DURATION_S, " s", True),
    "velocity": (0.0, 2.0, "", False),
}


class PresetError(ValueError):
    """A preset that cannot be read, written or meant; the message is one line for the person who wrote it."""


def instrument_table(name: str) -> Table:
    """Knobs of a registered instrument.

    Raises:
        PresetError: no such instrument; the message names the nearest one.
    """
    if not isinstance(name, str) or name not in INSTRUMENTS:
        raise PresetError(f"instrument is {shown(name)}{nearest_hint(name, list(INSTRUMENTS))}")
    return INSTRUMENTS[name]().table


def flat_instrument() -> str:
    """The instrument whose presets the older flat form is of."""
    return next(name for name, make in INSTRUMENTS.items() if make().knowledge.flat_presets)


def resolve_instrument(instrument: str | Instrument) -> tuple[str, Table]:
    """Name and knobs of an instrument, or of a registry name."""
    if isinstance(instrument, Instrument):
        return instrument.name, instrument.table
    return instrument, instrument_table(instrument)


def check_params(values: Any, table: Table) -> dict[str, float]:
    """Physical values in table order: every knob of the table, none other, each in its range."""
    check_keys(values, [spec.name for spec in table], what="knob", where="params")
    checked = {}
    for spec in table:
        unit = f" {spec.unit}" if spec.unit else ""
        value = check_number(spec.name, values[spec.name], spec.low, spec.high, unit, whole=spec.integer)
        checked[spec.name] = round(value) if spec.integer else value
    return checked


def check_number(
    key: str, value: Any, low: float, high: float, unit: str = "", *, whole: bool = False
) -> float:
    """The number as a float, if it is a finite one in the closed range."""
    # np.float32 is a Real and no float. The range comes before float(), which overflows on a thousand digits.
    if isinstance(value, numbers.Real) and not isinstance(value, bool):
        number: Any = value
        if low <= number <= high and (not whole or number == math.floor(number)):
            return float(number)
    kind = "whole numbers" if whole else "numbers"
    raise PresetError(f"{key} is {shown(value)}, allowed: {kind} from {low:g} to {high:g}{unit}")


def check_keys(
    found: Any, required: Sequence[str], optional: Sequence[str] = (), *, what: str, where: str
) -> None:
    """Exactly the required keys, and of the optional ones what there is."""
    if not isinstance(found, Mapping):
        raise PresetError(
            f"{where} is {shown(found)}, allowed: an object with the keys {', '.join(required)}"
        )
    allowed = [*required, *optional]
    unknown = [key for key in found if key not in allowed]
    missing = [key for key in required if key not in found]
    if unknown:
        # A misspelt key is missing as well: the nearest of the missing ones is the likeliest.
        raise PresetError(
            f"unknown {what} {shown(unknown[0])} in {where}{nearest_hint(unknown[0], missing or allowed)}"
        )
    if missing:
        more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
        raise PresetError(
            f"{what} {missing[0]!r}{more} missing from {where}, required: {', '.join(required)}"
        )


def check_text(key: str, value: Any, *, empty: bool = False) -> str:
    """The text, which may be blank only if `empty`."""
    if isinstance(value, str) and (empty or value.strip()):
        return value
    raise PresetError(f"{key} is {shown(value)}, allowed: {'text' if empty else 'text that is not blank'}")


def shown(value: Any) -> str:
    """A value as in JSON, on one line and not long."""
    if isinstance(value, numbers.Real | str | None):
        with contextlib.suppress(ValueError, TypeError):
            text = json.dumps(value, ensure_ascii=False)
            return text if len(text) <= 60 else f"{text[:57]}..."
    return reprlib.repr(value)


def check_note(found: Any) -> Note:
    """The note of a preset."""
    required = [key for key, (*_, needed) in NOTE_FIELDS.items() if needed]
    check_keys(found, required, [key for key in NOTE_FIELDS if key not in required], what="key", where="note")
    return Note(
        **{
            key: check_number(f"note.{key}", found[key], *NOTE_FIELDS[key][:3])
            for key in NOTE_FIELDS
            if key in found
        }
    )


def parse_json(text: str) -> Any:
    """Parsed JSON in which no key comes twice."""
    try:
        return json.loads(text, object_pairs_hook=_unique)
    except PresetError:
        raise
    except (ValueError, RecursionError) as error:
        raise PresetError(f"not JSON: {error}") from None


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object whose keys are all different: json would silently keep the last."""
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            values = f"{shown(found[key])} and {shown(value)}"
            raise PresetError(f"{shown(key)} is given twice, as {values}, allowed: every key once")
        found[key] = value
    return found
