"""A tiny comparison, really run: its files, that it goes on where it was cut, and what it refuses."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ddsprl import compare
from ddsprl.comparison.plan import Method
from ddsprl.comparison.searching import Searcher
from ddsprl.comparison.suites import Stream, preset_suite
from ddsprl.comparison.summary import summarise
from ddsprl.fitting.core.budget import GRADIENT_COST
from ddsprl.fitting.inversion.inverter import InversionConfig, Inverter, make_problem
from ddsprl.losses import Objective, ObjectiveConfig
from ddsprl.measuring.keys import stream
from ddsprl.plant import make_instrument

from .conftest import strict
from .test_summary import assert_self_contained

ROOT = Path(__file__).resolve().parents[2]
FILES = ["cells", "comparison.json", "curves.json", "curves.png", "report.html", "results.json", "table.md"]
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def results(finished) -> dict:
    return strict(finished[0] / "results.json")


def without_clocks(results: dict) -> dict:
    """Results without what a clock said."""
    kept = json.loads(json.dumps(results))
    for run in kept["runs"]:
        del run["seconds"]
    for method in kept["methods"].values():
        del method["compile_s"], method["gradient_cost"]
    for entry in kept["summary"]:
        for row in entry["methods"].values():
            del row["seconds"]
    return kept


def losses_of(out: Path) -> dict:
    """Curves against renders, by what they are of."""
    stored = strict(out / "curves.json")
    assert (stored["format"], stored["version"]) == ("ddsprl-comparison-curves", 1)
    return {
        (label, budget, seed, target): (curve["renders"], curve["loss"])
        for label, budgets in stored["curves"].items()
        for budget, seeds in budgets.items()
        for seed, targets in seeds.items()
        for target, curve in targets.items()
    }


def test_everything_is_there(finished, results):
    out = finished[0]
    assert sorted(path.name for path in out.iterdir()) == FILES
    assert not [path for path in out.rglob("*") if path.name.startswith(".")]
    assert len(results["runs"]) == 2 * 2
    for run in results["runs"]:
        assert run["charged"] == run["renders"] + GRADIENT_COST * run["gradients"] + run["shared"] == 64
        assert run["loss"] == pytest.approx(sum(run["terms"].values()), rel=1e-4)
        assert 0 <= run["parameter_error"] <= 1
        assert "curve" not in run
        assert run["failures"] == 0
        assert run["restarts"] is run["restored"] is run["backed_off"] is None  # neither method counts these
        assert {"mss", "wmfcc", "sot", "rms_cosine", "yardstick", "seconds"} <= set(run)
    for target in results["targets"]:
        assert set(target["references"]) == {"floor", "percent", "best_512", "best_4096"}
        assert target["references"]["floor"]["loss"] < target["references"]["best_4096"]["loss"]
    assert {"jax", "python", "ddsprl"} <= set(results["versions"]) and results["machine"]["cores"] >= 1
    cost = results["methods"]["adam"]["gradient_cost"][0]
    assert cost["batch"] == 2 and cost["measured"] > 0 and cost["charged"] == GRADIENT_COST


def test_every_run_has_its_curve(finished, results):
    found = losses_of(finished[0])
    assert set(found) == {(r["method"], "64", "0", r["target"]) for r in results["runs"]}
    for renders, loss in found.values():
        assert 1 <= len(loss) == len(renders) <= 64
        assert loss == sorted(loss, reverse=True)
        assert renders == sorted(renders) and renders[-1] <= 64
    # Whole numbers stay whole, measured ones are short.
    text = (finished[0] / "curves.json").read_text()
    numbers = re.findall(r"\d+\.\d+", text)
    assert numbers and all(len(x.replace(".", "").lstrip("0")) <= 5 for x in numbers)


def test_no_place_on_this_machine_is_named(finished):
    for name in ("results.json", "curves.json", "comparison.json", "table.md", "report.html"):
        text = (finished[0] / name).read_text()
        assert str(finished[0].parent) not in text and str(ROOT) not in text


def test_the_page_is_self_contained(finished):
    text = (finished[0] / "report.html").read_text()
    assert_self_contained(text)
    assert text.count("<audio") == 2 * 3


def test_the_table_is_recomputed_from_the_file(finished, results):
    assert summarise(results, ("adam", "random")) == results["summary"]
    table = (finished[0] / "table.md").read_text()
    for label in ("random", "adam"):
        ratios = []
        for target in results["targets"]:
            low, high = (target["references"][name]["loss"] for name in ("floor", "best_4096"))
            runs = [r for r in results["runs"] if (r["method"], r["target"]) == (label, target["name"])]
            ratios.append(np.mean([(r["loss"] - low) / (high - low) for r in runs]))
        row = next(line for line in table.splitlines() if line.startswith(f"| {label} "))
        assert row.split("|")[2].split()[0] == f"{np.median(ratios):.3f}"


def test_a_verdict_is_what_the_preset_sounds_like(finished, results):
    """Judged again from the stored knobs, one clip at a time, with keys of this test."""
    synth = make_instrument("serum_lite", 8_000, 0.25)
    judge = Objective(ObjectiveConfig(), 8_000)
    suite = preset_suite(synth, parts=("random",), count=2, seed=2026)
    heard = jax.jit(lambda u, note, key, audio: judge(synth.render(u, note, key), judge.prepare(audio)).total)
    for case, group in zip(suite.cases, ("g000", "g001"), strict=True):
        with np.load(finished[0] / "cells" / f"run-random-b64-s0-{group}.npz", allow_pickle=False) as stored:
            u = stored["u"][0]
        np.testing.assert_allclose(u, np.asarray(synth.snap(u)), atol=1e-6)
        again = [float(heard(u, case.note, jax.random.key(i), case.audio)) for i in range(8)]
        run = next(r for r in results["runs"] if (r["target"], r["method"]) == (case.name, "random"))
        assert run["loss"] == pytest.approx(np.mean(again), rel=0.05)


def test_a_second_run_does_nothing_again(finished, results, capsys):
    out, arguments = finished
    before = {path: path.stat().st_mtime_ns for path in (out / "cells").iterdir()}
    assert compare.main([*arguments, "--ratio", "adam", "random"]) == 0
    assert {path: path.stat().st_mtime_ns for path in (out / "cells").iterdir()} == before
    assert strict(out / "results.json") == results
    assert "## Random presets, budget 64" in capsys.readouterr().out


def test_a_cut_comparison_goes_on_to_the_same_result(finished, results, tmp_path):
    out, arguments = finished
    shutil.copytree(out, tmp_path / "out")
    for name in ("run-adam-b64-s0-g001.json", "field-adam-b64-s0.json", "references-g000.json"):
        (tmp_path / "out" / "cells" / name).unlink()
    (tmp_path / "out" / "results.json").unlink()
    again = [*arguments, "--out", str(tmp_path / "out"), "--ratio", "adam", "random"]
    assert compare.main(again) == 0
    assert without_clocks(strict(tmp_path / "out" / "results.json")) == without_clocks(results)
    assert losses_of(tmp_path / "out") == losses_of(out)


@pytest.mark.parametrize(
    ("options", "field"),
    [
        (["--budgets", "128"], "budgets[0] 64"),
        (["--seed", "1"], "seed 2026"),
        (["--methods", "adam"], "methods"),
    ],
)
def test_other_options_are_refused(finished, capsys, options, field):
    assert compare.main([*finished[1], *options]) == 2
    line = capsys.readouterr().err
    assert f"holds a comparison with {field}" in line and len(line.strip().splitlines()) == 1


def test_ctrl_c_leaves_whole_pieces(finished, tmp_path):
    """In a process of its own, stopped when the first piece is there."""
    out, config = tmp_path / "out", finished[1][1]
    command = [sys.executable, "-m", "ddsprl.compare", "--config", config, "--out", str(out), "--quiet"]
    compiled = jax.config.jax_compilation_cache_dir  # pyright: ignore[reportAttributeAccessIssue]
    environment = {**os.environ, "JAX_PLATFORMS": "cpu"}
    if compiled:
        environment["JAX_COMPILATION_CACHE_DIR"] = str(compiled)
    process = subprocess.Popen(command, env=environment, cwd=ROOT, text=True, stderr=subprocess.PIPE)
    until = time.monotonic() + 240
    while not list(out.glob("cells/*.json")) and process.poll() is None and time.monotonic() < until:
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=120)
    assert process.returncode == 130, stderr
    assert stderr.startswith("interrupted: ") and len(stderr.strip().splitlines()) == 1
    assert not (out / "results.json").exists()
    assert not [path for path in out.rglob("*") if path.name.endswith(".partial")]


def test_recordings_with_estimated_notes(finished, tmp_path):
    """Two at a time, of three, so that the second group is filled up."""
    chosen = ["--suite", "recordings", "--targets", "3", "--max-seconds", "0.25", "--notes", "estimated"]
    arguments = ["--config", finished[1][1], "--out", str(tmp_path / "out"), "--quiet", "--group", "2"]
    assert compare.main([*arguments, *chosen, "--methods", "random"]) == 0
    results = strict(tmp_path / "out" / "results.json")
    names = [target["name"] for target in results["targets"]]
    assert [run["target"] for run in results["runs"]] == names and len(names) == 3
    assert results["options"]["folder"] == "targets" and results["rejected"] == {}
    pages = {tuple(page) for target in results["targets"] for page in target["note_pages"]}
    for target, run in zip(results["targets"], results["runs"], strict=True):
        assert set(target["references"]) == {"best_512", "best_4096"}
        assert run["parameter_error"] is None
        assert run["shared"] == pytest.approx(4096 * len(pages) / 3 + target["note_renders"])
        tried = target["note_renders"] / 256
        assert len(target["note_pages"]) == tried and tried != 1
    assert "parameter error" not in (tmp_path / "out" / "table.md").read_text()


def test_streams_share_no_key():
    keys = [stream(7, purpose, "random-000", 0) for purpose in Stream]
    assert len({tuple(jax.random.key_data(key).tolist()) for key in keys}) == len(Stream)


def test_targets_are_the_same_however_many_are_asked_for():
    synth = make_instrument("serum_lite", 8_000, 0.25)
    few, more = (preset_suite(synth, parts=("random", "bank"), count=n, seed=3) for n in (2, 5))
    for part in ("random", "bank"):
        a, b = ([c for c in suite.cases if c.part == part] for suite in (few, more))
        assert len(a) == 2 and len(b) == 5
        for x, y in zip(a, b, strict=False):
            assert x.name == y.name and x.note == y.note
            np.testing.assert_array_equal(x.audio, y.audio)
        for case in b:
            assert 36 <= case.note.midi <= 84 and 0.1 <= case.note.gate_s <= 0.4
            assert case.u is not None
            np.testing.assert_allclose(case.u, np.asarray(synth.snap(jnp.asarray(case.u))), atol=1e-6)


def test_a_shipped_preset_does_not_start_at_itself():
    inverter = Inverter(make_problem(8_000, 0.25), InversionConfig())
    suite = preset_suite(inverter.problem.instrument, parts=("bank",), count=3, seed=3)
    searcher = Searcher(inverter, Method("x", "random", "bank", 4096), seed=3, gradient_cost=GRADIENT_COST)
    starts = searcher.starts(list(suite.cases), 0)
    assert starts.shape[1] > 50
    for case, points in zip(suite.cases, starts, strict=True):
        assert case.u is not None
        assert np.abs(points - case.u).max(1).min() > 1e-3
