"""What cannot be asked for is refused in one line, before anything is computed or written."""

from pathlib import Path

import pytest

from ddsprl import compare
from ddsprl.comparison.options import parse_options, read_configuration, settle
from ddsprl.comparison.suites import recordings_of
from ddsprl.fitting.core.budget import GRADIENT_COST
from ddsprl.fitting.solvers.registry import SOLVERS, make_solver
from ddsprl.fitting.starts.registry import STARTS
from ddsprl.io import UserError

from .conftest import TINY

FOLDER = Path(__file__).resolve().parents[2] / "configs"
CONFIGS = sorted([*FOLDER.glob("compare*.yaml"), *FOLDER.glob("tune_*.yaml")])


def refused(capsys, *arguments) -> str:
    assert compare.main([str(x) for x in arguments]) == 2
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1 and lines[0].startswith("error: ")
    return lines[0]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--budgts", "64"], "did you mean '--budgets'"),
        (["--budgets", "many"], "budgets"),
        (["--budgets", "64", "64"], "different"),
        (["--budgets", "4"], "does not pay for its 8 starts"),
        (["--seeds", "0"], "--seeds is 0, allowed are 1"),
        (["--targets", "0"], "--targets is 0"),
        (["--suite", "preset"], "did you mean 'presets'"),
        (["--notes", "estimate"], "did you mean 'estimated'"),
        (["--sample-rate", "100"], "--sample-rate is 100"),
        (["--methods", "adm"], "did you mean 'adam'"),
        (["--gradient-cost", "mesured"], "did you mean 'measured'"),
        (["--gradient-cost", "0.5"], "--gradient-cost is 0.5, allowed are 1 to 100, and measured"),
        (["--gradient-cost", "nan"], "allowed are 1 to 100"),
        (["--methods", "adam", "adam"], "twice"),
        (["--ratio", "adam"], "two labels"),
        (["--ratio", "adam", "rand"], "random"),
        (["--suite", "recordings", "--folder", "nowhere"], "nowhere is not a directory"),
    ],
)
def test_options(capsys, config, tmp_path, options, said):
    out = tmp_path / "out"
    line = refused(capsys, "--config", config, "--out", out, "--quiet", *options)
    assert said in line
    assert not out.exists()


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("seeds: 1", "seed_s: 1", "did you mean 'seeds'"),
        ("seeds: 1", "seeds: one", "defaults: seeds is 'one', allowed is a whole number"),
        ("methods:", "method:", "did you mean 'methods'"),
        ("solver: adam", "solver: adm", "did you mean 'adam'"),
        ("start: neutral", "start: netral", "did you mean 'neutral'"),
        ("start: neutral", "start: given", "allowed are"),
        ("start: neutral", "begin: neutral", "no key 'begin'"),
        ("settings: {members", "setings: {members", "did you mean 'settings'"),
        ("members: 2", "membrs: 2", "members"),
        ("count: 4", "count: 0", "count is 0"),
        ("count: 4", "count: 4, times: 0", "times is 0, allowed are 1 to 1000"),
        ("label: adam", "label: random", "twice"),
        ("label: adam", "label: a/b", "letters"),
        ("label: adam,", "label: [adam,", "is not YAML"),
    ],
)
def test_configuration(capsys, tmp_path, old, new, said):
    assert old in TINY
    path = tmp_path / "bad.yaml"
    path.write_text(TINY.replace(old, new))
    assert said in refused(capsys, "--config", path, "--out", tmp_path / "out", "--quiet")
    assert not (tmp_path / "out").exists()


def test_a_configuration_that_is_not_there(capsys, tmp_path):
    assert "cannot be read" in refused(capsys, "--config", tmp_path / "no.yaml", "--out", tmp_path / "out")


def test_yaml_makes_no_objects(capsys, tmp_path):
    path = tmp_path / "bad.yaml"
    path.write_text("methods: !!python/object/apply:os.getcwd []")
    assert "is not YAML" in refused(capsys, "--config", path, "--out", tmp_path / "out")


def test_the_command_line_is_over_the_file(config, tmp_path):
    arguments = ["--config", str(config), "--out", str(tmp_path), "--seeds", "2", "--methods", "adam"]
    experiment = settle(parse_options(arguments), solvers=tuple(SOLVERS), starts=tuple(STARTS)).experiment
    assert (experiment.seeds, experiment.targets.count, experiment.budgets) == (2, 2, (64,))
    assert [method.label for method in experiment.methods] == ["adam"]
    assert experiment.targets.max_seconds == 4.0


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.name)
def test_shipped_configurations_build(path, tmp_path):
    options = parse_options(["--config", str(path), "--out", str(tmp_path)])
    experiment = settle(options, solvers=tuple(SOLVERS), starts=tuple(STARTS)).experiment
    for method in experiment.methods:
        make_solver(method.solver, **method.solver_settings())
        assert min(experiment.budgets) >= method.count


def test_lists_in_settings_can_be_hashed(tmp_path):
    path = tmp_path / "c.yaml"
    path.write_text("methods: [{solver: cma_es, settings: {options: [[c_mean, 0.5]]}}]")
    (method,), _ = read_configuration(path, solvers=tuple(SOLVERS), starts=tuple(STARTS))
    assert hash(method.solver_settings()["options"])
    assert method.record()["settings"] == {"options": [["c_mean", 0.5]]}


@pytest.mark.parametrize(
    ("said", "expected"),
    [("measured", "measured"), ("4.5", 4.5), ("7", 7), (None, GRADIENT_COST), ("4.0", 4)],
)
def test_a_price_is_a_number_or_measured(config, tmp_path, said, expected):
    for given in ("line", "file"):
        arguments = ["--config", str(config), "--out", str(tmp_path)]
        if said is not None and given == "line":
            arguments += ["--gradient-cost", said]
        elif said is not None:
            config.write_text(TINY.replace("defaults: {", f"defaults: {{gradient_cost: {said}, "))
        options = parse_options(arguments)
        experiment = settle(options, solvers=tuple(SOLVERS), starts=tuple(STARTS)).experiment
        assert experiment.gradient_cost == expected
        assert experiment.record()["gradient_cost"] == expected
        assert isinstance(experiment.gradient_cost, type(expected))


def test_recordings_are_whatever_audio_a_folder_holds(tmp_path):
    for name in ("b.flac", "a.WAV", "c.ogg", ".d.wav", "manifest.json", "notes.txt"):
        (tmp_path / name).touch()
    assert [file.name for file in recordings_of(tmp_path)] == ["a.WAV", "b.flac", "c.ogg"]
    (tmp_path / "b.wav").touch()
    with pytest.raises(UserError, match="both would write"):
        recordings_of(tmp_path)
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(UserError, match="without audio files"):
        recordings_of(empty)
