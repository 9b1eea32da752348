"""What cannot be trained with is refused in one line, before anything is computed or written."""

from pathlib import Path
from typing import Any

import pytest

from ddsprl import train
from ddsprl.io import UserError
from ddsprl.io.runs import new_run
from ddsprl.io.settings import names, nested, override
from ddsprl.training.config import RunConfig
from ddsprl.training.options import find_config, parse_options
from ddsprl.training.trainer import prepared

CONFIGS = ("default", "quick", "large")
ABLATIONS = (
    "no_warm_start",
    "no_guess",
    "no_teacher",
    "no_reward",
    "no_reward_gradient",
    "no_critic",
    "no_curriculum",
    "absolute",
    "no_smoothness",
    "finite_horizon",
)
NO_GUESS = {"env.guess", "agent.opening"}
NO_WARM = {"warm.demonstrations", "warm.clone_steps"}


def refused(capsys, *arguments: object) -> str:
    assert train.main([str(x) for x in arguments]) == 2
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1 and lines[0].startswith("error: ")
    return lines[0]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--loop.n_env", "4"], "no option --loop.n_env; did you mean '--loop.n_envs'?"),
        (["--agent.network.widht=4"], "did you mean '--agent.network.width'?"),
        (["--resum", "x"], "did you mean '--resume'?"),
        (["--loop.n_envs", "many"], "n-envs"),
        (["--loop.n_envs", "0"], "loop.n_envs is 0, allowed are 1 to"),
        (["--loop.off_mode", "nan"], "loop.off_mode is nan"),
        (["--agent.actor_rate", "0"], "agent.actor_rate is 0, allowed are over 0"),
        (["--env.action", "absolut"], "did you mean 'absolute'?"),
        (["--env.duration_s", "0.3"], "no reference was committed"),
        (["--env.duration_s", "0.3", "--env.epsilon", "1"], "curriculum.threshold is not given"),
        (["--env.instrument", "serum"], "serum_lite"),
        (["--env.stage", "2"], "curriculum.first_stage"),
        (
            ["--curriculum.first_stage", "5", "--curriculum.last_stage", "3"],
            "curriculum.first_stage is 5, after",
        ),
        (["--curriculum.last_stage", "6"], "allowed are 1 to 5"),
        (["--warm.solver", "cmaes"], "did you mean 'cma_es'?"),
        (["--warm.demonstrations", "0"], "without warm.demonstrations only 0"),
        (["--env.action", "absolute"], "warm.demonstrations are deltas"),
        (["--env.guess", "False", "--agent.goal_weight", "0"], "agent.opening is 3; without env.guess and"),
        (["--env.instrument", "sine"], "no guess is trained for sine"),
        (["--agent.capacity", "10"], "agent.capacity is 10"),
        (["--log.name", "a/b"], "log.name is 'a/b'"),
        (["--stop-at", "0"], "--stop-at is 0"),
        (["--config", "configs/quik.yaml"], "did you mean 'quick'?"),
        (["--resume", "nowhere"], "nowhere"),
    ],
)
def test_options(capsys, tmp_path, options, said):
    assert said in refused(capsys, "--out", tmp_path / "out", *options)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("given", [("--loop.n_envs", "4"), ("--config", "configs/quick.yaml")])
def test_a_run_goes_on_with_its_own_settings(capsys, tmp_path, given):
    run = new_run(tmp_path, "x", config=RunConfig(), seed=0, command=())
    assert "goes on with its own settings" in refused(capsys, "--resume", run.path, *given)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("loop: {n_env: 4}", "no field 'loop.n_env'; did you mean 'loop.n_envs'?"),
        ("lop.n_envs: 4", "no field 'lop.n_envs'; did you mean 'loop.n_envs'?"),
        ("loop: 4", "no field 'loop'"),
        ("loop.n_envs: {a: 1}", "loop.n_envs"),
        ("loop: {n_envs: 4.5}", "loop.n_envs is 4.5, allowed is a whole number"),
        ("loop: {n_envs: true}", "loop.n_envs is True"),
        ("agent: {discount: high}", "agent.discount is 'high', allowed is a number"),
        ("curriculum: {enabled: 1}", "allowed is true or false"),
        ("env: {objective: {mel_n_fft: 300}}", "mel_n_fft: 300"),
        ("extends: neighbor", "did you mean 'neighbour'?"),
        ("extends: mine", "no other file beside it"),
        ("- loop", "must hold fields"),
        ("loop: {n_envs: 4", "is not YAML"),
    ],
)
def test_configuration_files(capsys, tmp_path, text, said):
    path = tmp_path / "mine.yaml"
    path.write_text(text, encoding="utf-8")
    path.with_name("neighbour.yaml").touch()
    line = refused(capsys, "--config", path, "--out", tmp_path / "out")
    assert said in line and "mine.yaml" in line


