"""The committed reference pages and schemas are those that the tables give."""

import json
import re
from pathlib import Path

import pytest

import synth_jax
from synth_jax.docs import main, pages
from synth_jax.instruments import INSTRUMENTS
from synth_jax.presets import shipped_presets_dir

DOCS = Path(__file__).parents[2] / "docs"


@pytest.mark.parametrize("name", INSTRUMENTS)
def test_committed_pages_are_current(name):
    for file_name, text in pages(name).items():
        assert (DOCS / file_name).read_text(encoding="utf-8") == text, "run python -m synth_jax.docs"


def test_the_command_writes_every_page(tmp_path, capsys):
    main([str(tmp_path / "out")])
    written = {path.name for path in (tmp_path / "out").iterdir()}
    assert written == {name + end for name in INSTRUMENTS for end in (".md", ".schema.json")}
    assert len(capsys.readouterr().out.splitlines()) == len(written)


@pytest.mark.parametrize("name", INSTRUMENTS)
def test_a_page_has_a_row_for_each_knob(name):
    table = INSTRUMENTS[name]().table
    rows = re.findall(r"^\| (\d+) \| `(\w+)` \| (\S+) to (\S+) \|", pages(name)[f"{name}.md"], re.MULTILINE)
    assert [row[1] for row in rows] == [spec.name for spec in table]
    for (number, _, low, high), (i, spec) in zip(rows, enumerate(table, start=1), strict=True):
        assert (int(number), float(low), float(high)) == (i, spec.low, spec.high)


def test_the_schema_is_closed_and_follows_the_table():
    synth = synth_jax.serum_lite()
    schema = synth_jax.preset_schema(synth)
    assert schema == synth_jax.preset_schema("serum_lite")
    knobs = schema["properties"]["params"]
    assert knobs["required"] == [spec.name for spec in synth.table] == list(knobs["properties"])
    assert not schema["additionalProperties"]
    assert not knobs["additionalProperties"]
    assert knobs["properties"]["osc1_unison"]["type"] == "integer"
    assert knobs["properties"]["filter_cutoff"] == {
        "type": "number",
        "minimum": 30.0,
        "maximum": 20_000.0,
        "default": pytest.approx(774.597, abs=1e-3),
        "description": "low-pass [Hz]",
    }
    with pytest.raises(synth_jax.PresetError, match="did you mean 'serum_lite'"):
        synth_jax.preset_schema("serum")


def test_a_validator_agrees_with_the_loader(tmp_path):
    jsonschema = pytest.importorskip("jsonschema")
    schema = synth_jax.preset_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema)
    files = sorted(shipped_presets_dir().glob("*.json"))
    for path in files:
        validator.validate(json.loads(path.read_text()))
    good = json.loads(files[0].read_text())
    wrong = [
        good | {"format": "x"},
        good | {"version": 2},
        good | {"version": True},
        good | {"name": "  "},
        good | {"tags": "a"},
        good | {"extra": 1},
        good | {"note": {"midi": 60}},
        {key: value for key, value in good.items() if key != "tags"},
        good | {"params": good["params"] | {"lfo_rate": 20}},
        good | {"params": good["params"] | {"osc1_unison": 1.5}},
        good | {"params": good["params"] | {"osc1_level": True}},
        good | {"params": good["params"] | {"osc1_level": "1"}},
        good | {"params": {}},
    ]
    for document in wrong:
        (tmp_path / "a.json").write_text(json.dumps(document))
        assert not validator.is_valid(document)
        with pytest.raises(synth_jax.PresetError):
            synth_jax.load_preset(tmp_path / "a.json")
