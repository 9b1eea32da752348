"""Findings on disk: they come back as they were, and what is damaged or of another run is not used."""

from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest
import soundfile

from ddsprl.matching.results import Finding, report_contents, write_finding
from ddsprl.matching.stored import FOLDER, StoredFindings
from synth_jax import load_preset, serum_lite

TERMS = {"mr": 0.5, "loud": 0.25}
NUMBERS = {
    "target": "a.wav",
    "loss": 0.75,
    "midi": 60.5,
    "gate_s": 0.1,
    "sample_rate": 8_000,
    "duration_s": 0.25,
    "instrument": "serum_lite",
    "interrupted": False,
    "input": {"sha256": "0"},
    "terms": TERMS,
    "random_reference": {"count": 512, "loss": 2.0, "terms": TERMS},
    "curve": {"renders": [64, 128, 192], "loss": [3.0, 1.0, 1.0], "snapped": [True, True, True]},
    "monitor": {"renders": [128, 192], "verdict": ["plateau", "stable"], "drift": [0.0, -0.5]},
    "presets": [{"file": "preset.json", "loss": 0.75}, {"file": "preset_2.json", "loss": 1.0}],
    "sensitivity": {"rise": {"filter_cutoff": 0.5, "osc1_level": 0.0}, "step": 0.05},
    "reach": {"sentence": "matched better than all others: within reach", "verdict": "within reach"},
    "posterior": None,
}


def finding(name: str = "a") -> Finding:
    rng = np.random.default_rng(len(name))
    knobs = np.asarray(serum_lite(8_000, 0.25).snap(jnp.asarray(rng.uniform(size=(2, 25)), jnp.float32)))
    sounds = 0.1 * rng.normal(size=(2, 2_000)).astype(np.float32)
    return Finding(name, NUMBERS, knobs, *sounds)


def same(one: Finding, other: Finding) -> bool:
    arrays = all(np.array_equal(a, b) for a, b in zip(one[2:], other[2:], strict=True))
    return (
        one[:2] == other[:2]
        and arrays
        and all(a.dtype == b.dtype for a, b in zip(one[2:], other[2:], strict=True))
    )


def test_they_come_back_as_they_were(tmp_path):
    stored = StoredFindings(tmp_path, "run")
    path = stored.keep([finding("a"), finding("name\udcff")])
    assert [p.name for p in (tmp_path / FOLDER).iterdir()] == [path.name]
    (kept,) = StoredFindings(tmp_path, "run").found()
    assert kept.path == path
    assert all(map(same, kept.findings, [finding("a"), finding("name\udcff")]))
    stored.drop(path)
    assert list(tmp_path.iterdir()) == []


def test_the_folder_stays_while_there_are_others(tmp_path):
    stored = StoredFindings(tmp_path, "run")
    first, second = stored.keep([finding()]), stored.keep([finding()])
    stored.drop(first)
    assert [kept.path for kept in stored.found()] == [second]


@pytest.mark.parametrize("damage", ["other run", "cut", "text", "left over"])
def test_what_cannot_be_used_is_removed(tmp_path, damage):
    path = StoredFindings(tmp_path, "another" if damage == "other run" else "run").keep([finding()])
    if damage == "cut":
        path.write_bytes(path.read_bytes()[:-200])
    elif damage == "text":
        path.write_text("this is no archive")
    elif damage == "left over":
        path.rename(path.with_name(f".{path.name}.01234567.partial")).write_bytes(b"PK")
    assert StoredFindings(tmp_path, "run").found() == []
    assert list(tmp_path.iterdir()) == []


def test_a_finding_is_all_that_is_written(tmp_path):
    drawn = []

    def draw(kind, contents):
        drawn.append((kind, contents))
        return b"picture"

    write_finding(tmp_path, finding(), draw)
    names = ["match.wav", "preset.json", "preset_2.json", "report.png", "result.json", "target.wav"]
    assert sorted(path.name for path in tmp_path.iterdir()) == names
    np.testing.assert_allclose(
        load_preset(tmp_path / "preset_2.json").to_unit(), finding().knobs[1], atol=1e-5
    )
    np.testing.assert_array_equal(soundfile.read(tmp_path / "match.wav", dtype="float32")[0], finding().match)
    ((kind, contents),) = drawn
    assert kind == "match"
    assert contents["course"]["curve"] == {"snapped": ([64, 128, 192], [3.0, 1.0, 1.0])}
    assert contents["course"]["verdicts"] == ([128, 192], ["plateau", "stable"])
    assert contents["heading"]["remark"] == "Matched better than all others: within reach."
    write_finding(Path(_made(tmp_path / "silent")), finding(), draw, report=False)
    assert len(drawn) == 1
    assert report_contents(finding())["course"]["references"] == {"best of 512 random": 2.0}


def _made(path: Path) -> Path:
    path.mkdir()
    return path
