"""Training: the loop on the device, and what the host does between its calls.

config.py fields.py options.py     settings of a run, their names, the command line
domains.py match.py                kinds of environments that can be trained in
loop.py records.py snapshots.py    on the device: programs, records, extremes
trainer.py curricula.py restore.py progress.py interruption.py     on the host
demonstrations/                    episodes of solvers or of known presets, to begin with
"""

from ddsprl.training.config import (
    CurriculumConfig,
    LogConfig,
    LoopConfig,
    RunConfig,
    WarmConfig,
    checked,
)
from ddsprl.training.loop import Training, make_agent
from ddsprl.training.records import Loop, RunNotes, Tally
from ddsprl.training.restore import LoadedAgent, load_agent

__all__ = [
    "CurriculumConfig",
    "LoadedAgent",
    "LogConfig",
    "Loop",
    "LoopConfig",
    "RunConfig",
    "RunNotes",
    "Tally",
    "Training",
    "WarmConfig",
    "checked",
    "load_agent",
    "make_agent",
]
