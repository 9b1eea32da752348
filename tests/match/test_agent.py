"""`--method agent`: a tiny untrained agent plays a short recording, in this process and at the door."""

import json

import numpy as np
import pytest

from ddsprl.drawing.edits import edits_png
from ddsprl.env import EnvConfig
from ddsprl.io import UserError
from ddsprl.matching.agent import AgentSearch, checked
from ddsprl.matching.edits import edit_rows
from ddsprl.matching.options import HANDED_ON, MatchOptions, check, parse_options
from ddsprl.matching.run import match
from synth_jax import load_preset
from synth_jax.params import default_unit
from tests.env.toy import OBJECTIVE, toy, toy_config
from tests.evaluation.conftest import TinyAgent, tiny_agent
from tests.match.conftest import TRUMPET

STEPS = 5
QUICK = ("--sample-rate", "8000", "--max-seconds", "0.25", "--midi", "67", "--method", "agent", "--quiet")


@pytest.fixture(scope="module")
def agent() -> TinyAgent:
    """Of clips half as long as the recording, and of the first three stages; it is told a guess."""
    settings = {"sample_rate": 8_000, "duration_s": 0.125, "steps": STEPS, "probes": 2, "history": False}
    return tiny_agent(EnvConfig(objective=OBJECTIVE, guess=True, **settings), stage=3)


@pytest.fixture(scope="module")
def played(agent, tmp_path_factory):
    """A whole run without polish, with a knob held; the directory of the result."""
    out = tmp_path_factory.mktemp("played")
    return _matched(agent, out, "--lock", "filter_cutoff=800")


def _matched(agent, out, *arguments):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("ddsprl.training.restore.load_agent", lambda run, seed=0: agent)
        given = [str(TRUMPET), "--out", str(out / "o"), "--run", str(out), *QUICK, *arguments]
        assert match(parse_options(given)) == 0
    return out / "o" / TRUMPET.stem


def test_the_result_holds_every_edit(played):
    numbers = json.loads((played / "result.json").read_text())
    episode = numbers["episode"]
    assert numbers["method"] == "agent" and numbers["agent"] == {"iteration": 7, "polish": False, "stage": 3}
    assert len(episode["edits"]) == STEPS and len(episode["losses"]) == STEPS + 1
    assert np.shape(episode["knobs"]) == (STEPS + 1, len(episode["names"]))
    assert [edit["step"] for edit in episode["edits"]] == list(range(1, STEPS + 1))
    assert (played / "edits.png").read_bytes().startswith(b"\x89PNG")
    assert (played / "report.png").is_file()
    # The episode, the same presets on the whole sound, and the finalists once more.
    assert numbers["renders"] == 2 * (STEPS + 1) + STEPS + 1
    assert len(numbers["curve"]["loss"]) == STEPS + 2


def test_knobs_that_are_held_or_not_learnt_stay(played):
    numbers = json.loads((played / "result.json").read_text())
    preset = load_preset(played / "preset.json")
    assert preset.values["filter_cutoff"] == pytest.approx(800.0, rel=1e-3)
    assert "filter_cutoff" not in numbers["episode"]["names"]
    assert "filter_cutoff" in numbers["locked"] and "lfo_rate" not in numbers["episode"]["names"]
    table_start = load_preset(played / "preset.json").to_unit()
    assert np.isfinite(table_start).all() and len(numbers["locked"]) + len(numbers["episode"]["names"]) == 25


@pytest.mark.slow
def test_polish_spends_the_budget_and_is_no_worse(agent, played, tmp_path):
    polished = _matched(agent, tmp_path, "--polish", "--budget", "400", "--lock", "filter_cutoff=800")
    plain, better = (json.loads((x / "result.json").read_text()) for x in (played, polished))
    assert better["gradients"] > 0 and better["agent"]["polish"] is True
    assert better["loss"] < plain["loss"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--method", "agent"], "needs --run"),
        (["--method", "agent", "--run", "r", "--start", "bank"], "begins at the neutral patch"),
        (["--method", "agent", "--run", "r", "--polish", "--budget", "8"], f"at least {HANDED_ON}"),
        (["--run", "r"], "--run is for --method agent"),
        (["--polish"], "--polish is for --method agent"),
        (["--method", "agnt", "--run", "r"], "did you mean 'agent'?"),
    ],
)
def test_options_are_checked_at_the_door(arguments, said):
    with pytest.raises(UserError) as error:
        check(parse_options(["a.wav", "--out", "o", *arguments]))
    assert said in str(error.value)


def options(*more: str) -> MatchOptions:
    return parse_options(["a.wav", "--out", "o", "--method", "agent", "--run", "r", *more])


def test_an_agent_of_another_rate_or_instrument_is_refused(agent, tmp_path):
    with pytest.raises(UserError, match="--sample-rate is 16000, .* at 8000 Hz"):
        checked(agent, tmp_path, options())
    with pytest.raises(UserError, match="its agent plays toy, --instrument is serum_lite"):
        checked(tiny_agent(toy_config(), toy()), tmp_path, options("--sample-rate", "8000"))
    found = checked(agent, tmp_path, options("--sample-rate", "8000", "--polish"))
    assert isinstance(found, AgentSearch) and found.budget == options().budget


def test_edits_are_said_in_physical_units(agent):
    table = agent.env.instrument.table
    start = default_unit(table)
    names = [spec.name for spec in table]
    knobs = np.stack([start, start, start])
    knobs[1:, names.index("osc1_unison")] = table[names.index("osc1_unison")].to_unit(7.0)
    knobs[2, names.index("filter_cutoff")] = table[names.index("filter_cutoff")].to_unit(800.0)
    rows = edit_rows(table, knobs, np.array([3.0, 2.0, 2.5]), np.array([0, 1]))
    assert [(row["module"], row["best"]) for row in rows] == [("OSC", True), ("FILTER", False)]
    assert rows[0]["changes"] == ["osc1 unison 1 → 7 voices"]
    assert "→ 800 Hz" in rows[1]["changes"][0] and len(rows[1]["changes"]) == 1


def test_a_picture_of_fifty_edits_or_none():
    edits = [
        {"step": i + 1, "module": "OSC", "loss": 3.0 - 0.01 * i, "best": True, "changes": ["level 1 → 2"] * 5}
        for i in range(50)
    ]
    ways = np.linspace(0.0, 1.0, 51)[:, None] * np.ones(3)
    losses = np.linspace(3.0, 2.5, 51)
    picture = edits_png(
        names=["a", "b", "c"], knobs=ways, losses=losses, edits=edits, title="$x", subtitle="y"
    )
    assert picture.startswith(b"\x89PNG")
    alone = edits_png(names=["a"], knobs=ways[:1, :1], losses=losses[:1], edits=[], title="none")
    assert alone.startswith(b"\x89PNG")
