"""Preset files: round trips, the flat form, and every way to be wrong."""

import dataclasses
import json
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import synth_jax
from synth_jax import Note, Preset, PresetError, load_preset, preset_from_unit, save_preset
from synth_jax.instruments import INSTRUMENTS
from synth_jax.instruments.serum_lite import NAMES, TABLE
from synth_jax.params import snap
from synth_jax.presets import load_bank

VALUES = {spec.name: spec.default for spec in TABLE}
NESTED = "[" * 100_000


def document(**changes):
    """A valid file's object with top-level keys replaced; None removes one."""
    base = {
        "format": "synth_jax-preset",
        "version": 1,
        "instrument": "serum_lite",
        "name": "Test",
        "tags": ["bass"],
        "params": VALUES,
    }
    return {key: value for key, value in (base | changes).items() if value is not None}


def params(**changes):
    return document(params={key: value for key, value in (VALUES | changes).items() if value is not None})


def write(path, content):
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def random_positions(table, count):
    """Snapped random knob positions with the corners in front, float32 `[count, d]`."""
    d = len(table)
    u = np.random.default_rng(5).random((count, d), np.float32)
    u[0], u[1], u[2], u[3] = 0.0, 1.0, 0.5, np.nextafter(np.float32(1.0), np.float32(0.0))
    return np.asarray(snap(jnp.asarray(u), table))


@pytest.mark.parametrize("name", INSTRUMENTS)
def test_positions_come_back_from_a_file(name, tmp_path):
    table = INSTRUMENTS[name]().table
    whole = np.array([spec.integer for spec in table])
    for u in random_positions(table, 40):
        path = tmp_path / "a.json"
        save_preset(path, preset_from_unit(u, name, name="a"))
        back = load_preset(path).to_unit()
        assert back.dtype == np.float32
        np.testing.assert_array_equal(back[~whole], u[~whole])
        # A straight-through snap is x + (snapped - x), half a unit in the last place off.
        np.testing.assert_allclose(back[whole], u[whole], rtol=0, atol=1e-7)
        np.testing.assert_array_equal(preset_from_unit(back, name, name="b").to_unit(), back)


def test_a_file_sounds_as_the_knobs_did(tmp_path):
    synth = synth_jax.serum_lite(16_000, 0.25)
    render = jax.jit(jax.vmap(synth.render, (0, None, None)))
    u = random_positions(TABLE, 16)
    for i, position in enumerate(u):
        save_preset(tmp_path / f"{i:02}.json", preset_from_unit(position, synth, name=str(i)))
    back = np.stack([preset.to_unit(synth.table) for preset in load_bank(tmp_path)])
    note, key = Note(57.3, 0.15), jax.random.key(0)
    sound = render(u, note, key)
    assert float(jnp.max(jnp.abs(sound))) > 0.1
    np.testing.assert_allclose(render(back, note, key), sound, rtol=0, atol=1e-5)


def test_everything_in_a_preset_comes_back(tmp_path):
    preset = Preset(
        name="Übung №1",
        tags=("lead", "odd"),
        values=VALUES | {"osc1_unison": 3, "filter_cutoff": 1234.5},
        note=Note(60.25, 0.3, 0.5),
        comment="free text\nin two lines",
        source="a recording",
    )
    save_preset(tmp_path / "a.json", preset)
    assert load_preset(str(tmp_path / "a.json")) == preset
    save_preset(tmp_path / "b.json", load_preset(tmp_path / "a.json"))
    assert (tmp_path / "a.json").read_bytes() == (tmp_path / "b.json").read_bytes()


def test_array_scalars_are_written_as_numbers(tmp_path):
    values: Any = {name: np.float32(value) for name, value in VALUES.items()}
    values["osc1_unison"] = jnp.asarray(2)
    save_preset(
        tmp_path / "a.json", Preset(name="a", values=values, note=Note(jnp.asarray(60.5), np.float64(0.25)))
    )
    loaded = load_preset(tmp_path / "a.json")
    assert loaded.note == Note(60.5, 0.25)
    assert loaded.values["osc1_unison"] == 2
    assert isinstance(json.loads((tmp_path / "a.json").read_text())["params"]["osc1_unison"], int)


def test_the_flat_form_is_snapped_and_named_after_its_file(tmp_path):
    u = np.random.default_rng(0).random(25)
    preset = load_preset(write(tmp_path / "old-lead.json", dict(zip(NAMES, u.tolist(), strict=True))))
    assert (preset.name, preset.instrument, preset.tags) == ("old-lead", "serum_lite", ())
    expected = snap(jnp.asarray(u, jnp.float32), TABLE)
    np.testing.assert_allclose(preset.to_unit(), expected, rtol=0, atol=1e-7)
    assert preset.values["osc1_unison"] == round(1 + 6 * u[1])


