"""An agent out of a real checkpoint: it is the one that was trained, and it can be measured and can play."""

import json
import shutil

import jax
import numpy as np
import pytest

from ddsprl import evaluate
from ddsprl.evaluation.methods import AGENT, NOTHING
from ddsprl.io import UserError
from ddsprl.io.checkpoints import Checkpoints
from ddsprl.io.run_log import read_log
from ddsprl.matching.agent import load_search
from ddsprl.matching.options import MatchOptions, parse_options
from ddsprl.training.curricula import Curricula
from ddsprl.training.loop import Training
from ddsprl.training.records import summary
from ddsprl.training.restore import load_agent
from ddsprl.training.trainer import _EVALUATE
from tests.training.tiny import RUN, damaged

pytestmark = pytest.mark.slow
END = RUN["loop"]["iterations"]


def same(a, b) -> bool:
    return all(jax.tree.leaves(jax.tree.map(np.array_equal, a, b)))


@pytest.mark.parametrize("seed", range(RUN["seeds"]))
def test_it_plays_as_it_did_when_it_was_trained(whole, seed):
    """Every array is the seed's, and its last evaluation comes out again as the log has it."""
    loaded = load_agent(whole, seed)
    assert (loaded.stage, loaded.iteration, loaded.damaged) == (2, END, ())
    training = Training(loaded.config, loaded.env, loaded.agent)
    stored = Checkpoints(whole / "checkpoints").restore(training.loop_like().items).items["agent"]
    assert same(loaded.state, jax.tree.map(lambda x: x[seed], stored))
    assert not same(loaded.state.actor, jax.tree.map(lambda x: x[1 - seed], stored.actor))
    held_out = Curricula(loaded.config, loaded.env).held_out(loaded.stage)
    key = jax.random.key(loaded.config.seed + seed)
    key = jax.random.fold_in(jax.random.fold_in(key, _EVALUATE), END)
    found = training.evaluate(loaded.state, key, held_out)
    stages = loaded.config.domain.stages
    assert stages is not None
    figures = summary(found, stages.floors(found.state, held_out))
    log = read_log(whole / "log.jsonl")
    (told,) = (r for r in log if (r["kind"], r.get("seed"), r["iteration"]) == ("evaluation", seed, END))
    assert figures.items() <= told.items()


def test_the_clone_is_what_training_began_with(whole):
    clone, trained = load_agent(whole, 1, cloned=True), load_agent(whole, 1)
    assert (clone.stage, clone.iteration, int(clone.state.updates)) == (1, 0, 0)
    assert int(trained.state.updates) > 0
    assert not same(clone.state.actor, trained.state.actor)
    # Cloning teaches the actor alone.
    assert same(clone.state.critic, clone.state.target_critic)


def test_a_damaged_checkpoint_is_named_and_the_one_before_used(whole, tmp_path, capsys):
    run = tmp_path / whole.name
    shutil.copytree(whole, run)
    damaged(run, "rest")
    # What is not read need not be whole.
    assert load_agent(run).iteration == END
    name = damaged(run, "agent")
    loaded = load_agent(run)
    assert loaded.iteration == END - RUN["log"]["checkpoint_every"]
    assert len(loaded.damaged) == 1 and name in loaded.damaged[0]
    load_search(run, options(8_000))
    said = capsys.readouterr().err
    assert name in said and said.endswith(f"the agent is that of iteration {loaded.iteration}\n")


def test_what_is_not_there_is_named(whole, tmp_path):
    with pytest.raises(UserError, match="seed is 2, .* has agents 0 to 1"):
        load_agent(whole, 2)
    with pytest.raises(UserError, match="no such run; did you mean 'tiny-001'"):
        load_agent(whole.with_name("tiny-01"))
    shutil.copytree(whole, tmp_path / "run", ignore=shutil.ignore_patterns("checkpoints"))
    with pytest.raises(UserError, match="holds no checkpoint"):
        load_agent(tmp_path / "run")


def test_a_run_of_before_is_refused_in_one_line(whole, tmp_path):
    """Its settings name neither agent nor environment."""
    run = tmp_path / whole.name
    shutil.copytree(whole, run, ignore=shutil.ignore_patterns("checkpoints", "audio"))
    record = json.loads((run / "config.json").read_text())
    del record["config"]["agent"]["name"]
    (run / "config.json").write_text(json.dumps(record))
    with pytest.raises(UserError, match="has no agent.name: the run is of an earlier version") as error:
        load_agent(run)
    assert "\n" not in str(error.value)


def options(sample_rate: int) -> MatchOptions:
    given = ["--method", "agent", "--run", "r", "--sample-rate", str(sample_rate)]
    return parse_options(["a.wav", "--out", "o", *given])


def test_it_plays_recordings(whole):
    search = load_search(whole, options(8_000))
    assert search.player.stage == 2 and search.env.config.history
    with pytest.raises(UserError, match="--sample-rate is 16000"):
        load_search(whole, options(16_000))


def test_the_command_measures_a_run_and_its_clone(whole, tmp_path, capsys):
    """`python -m ddsprl.evaluate RUN`, from the door to the page."""
    found = {}
    for name, extra in (("trained", ("--seed", "1")), ("cloned", ("--seed", "1", "--cloned"))):
        out = tmp_path / name
        given = ["--targets", "2", "--stages", "1", "--budgets", "8", "--players", "1", "--quiet"]
        assert evaluate.main([str(whole), "--out", str(out), *given, *extra]) == 0
        assert AGENT in capsys.readouterr().out
        assert (out / "report.html").is_file()
        found[name] = json.loads((out / "results.json").read_text())
    about = {"run": whole.name, "agent": 1, "cloned": False, "stage": 2, "iteration": END}
    assert found["trained"]["about"] == about
    assert found["cloned"]["about"] == about | {"cloned": True, "stage": 1, "iteration": 0}
    trained, cloned = (x["stages"][0]["targets"] for x in (found["trained"], found["cloned"]))
    for row, other in zip(trained, cloned, strict=True):
        # The same targets, played by two agents.
        assert row["methods"][NOTHING]["loss"] == other["methods"][NOTHING]["loss"]
        assert row["methods"][AGENT]["knobs"] != other["methods"][AGENT]["knobs"]
