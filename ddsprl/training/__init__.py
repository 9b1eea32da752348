"""Training: the loop on the device, and what the host does between its calls."""

from ddsprl.training.acting import playing
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
    "playing",
    "load_agent",
    "make_agent",
]