def test_positions_outside_are_clipped_and_bad_ones_refused():
    u = np.full(25, 1.5)
    assert preset_from_unit(u, "serum_lite", name="a").values["filter_cutoff"] == 20_000.0
    u[10] = np.nan
    with pytest.raises(PresetError, match="filter_cutoff is at nan"):
        preset_from_unit(u, "serum_lite", name="a")
    with pytest.raises(PresetError, match=r"shape \(3,\), serum_lite takes \(25,\)"):
        preset_from_unit(np.zeros(3), "serum_lite", name="a")
    with pytest.raises(PresetError, match="did you mean 'sine'"):
        preset_from_unit(np.zeros(3), "sin", name="a")
    with pytest.raises(PresetError, match="'x': filter_cutoff is 1.0, allowed: numbers from 30 to 20000 Hz"):
        Preset(name="x", values=VALUES | {"filter_cutoff": 1.0}).to_unit()


# What is in the file, and what the one line has to say besides the file's name.
WRONG = {
    "misspelt knob": (params(filter_cutof=1, filter_cutoff=None), ['"filter_cutof"', "mean 'filter_cutoff'"]),
    "additional knob": (params(lfo_rat=1), ['"lfo_rat"', "mean 'lfo_rate'"]),
    "missing knob": (params(lfo_rate=None), ["'lfo_rate' missing from params", "lfo_amount"]),
    "too high": (params(filter_cutoff=25000), ["filter_cutoff is 25000", "30 to 20000 Hz"]),
    "too low": (params(osc2_semitone_offset=-12.5), ["osc2_semitone_offset is -12.5", "-12 to 12"]),
    "nan": (params(lfo_rate=float("nan")), ["lfo_rate is NaN", "0.05 to 15 Hz"]),
    "infinity": (params(lfo_rate=float("inf")), ["lfo_rate is Infinity", "0.05 to 15 Hz"]),
    "overflow": (json.dumps(params()).replace("774.5966692414834", "1e999"), ["filter_cutoff is Infinity"]),
    "huge": (params(filter_cutoff=10**400), ["filter_cutoff is 1000", "...", "30 to 20000 Hz"]),
    "not whole": (params(osc1_unison=2.5), ["osc1_unison is 2.5", "whole numbers from 1 to 7"]),
    "true": (params(osc1_level=True), ["osc1_level is true", "0 to 1"]),
    "text": (params(osc1_level="0.5"), ['osc1_level is "0.5"', "0 to 1"]),
    "null": (document(params=VALUES | {"osc1_level": None}), ["osc1_level is null", "0 to 1"]),
    "list": (params(osc1_level=[1]), ["osc1_level is [1]", "0 to 1"]),
    "doubled knob": ('{"params": {"lfo_rate": 1, "lfo_rate": 2}}', ['"lfo_rate" is given twice, as 1 and 2']),
    "doubled key": ('{"name": "a", "name": "b"}', ['"name" is given twice', "every key once"]),
    "not JSON": ("{", ["not JSON", "line 1"]),
    "empty": ("", ["not JSON"]),
    "nested": (NESTED, ["not JSON"]),
    "an array": ([1], ["the preset is [1]", "params"]),
    "params not an object": (document(params=[]), ["params is []", "an object", "osc1_wave_morph"]),
    "format": (document(format="synth-preset"), ['format is "synth-preset"', '"synth_jax-preset"']),
    "no format": (document(format=None), ["'format' missing", "version"]),
    "version": (document(version=2), ["version is 2, allowed: 1"]),
    "version true": (document(version=True), ["version is true, allowed: 1"]),
    "instrument": (document(instrument="serum_light"), ['"serum_light"', "mean 'serum_lite'"]),
    "instrument type": (document(instrument=3), ["instrument is 3"]),
    "misspelt key": (document(tag=["a"], tags=None), ['"tag"', "mean 'tags'"]),
    "name": (document(name=" "), ['name is " "', "not blank"]),
    "tags": (document(tags="bass"), ['tags is "bass"', "list"]),
    "tag": (document(tags=["bass", 3]), ["tags[1] is 3"]),
    "comment": (document(comment=3), ["comment is 3", "text"]),
    "note": (document(note=60), ["note is 60", "midi"]),
    "note key": (document(note={"midi": 60, "gate": 1}), ['"gate" in note', "mean 'gate_s'"]),
    "note missing": (document(note={"midi": 60}), ["'gate_s' missing from note"]),
    "note range": (document(note={"midi": 128, "gate_s": 1}), ["note.midi is 128", "0 to 127"]),
    "flat unknown": (dict.fromkeys(NAMES, 0.5) | {"osc3_level": 0.5}, ['"osc3_level"', "level'"]),
    "flat missing": (dict.fromkeys(NAMES[1:], 0.5), ["'osc1_wave_morph' missing", "osc1_unison"]),
    "flat range": (dict.fromkeys(NAMES, 0.5) | {"lfo_rate": 5}, ["lfo_rate is 5", "0 to 1"]),
    "nothing": ({}, ["'osc1_wave_morph' and 24 more missing"]),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_file_is_one_line_that_names_it(case, tmp_path):
    content, expected = WRONG[case]
    path = write(tmp_path / "wrong-one.json", content)
    with pytest.raises(PresetError) as caught:
        load_preset(path)
    message = str(caught.value)
    assert "\n" not in message
    for part in (str(path), *expected):
        assert part in message


def test_files_that_cannot_be_read(tmp_path):
    write(tmp_path / "warm-pad.json", document())
    with pytest.raises(PresetError, match=r"warmpad\.json: no such file; did you mean 'warm-pad\.json'"):
        load_preset(tmp_path / "warmpad.json")
    with pytest.raises(PresetError, match="no such file$"):
        load_preset(tmp_path / "nowhere" / "a.json")
    with pytest.raises(PresetError, match="cannot read"):
        load_preset(tmp_path)
    (tmp_path / "latin.json").write_bytes(b'{"name": "\xe9"}')
    with pytest.raises(PresetError, match="not UTF-8"):
        load_preset(tmp_path / "latin.json")
    (tmp_path / "marked.json").write_text("\ufeff" + json.dumps(document()), encoding="utf-8")
    assert load_preset(tmp_path / "marked.json").name == "Test"


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"values": VALUES | {"lfo_rate": 99.0}}, "lfo_rate is 99.0"),
        ({"values": VALUES | {"osc1_unison": 1.5}}, "osc1_unison is 1.5"),
        ({"values": VALUES | {"lfo_rate": float("nan")}}, "lfo_rate is NaN"),
        ({"values": {}}, "and 24 more missing"),
        ({"instrument": "sine"}, "unknown knob"),
        ({"note": Note(200.0, 1.0)}, "note.midi is 200"),
        ({"name": ""}, 'name is ""'),
        ({"tags": (1,)}, "tags.0. is 1"),
        ({"comment": None}, "comment is null"),
    ],
)
def test_an_invalid_preset_is_never_written(change, expected, tmp_path):
    path = tmp_path / "kept.json"
    good = Preset(name="good", values=VALUES)
    save_preset(path, good)
    with pytest.raises(PresetError, match=rf"kept\.json: .*{expected}"):
        save_preset(path, dataclasses.replace(good, **change))
    assert load_preset(path) == good
    assert [p.name for p in tmp_path.iterdir()] == ["kept.json"]


