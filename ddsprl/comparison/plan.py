"""What is compared: methods by name, from a YAML file.

    defaults: {suite: presets, budgets: [2048, 8192], seeds: 3}     # the command line overrides these
    methods:
      - label: cma_es                  # in tables; unique
        solver: cma_es                 # a name of the solver registry
        start: library                 # a name of the start registry; `library` if left out
        count: 64                      # positions to start at; 64 if left out
        charge_shared: true            # shared work is paid from the budget; false if left out
        times: 10                      # it may spend ten times the budget; 1 if left out
        settings: {population: 32}     # of the solver; the rest at their defaults

Every key that is not known is an error that names the nearest one.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from ddsprl.io import UserError, did_you_mean
from ddsprl.io.yaml_files import read_yaml

DEFAULT_START, DEFAULT_COUNT = "library", 64
MOST_STARTS = 4096
MOST_TIMES = 1000
TOP = ("defaults", "methods")


@dataclass(frozen=True)
class Method:
    """One entry of a comparison.

    Attributes:
        label: in tables, unique.
        solver: name in the solver registry.
        start: name in the start registry.
        count: positions asked of the start; they are scored and charged.
        charge_shared: whether work that the start shares among targets (pages of a library, renders that
            trained a model) is taken out of the budget, divided by the targets of the comparison. It is
            reported in any case.
        times: how many times the budget of its table it may spend. Not an equal comparison: it answers how
            much longer another method must search.
        settings: of the solver; others are at their defaults.
    """

    label: str
    solver: str
    start: str = DEFAULT_START
    count: int = DEFAULT_COUNT
    charge_shared: bool = False
    times: int = 1
    settings: Mapping[str, Any] = field(default_factory=dict)

    def solver_settings(self) -> dict[str, Any]:
        """Settings as a solver takes them: lists are tuples, so that it is hashable."""
        return {name: _frozen(value) for name, value in self.settings.items()}

    def record(self) -> dict[str, Any]:
        """As JSON holds it."""
        return {**{f.name: getattr(self, f.name) for f in fields(self)}, "settings": dict(self.settings)}


@dataclass(frozen=True)
class Plan:
    """A configuration file.

    Attributes:
        methods: in the order of the file.
        defaults: of options, by name.
    """

    methods: tuple[Method, ...]
    defaults: Mapping[str, Any]

    def choose(self, labels: Sequence[str]) -> tuple[Method, ...]:
        """The methods of some labels, in that order; all of them if there are none.

        Raises:
            UserError: no such method, or one twice.
        """
        known = {method.label: method for method in self.methods}
        for label in labels:
            if label not in known:
                hint = did_you_mean(label, known) or f"; there are {', '.join(known)}"
                raise UserError(f"--methods: no method {label!r} in the configuration{hint}")
        if len(set(labels)) < len(labels):
            raise UserError(f"--methods: {' '.join(labels)} names a method twice")
        return tuple(known[label] for label in labels) if labels else self.methods


def load_plan(path: Path, *, solvers: Sequence[str], starts: Sequence[str], options: Sequence[str]) -> Plan:
    """Read and check a configuration file.

    Args:
        path: of the YAML file.
        solvers: names of the solver registry.
        starts: names of the start registry.
        options: names that `defaults` may set.

    Raises:
        UserError: it cannot be read, or something in it is not known.
    """
    content = read_yaml(path, expected=f"the keys {' and '.join(TOP)}")
    _check_keys(content, TOP, str(path))
    defaults = content.get("defaults") or {}
    if not isinstance(defaults, dict):
        raise UserError(f"{path}: defaults must be options by name")
    _check_keys(defaults, options, f"{path}: defaults")
    entries = content.get("methods")
    if not isinstance(entries, list) or not entries:
        raise UserError(f"{path}: methods must be a list with at least one method")
    methods = tuple(
        _method(entry, f"{path}: methods[{i}]", solvers, starts) for i, entry in enumerate(entries)
    )
    labels = [method.label for method in methods]
    for label in labels:
        if labels.count(label) > 1:
            raise UserError(f"{path}: methods: {label!r} stands there twice; labels must be unique")
    return Plan(methods, defaults)


def _method(entry: Any, where: str, solvers: Sequence[str], starts: Sequence[str]) -> Method:
    if not isinstance(entry, dict):
        raise UserError(f"{where}: must hold label, solver, start, count, charge_shared, times and settings")
    _check_keys(entry, [f.name for f in fields(Method)], where)
    solver = entry.get("solver")
    if solver is None:
        raise UserError(f"{where}: solver is missing; one of {', '.join(solvers)}")
    start, settings = entry.get("start", DEFAULT_START), entry.get("settings") or {}
    for name, value, allowed in (("solver", solver, solvers), ("start", start, starts)):
        if value not in allowed:
            hint = did_you_mean(str(value), allowed) or f"; allowed are {', '.join(allowed)}"
            raise UserError(f"{where}: {name} is {value!r}{hint}")
    label = entry.get("label", solver)
    if not isinstance(label, str) or not label.replace("_", "").replace("-", "").isalnum():
        raise UserError(f"{where}: label is {label!r}; letters, digits, - and _ are allowed")
    if not isinstance(settings, dict):
        raise UserError(f"{where}: settings must be values by name")
    count = _whole(entry, "count", DEFAULT_COUNT, MOST_STARTS, where)
    times = _whole(entry, "times", 1, MOST_TIMES, where)
    charge_shared = entry.get("charge_shared", False)
    if not isinstance(charge_shared, bool):
        raise UserError(f"{where}: charge_shared is {charge_shared!r}, allowed are true and false")
    return Method(label, solver, start, count, charge_shared, times, settings)


def _whole(entry: Mapping[str, Any], name: str, default: int, most: int, where: str) -> int:
    value = entry.get(name, default)
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= most:
        raise UserError(f"{where}: {name} is {value!r}, allowed are 1 to {most}")
    return value


def _frozen(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _frozen(item) for name, item in value.items()}
    return tuple(_frozen(item) for item in value) if isinstance(value, list) else value


def _check_keys(given: Mapping[str, Any], allowed: Sequence[str], where: str) -> None:
    for key in given:
        if key not in allowed:
            hint = did_you_mean(str(key), allowed) or f"; allowed are {', '.join(allowed)}"
            raise UserError(f"{where}: no key {key!r}{hint}")
