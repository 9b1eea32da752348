"""Training: the loop on the device, and what the host does between its calls.

config.py options.py match.py            settings of a run, the command line, the matching environment
loop.py records.py snapshots.py          on the device: programs, records, extremes
trainer.py curricula.py restore.py       on the host
demonstrations/                          episodes of solvers or of known presets, to begin with
"""

from ddsprl.training.config import CurriculumConfig as CurriculumConfig
from ddsprl.training.config import LogConfig as LogConfig
from ddsprl.training.config import RunConfig as RunConfig
from ddsprl.training.config import WarmConfig as WarmConfig
from ddsprl.training.loop import Training as Training
from ddsprl.training.loop import make_agent as make_agent
from ddsprl.training.restore import load_agent as load_agent
