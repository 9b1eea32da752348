"""What `python -m ddsprl.evaluate` does: load the agent, measure, write, print."""

import os

from ddsprl.agents.playing import Player
from ddsprl.compile_cache import enable_compilation_cache
from ddsprl.cpu import tune_cpu
from ddsprl.evaluation.options import EvaluateOptions, check
from ddsprl.evaluation.page import write_report
from ddsprl.evaluation.run import Evaluation, Settings
from ddsprl.evaluation.tables import markdown
from ddsprl.io import write_json
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
    text = evaluate_player(player, options)
    try:
        print(text, flush=True)
    except BrokenPipeError:
        # Whoever read the table has seen enough; it is in the page. Nothing more is to be flushed.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    return 0


def evaluate_player(player: Player, options: EvaluateOptions) -> str:
    """Measure an agent and write `results.json` and `report.html`; returns the tables."""
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
    results = evaluation.measure()
    write_json(settings.directory / "results.json", results)
    write_report(settings.directory / "report.html", evaluation, results, players=options.players)
    return markdown(results)
