"""A whole evaluation of a tiny untrained agent: numbers, page, going on after an interruption."""

import json
import os
import re
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest

from ddsprl.evaluation.command import evaluate_player
from ddsprl.evaluation.methods import AGENT, POLICY, cma_es_name
from ddsprl.evaluation.options import EvaluateOptions, check, parse_options
from ddsprl.evaluation.page import chosen
from ddsprl.evaluation.run import piece_name
from ddsprl.evaluation.search import Setting
from ddsprl.evaluation.tuning import GRIDS, fitted, measure_grid, tuned
from ddsprl.io import UserError

ROOT = Path(__file__).resolve().parents[2]
BUDGETS = (8, 12)


def options(out, **settings) -> EvaluateOptions:
    given = {"targets": 3, "stages": (5,), "budgets": BUDGETS, "players": 1, "quiet": True, "out": out}
    return EvaluateOptions(run=out.parent, **(given | settings))


@pytest.fixture(scope="module")
def evaluated(player, tmp_path_factory):
    given = options(tmp_path_factory.mktemp("evaluated") / "evaluation")
    text = evaluate_player(player, given)
    return given, text


def test_results_say_everything_of_every_method(evaluated):
    given, text = evaluated
    results = json.loads((given.out / "results.json").read_text())
    (stage,) = results["stages"]
    names = [AGENT, POLICY, "do nothing", "random actions", *(cma_es_name(b) for b in BUDGETS)]
    assert results["methods"] == names and set(stage["methods"]) == set(names)
    assert set(stage["duels"]) == set(names) - {AGENT}
    assert results["tuned_for_this_setup"] is False
    for name in names:
        row = stage["methods"][name]
        assert len(row["excess"]) == 3 and row["targets"] == 3 and row["seconds"] >= 0.0
        assert sum(row["terms"].values()) > 0.0
        assert name in text
    assert [stage["methods"][name]["renders"] for name in names] == [13, 13, 1, 13, *BUDGETS]
    assert stage["own_preset"]["excess"][0] == pytest.approx(0.0)
    for target in stage["targets"]:
        found = target["methods"][AGENT]
        span = target["random_reference"] - target["floor"]
        assert found["excess"] == pytest.approx((found["loss"] - target["floor"]) / span)
        assert found["meter"] == pytest.approx(100 * np.clip(1 - found["excess"], 0, 1))


def test_every_target_has_its_terms_and_the_agents_episode(evaluated):
    given, _ = evaluated
    (stage,) = json.loads((given.out / "results.json").read_text())["stages"]
    for name, row in stage["methods"].items():
        for term, median in row["terms"].items():
            each = [target["methods"][name]["terms"][term] for target in stage["targets"]]
            assert np.median(each) == pytest.approx(median, rel=1e-3)
    for target in stage["targets"]:
        assert "knobs" not in target["methods"]["random actions"]
        found = target["methods"][AGENT]
        # Judged under eight keys, the sum of the weighted terms is the loss.
        assert sum(found["terms"].values()) == pytest.approx(found["loss"], rel=1e-2)
        steps = len(found["modules"])
        assert np.shape(found["knobs"]) == (steps + 1, len(stage["knobs"]))
        assert set(found["modules"]) <= {0, 1, 2, 3}
        assert min(found["losses"]) == pytest.approx(found["own_loss"], rel=1e-3)
        assert len(found["losses"]) == steps + 1 and np.any(np.diff(found["knobs"], axis=0))


def test_the_page_needs_nothing_else(evaluated):
    given, _ = evaluated
    page = (given.out / "report.html").read_text()
    # Target, agent, and both searches; the chart and one target's picture.
    assert page.count("<audio") == 4 and page.count("<img") == 2 and page.count("<meter") == 3
    assert not re.search(r'(src|href)="(?!data:)', page)


def test_finished_pieces_are_not_done_again(evaluated, player, monkeypatch):
    given, text = evaluated
    monkeypatch.setattr("ddsprl.evaluation.run.Evaluation._make", None)
    assert evaluate_player(player, given) == text


def test_another_evaluation_into_the_same_directory_is_refused(evaluated, player):
    given, _ = evaluated
    with pytest.raises(UserError, match="targets 3, asked for is 4"):
        evaluate_player(player, options(given.out, targets=4))
    other = player._replace(state=player.state._replace(actor={"other": np.ones(3)}))
    with pytest.raises(UserError, match="holds an evaluation with agent"):
        evaluate_player(other, given)


