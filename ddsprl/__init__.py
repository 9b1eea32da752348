"""ddsprl: turning the knobs of differentiable synthesizers until they sound like a target."""

from ddsprl.env import make_env as make_env
from ddsprl.features import analyze as analyze
from ddsprl.fitting.inversion.invert import Setup as Setup
from ddsprl.fitting.inversion.invert import invert as invert
from ddsprl.fitting.inversion.invert import invert_stream as invert_stream
from ddsprl.fitting.inversion.records import Inversion as Inversion
from ddsprl.losses import Objective as Objective
from ddsprl.plant import Plant as Plant
