"""Writes the reference pages of the instruments: `python -m synth_jax.docs [FOLDER]`.

For every registered instrument `<name>.md`, its knobs as a table, and `<name>.schema.json`, the JSON Schema
of its presets. Both come from the table of knobs alone.
"""

import argparse
import json
from pathlib import Path

from synth_jax.instruments import INSTRUMENTS
from synth_jax.params import ParamSpec, Table
from synth_jax.preset_rules import FORMAT, VERSION, instrument_table
from synth_jax.schema import preset_schema

COLUMNS = ("#", "name", "range", "unit", "scale", "default", "module", "help")

PAGE = """\
# Instrument `{name}`

Written by `python -m synth_jax.docs`; edit the table in the code, not this page.

{count} knobs, in the order of the knob vector. A position u in [0, 1] is `low + (high - low) u` on a `lin`
knob and `low (high / low)^u` on a `log` knob; an `integer` knob is `lin` and snaps to whole numbers.

{table}

## Presets

A preset is a JSON object with `"format": "{format}"`, `"version": {version}`, `"instrument": "{name}"`, a
`name`, a list of `tags`, and `params`: one physical value for each knob above. `note` (`midi`, `gate_s`,
`velocity`), `comment` and `source` are optional; other keys are errors. The [JSON Schema]({name}.schema.json)
says the same to a validator.
"""


def knob_table(table: Table) -> str:
    """The knobs as a Markdown table, one row each."""
    rows = [COLUMNS, ("---",) * len(COLUMNS), *(_row(i, spec) for i, spec in enumerate(table, start=1))]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def pages(name: str) -> dict[str, str]:
    """Reference files of a registered instrument: text by file name."""
    table = instrument_table(name)
    page = PAGE.format(name=name, count=len(table), table=knob_table(table), format=FORMAT, version=VERSION)
    schema = json.dumps(preset_schema(name), indent=2, ensure_ascii=False) + "\n"
    return {f"{name}.md": page, f"{name}.schema.json": schema}


def main(arguments: list[str] | None = None) -> None:
    """Write the pages of all instruments into a folder."""
    parser = argparse.ArgumentParser(description="Write the reference pages of the instruments.")
    parser.add_argument("folder", nargs="?", type=Path, default=Path("docs"), help="default: docs")
    folder = parser.parse_args(arguments).folder
    folder.mkdir(parents=True, exist_ok=True)
    for name in INSTRUMENTS:
        for file_name, text in pages(name).items():
            (folder / file_name).write_text(text, encoding="utf-8")
            print(folder / file_name)


def _row(number: int, spec: ParamSpec) -> tuple[str, ...]:
    return (
        str(number),
        f"`{spec.name}`",
        f"{spec.low:g} to {spec.high:g}",
        spec.unit,
        "integer" if spec.integer else spec.scale,
        f"{spec.default:.4g}",
        spec.module,
        spec.help,
    )


if __name__ == "__main__":
    main()
