"""JSON Schema of preset files, generated from an instrument's table."""

from typing import Any

from synth_jax.instrument import Instrument
from synth_jax.instruments import DEFAULT_INSTRUMENT
from synth_jax.params import ParamSpec
from synth_jax.preset_rules import FORMAT, NOTE_FIELDS, REQUIRED, VERSION, resolve_instrument


def preset_schema(instrument: str | Instrument = DEFAULT_INSTRUMENT) -> dict[str, Any]:
    """JSON Schema (draft 2020-12) of an instrument's preset files, generated from its table."""
    name, table = resolve_instrument(instrument)
    text = {"type": "string"}
    named = text | {"pattern": r"\S"}
    notes = {
        key: {"type": "number", "minimum": low, "maximum": high}
        for key, (low, high, *_) in NOTE_FIELDS.items()
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": f"{name} preset",
        "type": "object",
        "required": list(REQUIRED),
        "additionalProperties": False,
        "properties": {
            "format": {"const": FORMAT},
            "version": {"const": VERSION},
            "instrument": {"const": name},
            "name": named,
            "tags": {"type": "array", "items": named},
            "note": {
                "type": "object",
                "required": [key for key, field in NOTE_FIELDS.items() if field[3]],
                "additionalProperties": False,
                "properties": notes,
            },
            "comment": text,
            "source": text,
            "params": {
                "type": "object",
                "required": [spec.name for spec in table],
                "additionalProperties": False,
                "properties": {spec.name: _knob_schema(spec) for spec in table},
            },
        },
    }


def _knob_schema(spec: ParamSpec) -> dict[str, Any]:
    number = int if spec.integer else float
    return {
        "type": "integer" if spec.integer else "number",
        "minimum": number(spec.low),
        "maximum": number(spec.high),
        "default": number(spec.default),
        "description": f"{spec.help or spec.name} [{spec.unit}]" if spec.unit else spec.help or spec.name,
    }
