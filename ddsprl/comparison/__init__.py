"""Comparing methods at equal budget: targets, references, runs that can be continued, tables and pages."""

from ddsprl.comparison.plan import Method, Plan, load_plan
from ddsprl.comparison.suites import Case, Suite, preset_suite, recording_suite

__all__ = ["Case", "Method", "Plan", "Suite", "load_plan", "preset_suite", "recording_suite"]
