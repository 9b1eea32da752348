"""Turning knobs until a sound fits: libraries, proposals, gradient polish, batch inversion."""

from ddsprl.fitting.core.problem import Problem as Problem
from ddsprl.fitting.core.problem import Target as Target
from ddsprl.fitting.inversion.invert import Inversion as Inversion
from ddsprl.fitting.inversion.invert import invert as invert
from ddsprl.fitting.inversion.inverter import InversionConfig as InversionConfig
from ddsprl.fitting.inversion.inverter import Inverter as Inverter
from ddsprl.fitting.starts.library import Library as Library
from ddsprl.fitting.starts.library import LibraryConfig as LibraryConfig