def test_the_command_line_goes_over_the_file_and_the_file_over_the_defaults(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text("loop: {n_envs: 4, chunk: 7}\nagent.critic_rate: 1e-3\n", encoding="utf-8")
    given = ["--config", str(path), "--loop.n-envs", "8", "--agent.network.width=12"]
    run: Any = parse_options(given).run
    assert (run.loop.n_envs, run.loop.chunk, run.agent.network.width) == (8, 7, 12)
    assert run.agent.critic_rate == 1e-3
    assert run.loop.off_mode == RunConfig().loop.off_mode


def test_lists_truth_values_and_nothing_are_read(tmp_path):
    given = ["--env.objective.terms", "mr", "loud", "--curriculum.enabled", "False", "--env.epsilon", "0.5"]
    run: Any = parse_options([*given, "--log.tensorboard", "None"]).run
    assert run.env.objective.terms == ("mr", "loud")
    assert run.curriculum.enabled is False and run.env.epsilon == 0.5 and run.log.tensorboard is None


@pytest.mark.parametrize("name", [*CONFIGS, *ABLATIONS])
def test_every_configuration_can_be_trained_with(name):
    run = parse_options(["--config", f"configs/{name}.yaml"]).run
    assert run.log.name == name
    assert run == parse_options(["--config", str(find_config(Path(name)).resolve())]).run
    assert prepared(run).config == run


def test_without_arguments_it_is_the_default():
    assert parse_options([]).run == parse_options(["--config", "configs/default.yaml"]).run


@pytest.mark.parametrize(
    ("name", "changed"),
    [
        ("no_warm_start", {"agent.goal_weight", *NO_GUESS, *NO_WARM}),
        ("no_guess", NO_GUESS),
        ("no_teacher", {"agent.goal_weight"}),
        (
            "no_reward",
            {
                "agent.kickstart",
                "agent.goal_weight",
                "agent.opening",
                "agent.reward_gradient",
                "loop.critic_first",
            },
        ),
        ("no_reward_gradient", {"agent.reward_gradient"}),
        ("no_critic", {"loop.critic_first"}),
        ("no_curriculum", {"curriculum.enabled", "curriculum.rehearsal"}),
        ("absolute", {"env.action", "agent.goal_weight", *NO_GUESS, *NO_WARM}),
        ("no_smoothness", {"env.move_weight"}),
        ("finite_horizon", {"loop.finite_horizon", "loop.cut"}),
    ],
)
def test_an_ablation_changes_one_thing(name, changed):
    default, other = (flat(parse_options(["--config", x]).run) for x in ("default", name))
    differing = {field for field in default if default[field] != other[field]}
    assert differing - {"log.name"} <= changed
    assert differing & changed


def flat(config: RunConfig) -> dict:
    def value(name):
        found = config
        for part in name.split("."):
            found = getattr(found, part)
        return found

    return {name: value(name) for name in names(config)}


def test_settings_survive_their_record():
    config = parse_options(["--config", "large", "--env.epsilon", "0.25"]).run
    assert override(RunConfig(), nested(config), where="config.json") == config


def test_a_configuration_is_found_from_anywhere(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert find_config(Path("configs/quick.yaml")).is_file()
    assert find_config(Path("quick")).name == "quick.yaml"
    with pytest.raises(UserError, match="does not exist"):
        find_config(Path("elsewhere/quick.yaml"))
