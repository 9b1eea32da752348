"""What a comparison is of: methods, targets, and how often what is searched for."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

DEFAULT_START, DEFAULT_COUNT = "library", 64


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
class TargetSettings:
    """Which targets.

    Attributes:
        suite: `presets` (random and bank), `random`, `bank` or `recordings`.
        folder: of recordings.
        notes: whether midi and gate are `given` or `estimated`.
        count: most targets of each part; None for 64 random ones and the whole of the others.
        sample_rate: in Hz.
        seconds: length of the presets' clips.
        max_seconds: longest stretch of a recording.
    """

    suite: str
    folder: Path
    notes: str
    count: int | None
    sample_rate: int
    seconds: float
    max_seconds: float


@dataclass(frozen=True)
class Experiment:
    """Everything that the numbers depend on.

    Attributes:
        instrument: what plays, a name of `synth_jax.INSTRUMENTS`.
        targets: which ones.
        methods: in the order of tables.
        budgets: renders for a target, each with tables of its own.
        seeds: runs of every method on every target.
        seed: of everything random.
        group: targets worked on together; None until it is known what suits the machine.
        gradient_cost: renders that a gradient is charged as, or `measured`.
    """

    instrument: str
    targets: TargetSettings
    methods: tuple[Method, ...]
    budgets: tuple[int, ...]
    seeds: int
    seed: int
    group: int | None
    gradient_cost: float | str

    def record(self) -> dict[str, Any]:
        """As JSON holds it, without paths."""
        targets = self.targets
        record: dict[str, Any] = {
            "instrument": self.instrument,
            "suite": targets.suite,
            "notes": targets.notes,
            "targets": targets.count,
            "sample_rate": targets.sample_rate,
            **{name: getattr(self, name) for name in ("seeds", "seed", "group", "gradient_cost")},
            "budgets": list(self.budgets),
            "methods": [method.record() for method in self.methods],
        }
        if targets.suite == "recordings":
            return record | {"folder": targets.folder.resolve().name, "max_seconds": targets.max_seconds}
        return record | {"seconds": targets.seconds}


def _frozen(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _frozen(item) for name, item in value.items()}
    return tuple(_frozen(item) for item in value) if isinstance(value, list) else value
