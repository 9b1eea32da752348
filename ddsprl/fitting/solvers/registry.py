"""All solvers by name; the laws in the tests run over this table, so a new solver is tested on arrival.

An entry makes a solver from settings that all have defaults: a frozen dataclass, or one with a field filled
in.
"""

import dataclasses
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from ddsprl.fitting.core.solver import Solver, needs_gradient
from ddsprl.fitting.solvers.evolution import Evosax
from ddsprl.fitting.solvers.gradient import MultiStartAdam
from ddsprl.fitting.solvers.hybrid import Hybrid
from ddsprl.fitting.solvers.random_search import RandomSearch
from synth_jax.params import nearest_hint

SOLVERS: dict[str, Callable[..., Solver]] = {
    "random": RandomSearch,
    "adam": MultiStartAdam,
    "hybrid": Hybrid,
    "cma_es": partial(Evosax, "cma_es"),
    "sep_cma_es": partial(Evosax, "sep_cma_es"),
    "simple_es": partial(Evosax, "simple_es"),
    "snes": partial(Evosax, "snes"),
    "differential_evolution": partial(Evosax, "differential_evolution"),
    "pso": partial(Evosax, "pso"),
}


def make_solver(name: str, **settings: Any) -> Solver:
    """A solver by name; what is not set has the entry's default.

    Raises:
        ValueError: no such solver or setting, with the nearest valid name, or a value that is not allowed.
    """
    if name not in SOLVERS:
        raise ValueError(f"no solver {name!r}{nearest_hint(name, list(SOLVERS))}")
    return SOLVERS[name](**_filled(name, settings, settings_of(name)))


def _filled(where: str, given: Mapping[str, Any], known: Mapping[str, Any]) -> dict[str, Any]:
    """Settings with groups of settings (a mapping for a dataclass) turned into what the solver takes.

    Raises:
        ValueError: no such setting.
    """
    filled = {}
    for setting, value in given.items():
        if setting not in known:
            raise ValueError(f"{where} has no setting {setting!r}{nearest_hint(setting, list(known))}")
        default = known[setting]
        if dataclasses.is_dataclass(default) and isinstance(value, Mapping):
            inner = {field.name: getattr(default, field.name) for field in dataclasses.fields(default)}
            value = dataclasses.replace(default, **_filled(f"{where}: {setting}", value, inner))  # pyright: ignore
        filled[setting] = value
    return filled


def settings_of(name: str) -> dict[str, Any]:
    """Settings of a solver and their defaults."""
    solver = SOLVERS[name]()
    entry = SOLVERS[name]
    # What an entry has filled in by position makes it that entry.
    fixed = len(entry.args) if isinstance(entry, partial) else 0
    fields = dataclasses.fields(solver)[fixed:]  # pyright: ignore[reportArgumentType]
    return {field.name: getattr(solver, field.name) for field in fields}


def gradient_free() -> list[str]:
    """Names of the solvers that work on plants which cannot be differentiated."""
    return [name for name in SOLVERS if not needs_gradient(make_solver(name))]
