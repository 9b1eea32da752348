"""What `python -m ddsprl.evaluate` does: load the agent, measure, write, print."""

from ddsprl.agents.playing import Player
from ddsprl.compile_cache import enable_compilation_cache
from ddsprl.cpu import tune_cpu
from ddsprl.env import stages_of
from ddsprl.evaluation.options import EvaluateOptions, check
from ddsprl.evaluation.page import markdown, write_report
from ddsprl.evaluation.results import collect
from ddsprl.evaluation.run import Evaluation, Settings
from ddsprl.io import write_json
from ddsprl.io.checks import within
from ddsprl.io.cli import print_out
from ddsprl.training.restore import load_agent, say_what_was_damaged


def run(options: EvaluateOptions) -> int:
    """Evaluate the agent of a run and print the tables; returns the exit code.

    Raises:
        UserError: about the options, the run, or the directory.
    """
    check(options)
    tune_cpu()
    enable_compilation_cache()
    player = load_agent(options.run, options.seed, cloned=options.cloned)
    say_what_was_damaged(player)
    print_out(evaluate_player(player, options))
    return 0


def evaluate_player(player: Player, options: EvaluateOptions) -> str:
    """Measure an agent and write `results.json` and `report.html`; returns the tables.

    Raises:
        UserError: a stage that its instrument does not have.
    """
    count = len(stages_of(player.env.instrument))
    for stage in options.stages:
        within("--stages", stage, 1, count)
    settings = Settings(
        directory=options.directory,
        stages=options.stages or tuple(range(1, player.stage + 1)),
        targets=options.targets,
        suite=options.suite,
        budgets=tuple(sorted(options.budgets)),
        quiet=options.quiet,
        about=(
            ("run", options.run.resolve().name),
            ("agent", options.seed),
            ("cloned", options.cloned),
            ("stage", player.stage),
            ("iteration", player.iteration),
        ),
    )
    evaluation = Evaluation(settings, player.env, player)
    evaluation.measure()
    results = collect(evaluation)
    write_json(settings.directory / "results.json", results)
    write_report(settings.directory / "report.html", evaluation, results, players=options.players)
    return markdown(results)
