"""How good an agent is: fixed held-out suites, measures, baselines, and the page that shows them."""

from ddsprl.agents.playing import Player
from ddsprl.evaluation.measures import Measured, Yardsticks, excess, meter, renders_to, summary
from ddsprl.evaluation.playing import play
from ddsprl.evaluation.run import Evaluation, Settings
from ddsprl.evaluation.search import Setting, cma_es
from ddsprl.evaluation.suites import Suite, make_suite

__all__ = [
    "Evaluation",
    "Measured",
    "Player",
    "Setting",
    "Settings",
    "Suite",
    "Yardsticks",
    "cma_es",
    "excess",
    "make_suite",
    "meter",
    "play",
    "renders_to",
    "summary",
]