def test_a_failed_write_leaves_the_old_file_and_no_draft(tmp_path, monkeypatch):
    path = tmp_path / "kept.json"
    good = Preset(name="good", values=VALUES)
    save_preset(path, good)

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("synth_jax.presets.os.fsync", full)
    with pytest.raises(PresetError, match=r"kept\.json: cannot write: No space left"):
        save_preset(path, dataclasses.replace(good, name="new"))
    assert load_preset(path).name == "good"
    assert [p.name for p in tmp_path.iterdir()] == ["kept.json"]
    with pytest.raises(PresetError, match="cannot write"):
        save_preset(tmp_path / "nowhere" / "a.json", good)


def test_a_bank_has_each_name_once(tmp_path):
    with pytest.raises(PresetError, match="no such folder"):
        load_bank(tmp_path / "nowhere")
    with pytest.raises(PresetError, match="holds no presets"):
        load_bank(tmp_path)
    write(tmp_path / "a.json", document())
    write(tmp_path / "b.json", document())
    with pytest.raises(PresetError, match=r"b\.json: name 'Test' is taken by a\.json"):
        load_bank(tmp_path)
    write(tmp_path / "b.json", document(name="Other"))
    assert [preset.name for preset in load_bank(tmp_path)] == ["Test", "Other"]
