"""Turning knobs until a sound fits: libraries, proposals, gradient polish, batch inversion."""

from ddsprl.fitting.inversion import Inversion as Inversion
from ddsprl.fitting.inversion import invert as invert
from ddsprl.fitting.inverter import InversionConfig as InversionConfig
from ddsprl.fitting.inverter import Inverter as Inverter
from ddsprl.fitting.library import Library as Library
from ddsprl.fitting.library import LibraryConfig as LibraryConfig
from ddsprl.fitting.problem import Problem as Problem
from ddsprl.fitting.problem import Target as Target
