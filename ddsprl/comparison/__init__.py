"""Comparing methods at equal budget: targets, references, runs that can be continued, tables and pages."""

from ddsprl.comparison.options import read_configuration
from ddsprl.comparison.plan import Experiment, Method, TargetSettings
from ddsprl.comparison.suites import Case, Suite, preset_suite, recording_suite

__all__ = [
    "Case",
    "Experiment",
    "Method",
    "Suite",
    "TargetSettings",
    "preset_suite",
    "read_configuration",
    "recording_suite",
]