def test_shown_targets_go_from_best_to_worst():
    loss = np.array([3.0, 1.0, 2.0, 5.0, 4.0])
    assert chosen(loss, 3) == [1, 0, 3]
    assert chosen(loss, 0) == []


def test_pieces_have_file_names():
    assert piece_name(2, cma_es_name(2000)) == "stage2-CMA-ES_2000_renders"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--targets", "1"], "--targets is 1, allowed are 2 to 4096"),
        (["--stages", "2", "2"], "--stages names 2 twice"),
        (["--budgets", "4"], "--budgets is 4, allowed are 5 to"),
        (["--players", "65"], "--players is 65, allowed are 0 to 64"),
        (["--targts", "3"], "did you mean '--targets'"),
    ],
)
def test_options_are_checked_at_the_door(arguments, said, tmp_path):
    with pytest.raises(UserError, match=re.escape(said)):
        check(parse_options([str(tmp_path), *arguments]))


def test_a_stage_that_the_instrument_does_not_have_is_named(player, tmp_path):
    with pytest.raises(UserError, match="--stages is 6, allowed are 1 to 5"):
        evaluate_player(player, options(tmp_path / "out", stages=(6,)))
    assert not (tmp_path / "out").exists()


def test_a_run_that_is_not_there_is_named():
    with pytest.raises(UserError, match="nowhere: is no directory"):
        check(parse_options(["nowhere"]))


def test_settings_fit_small_budgets():
    wide = Setting(64, 32, 0.2)
    for budget in range(5, 60):
        setting = fitted(wide, budget)
        assert setting.starts + setting.population <= budget and setting.population >= 4
    with pytest.raises(ValueError, match="at least 5"):
        fitted(wide, 4)


def test_every_stage_and_budget_was_tuned(suite):
    from ddsprl.env import EnvConfig, make_matcher

    env = make_matcher(EnvConfig())
    for stage in range(1, 6):
        for budget, grid in GRIDS.items():
            assert tuned(env, stage, budget) in grid.settings


def test_the_grids_best_is_the_lowest_excess(suite):
    found = measure_grid(suite, 12, [Setting(0, 4, 0.1), Setting(4, 4, 0.3)])
    best = min(found["grid"], key=lambda row: row["median_excess"])
    assert found["setting"] == {name: best[name] for name in ("start", "population", "sigma")}
    assert found["targets"] == suite.count and found["budget"] == 12


INTERRUPTED = """
    import sys
    from pathlib import Path
    from ddsprl.compile_cache import enable_compilation_cache
    from ddsprl.cpu import tune_cpu
    tune_cpu(); enable_compilation_cache()
    sys.path.insert(0, "")
    from ddsprl.evaluation.command import evaluate_player
    from tests.env.toy import toy, toy_config
    from tests.evaluation.conftest import tiny_agent
    from tests.evaluation.test_run import options
    player = tiny_agent(toy_config(history=False), toy())
    evaluate_player(player, options(Path(sys.argv[1]), budgets=(8, 100_000)))
"""


@pytest.mark.slow
def test_ctrl_c_keeps_what_is_done(tmp_path):
    out = tmp_path / "evaluation"
    command = [sys.executable, "-c", textwrap.dedent(INTERRUPTED), str(out)]
    process = subprocess.Popen(command, cwd=ROOT, env=os.environ, stderr=subprocess.PIPE, text=True)
    done = out / "cells" / f"{piece_name(5, cma_es_name(8))}.json"
    while not done.is_file():
        assert process.poll() is None, process.stderr.read() if process.stderr else ""
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "6 of 7 pieces are in" in said and "the same command goes on" in said
    assert "Traceback" not in said


def test_the_policy_alone_is_another_player_that_begins_alike(evaluated):
    given, _ = evaluated
    (stage,) = json.loads((given.out / "results.json").read_text())["stages"]
    pairs = [(x["methods"][AGENT]["losses"], x["methods"][POLICY]["losses"]) for x in stage["targets"]]
    # The first edit is the policy's own; the way back may come after it.
    assert all(a[:2] == b[:2] for a, b in pairs) and any(a != b for a, b in pairs)
