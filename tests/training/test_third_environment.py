"""Every agent learns an environment that is no matching environment, from the command line to its checkpoint.

Stages, teachers, demonstrations and sounds are what an environment may have; this one has none of them. So do
agents that the registry does not have yet: one that learns from rollouts, through the environment's steps.
"""

from typing import Any

import jax
import numpy as np
import pytest
import yaml

from ddsprl import train
from ddsprl.agents import AGENTS
from ddsprl.env import AutoReset, evaluate
from ddsprl.env.domain import Draw
from ddsprl.io import UserError
from ddsprl.io.run_log import read_log
from ddsprl.io.settings import nested, override
from ddsprl.training import load_agent
from ddsprl.training.config import DOMAINS, settings_for
from ddsprl.training.options import parse_options
from tests.agents.steerer import STEERER, SteererConfig
from tests.env.seeker import SEEKER, SPEED, Seeker, SeekerConfig, places

# What each agent needs to learn this in seconds; an agent without a line here has not been shown to learn.
SETTINGS = {
    "sac": {
        "network": {"width": 32, "blocks": 1},
        "batch": 64,
        "updates_per_step": 2,
        "capacity": 4096,
        "discount": 0.9,
        "actor_rate": 3e-3,
        "critic_rate": 3e-3,
        "temperature_rate": 1e-2,
        "target_rate": 0.02,
        "first_continuous_temperature": 0.05,
    },
    "steerer": {},
}
RUN = {
    "env": {"name": "seeker"},
    "loop": {"n_envs": 16, "iterations": 300, "learn_after": 160, "chunk": 50},
    "curriculum": {"evaluate_every": 100, "evaluate_episodes": 32},
    "log": {"name": "seeker", "every": 50, "tensorboard": False, "snapshots_every": 100},
}


@pytest.fixture(autouse=True)
def known(monkeypatch):
    monkeypatch.setitem(DOMAINS, "seeker", SEEKER)
    monkeypatch.setitem(AGENTS, "steerer", STEERER)


def refused(tmp_path, capsys, **groups) -> str:
    path = tmp_path / "refused.yaml"
    path.write_text(yaml.safe_dump(RUN | groups), encoding="utf-8")
    assert train.main(["--config", str(path), "--out", str(tmp_path / "out")]) == 2
    return capsys.readouterr().err


@pytest.mark.parametrize("name", [*AGENTS, "steerer"])
def test_the_curve_rises(name, tmp_path):
    path = tmp_path / "seeker.yaml"
    path.write_text(yaml.safe_dump(RUN | {"agent": {"name": name} | SETTINGS[name]}), encoding="utf-8")
    assert train.main(["--config", str(path), "--out", str(tmp_path), "--quiet"]) == 0
    run = tmp_path / "seeker-001"
    log = [r for r in read_log(run / "log.jsonl") if r["kind"] == "evaluation"]
    returns = {r["iteration"]: r["mean_return"] for r in log}
    # Who stands still is paid about -0.76 a step; who goes straight needs some three steps.
    assert returns[0] < -5.0 and returns[300] > -2.5
    assert returns[100] > returns[0] + 1.0
    assert log[-1]["success_rate"] > 0.9 and log[-1]["stage"] == 1 and not log[-1]["promoted"]
    assert not list((run / "audio").glob("*"))
    loaded = load_agent(run)
    assert (loaded.iteration, loaded.stage, loaded.config.agent.name) == (300, 1, name)


def test_what_it_does_not_have_is_refused_in_one_line(tmp_path, capsys):
    demos = refused(tmp_path, capsys, warm={"demonstrations": 4})
    assert demos == "error: warm.demonstrations is 4; for env.name seeker only 0\n"
    taught = refused(tmp_path, capsys, agent={"kickstart": 1.0})
    assert "nobody knows better in env.name seeker" in taught and taught.count("\n") == 1
    for group, said in (("env", "did you mean 'seeker'?"), ("agent", "allowed are sac, steerer")):
        wrong = refused(tmp_path, capsys, **{group: {"name": "seekr"}})
        assert f"{group}.name is 'seekr'" in wrong and said in wrong and wrong.count("\n") == 1


def test_a_known_policy_scores_what_it_should():
    """Straight to the place: as many steps as the farther coordinate takes, and every one of them counts."""
    env = Seeker(SeekerConfig())
    params = places(env, Draw(1, "held_out", 16))
    run = jax.jit(lambda k: evaluate(env, lambda key, obs, _: obs["away"] / SPEED, k, params, count=16))
    found = run(jax.random.key(0))
    far = np.abs(np.asarray(params.where)).max(axis=1)
    assert np.all(found.solved) and np.all(found.length <= np.ceil(far / SPEED))
    np.testing.assert_allclose(found.first_loss, np.linalg.norm(params.where, axis=1), rtol=1e-5)
    np.testing.assert_allclose(found.best_loss, found.last_loss)


def test_a_time_limit_is_not_an_end_and_the_next_episode_is_another():
    env, n = Seeker(SeekerConfig(steps=3)), 8
    params, many = places(env, Draw(1, count=32)), AutoReset(env, n)
    _, state = jax.jit(many.reset)(jax.random.key(0), params)
    step, away = jax.jit(many.step), np.zeros((n, 2), np.float32)
    for i in range(3):
        before = np.asarray(state.env.episode)
        found = step(jax.random.key(i), state, away, params)
        state = found.state
    assert np.all(found.truncated) and not np.any(found.terminated | found.info["final_score"].solved)
    np.testing.assert_array_equal(found.info["episode_length"], 3)
    assert np.any(np.asarray(state.env.episode) != before) and np.all(state.env.t == 0)


def test_agent_and_environment_are_chosen_by_name(tmp_path):
    """In the file or on the command line, and each brings its own fields."""
    path = tmp_path / "mine.yaml"
    path.write_text("env: {name: seeker, dimensions: 3}\nloop: {n_envs: 4}\n", encoding="utf-8")
    run: Any = parse_options(["--config", str(path), "--agent.name", "steerer", "--agent.rate", "0.2"]).run
    assert run.env == SeekerConfig(dimensions=3) and run.agent == SteererConfig(rate=0.2)
    assert override(settings_for(nested(run)), nested(run), where="config.json") == run
    usual = parse_options([]).run
    assert (usual.env.name, usual.agent.name) == ("match", "sac")
    with pytest.raises(UserError, match="no option --agent.batch"):
        parse_options(["--config", str(path), "--agent.name=steerer", "--agent.batch", "4"])
