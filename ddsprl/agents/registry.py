"""The agents by name: a new one is a folder beside `sac` and a line here."""

from ddsprl.agents.contract import Entry
from ddsprl.agents.sac.learner import SAC

AGENTS: dict[str, Entry] = {"sac": SAC}
