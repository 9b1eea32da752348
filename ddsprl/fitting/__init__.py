"""Turning knobs until a sound fits; each room below has a page of contents.

core/        what a solver is, what it works on, and who spends its budget
solvers/     random search, descent, evolution, the hybrid law
guess/       a trained network's guesses at the knobs
starts/      where searches begin
control/     problems that are not a match
posterior/   all the presets that explain a sound
inversion/   from sounds to presets, a group of targets at a time
findings/    what is said about the presets that were found
"""

from ddsprl.fitting.core.problem import Problem as Problem
from ddsprl.fitting.core.problem import Target as Target
from ddsprl.fitting.inversion.invert import Setup as Setup
from ddsprl.fitting.inversion.invert import invert as invert
from ddsprl.fitting.inversion.inverter import InversionConfig as InversionConfig
from ddsprl.fitting.inversion.inverter import Inverter as Inverter
from ddsprl.fitting.inversion.records import Inversion as Inversion
from ddsprl.fitting.starts.library import Library as Library
from ddsprl.fitting.starts.library import LibraryConfig as LibraryConfig
