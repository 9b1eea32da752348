"""Options of a comparison: the command line over the configuration file over the defaults here.

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
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import tyro

from ddsprl.comparison.plan import DEFAULT_COUNT, DEFAULT_START, Experiment, Method, TargetSettings
from ddsprl.comparison.pricing import MEASURED
from ddsprl.comparison.suites import SUITES
from ddsprl.fitting.core.budget import GRADIENT_COST
from ddsprl.io import UserError
from ddsprl.io.checks import all_different, known_names, one_of, plain_name, within
from ddsprl.io.cli import parse_command_line
from ddsprl.io.errors import did_you_mean
from ddsprl.io.settings import of_kind, read_yaml
from ddsprl.plant import playable
from synth_jax.instruments import DEFAULT_INSTRUMENT

PROGRAM = "python -m ddsprl.compare"
DESCRIPTION = (
    "Compare search methods at equal budget, on presets whose knobs are known or on recordings. What is "
    "finished is kept under --out: the same command goes on where it was interrupted."
)
NOTES = ("given", "estimated")
LEAST_PRICE, MOST_PRICE = 1, 100
MOST_STARTS, MOST_TIMES = 4096, 1000
TOP = ("defaults", "methods")
# Values where neither the command line nor the configuration says anything.
FALLBACK: dict[str, Any] = {
    "instrument": DEFAULT_INSTRUMENT,
    "suite": "presets",
    "budgets": (2048,),
    "seeds": 3,
    "targets": None,
    "notes": "given",
    "sample_rate": 16_000,
    "seconds": 0.5,
    "max_seconds": 4.0,
    "seed": 2026,
    "group": None,
    "gradient_cost": GRADIENT_COST,
    "players": 8,
}
# Least and most of every number that is bounded.
RANGES: dict[str, tuple[float, float]] = {
    "seeds": (1, 100),
    "targets": (1, 4096),
    "group": (1, 4096),
    "sample_rate": (8_000, 96_000),
    "seconds": (0.1, 10.0),
    "max_seconds": (0.25, 10.0),
    "seed": (0, 2**32 - 1),
    "players": (0, 64),
}


@dataclass(frozen=True)
class CompareOptions:
    """Compare search methods at equal budget."""

    out: Annotated[Path, tyro.conf.arg(aliases=["-o"])]
    """Directory of the comparison; one that holds an unfinished one with the same options is continued."""
    config: Path = Path("configs/compare.yaml")
    """YAML file with the methods, and defaults for these options."""
    methods: tuple[str, ...] = ()
    """Labels of the methods to compare; all of the file if none."""
    instrument: str | None = None
    """What plays: the name of an instrument of `synth_jax`; the default one if not given."""
    suite: str | None = None
    """presets (random and bank), random, bank, or recordings. Default: presets."""
    folder: Path = Path("tests/data/targets")
    """Folder of audio files for the recordings, with an optional manifest.json of midi and gate_s."""
    notes: str | None = None
    """Whether midi and gate are `given` to every method or `estimated` from the sound. Default: given."""
    budgets: tuple[int, ...] | None = None
    """Renders to spend on a target; a gradient is charged as several. Default: 2048."""
    seeds: int | None = None
    """Runs of every method on every target. Default: 3."""
    targets: int | None = None
    """Most targets of each part of the suite. Default: 64 random presets, the whole bank, all recordings."""
    ratio: tuple[str, ...] = ()
    """Two labels: the median excess ratio of the first over that of the second is reported."""
    sample_rate: int | None = None
    """Rate of comparison in Hz. Default: 16000."""
    seconds: float | None = None
    """Length of the presets' clips. Default: 0.5."""
    max_seconds: float | None = None
    """Longest stretch of a recording that is looked at. Default: 4."""
    seed: int | None = None
    """Of everything random. Default: 2026."""
    group: int | None = None
    """Targets worked on together. Default: 1 on a CPU, 16 a device on accelerators."""
    gradient_cost: str | None = None
    """Renders that a gradient is charged as: a number (what it really costs stands beside it), or `measured`
    for what it costs when the comparison begins, at each method's batch, rounded up to the next sixteenth.
    Default: 3."""
    players: int | None = None
    """Targets that can be listened to in the report. Default: 8."""
    quiet: bool = False
    """No progress display."""


@dataclass(frozen=True)
class Output:
    """Where a comparison goes, and what is shown of it.

    Attributes:
        directory: of pieces and results.
        ratio: two labels whose medians are divided, or nothing.
        players: targets that can be listened to in the report.
        quiet: no progress display.
    """

    directory: Path
    ratio: tuple[str, ...]
    players: int
    quiet: bool


class Settings(NamedTuple):
    """Options with every value settled and checked."""

    experiment: Experiment
    output: Output


def parse_options(arguments: Sequence[str]) -> CompareOptions:
    """Options of a command line; raises what `parse_command_line` does."""
    return parse_command_line(CompareOptions, arguments, program=PROGRAM, description=DESCRIPTION)


def settle(options: CompareOptions, *, solvers: Sequence[str], starts: Sequence[str]) -> Settings:
    """Options and configuration file together, checked.

    Args:
        options: of the command line.
        solvers: names of the solver registry.
        starts: names of the start registry.

    Raises:
        UserError: something is unknown or outside its range.
    """
    methods, defaults = read_configuration(options.config, solvers=solvers, starts=starts)
    values = {name: _value(options, defaults, name) for name in FALLBACK}
    _check(values)
    chosen = _chosen(methods, options.methods)
    if options.ratio and len(options.ratio) != 2:
        raise UserError(f"--ratio: {' '.join(options.ratio)} must be two labels of methods")
    for label in options.ratio:
        one_of("--ratio", label, [method.label for method in chosen])
    targets = TargetSettings(
        folder=options.folder,
        count=values["targets"],
        **{name: values[name] for name in ("suite", "notes", "sample_rate", "seconds", "max_seconds")},
    )
    searched = {
        name: values[name] for name in ("instrument", "budgets", "seeds", "seed", "group", "gradient_cost")
    }
    output = Output(options.out, options.ratio, values["players"], options.quiet)
    return Settings(Experiment(targets=targets, methods=chosen, **searched), output)


def read_configuration(
    path: Path, *, solvers: Sequence[str], starts: Sequence[str]
) -> tuple[tuple[Method, ...], Mapping[str, Any]]:
    """Methods of a configuration file, in its order, and its defaults for options, by name.

    Args:
        path: of the YAML file.
        solvers: names of the solver registry.
        starts: names of the start registry.

    Raises:
        UserError: it cannot be read, or something in it is not known.
    """
    content = read_yaml(path, expected=f"the keys {' and '.join(TOP)}")
    known_names(str(path), "key", content, TOP)
    defaults = content.get("defaults") or {}
    if not isinstance(defaults, dict):
        raise UserError(f"{path}: defaults must be options by name")
    known_names(f"{path}: defaults", "key", defaults, FALLBACK)
    entries = content.get("methods")
    if not isinstance(entries, list) or not entries:
        raise UserError(f"{path}: methods must be a list with at least one method")
    methods = tuple(
        _method(entry, f"{path}: methods[{i}]", solvers, starts) for i, entry in enumerate(entries)
    )
    all_different(f"{path}: methods", [method.label for method in methods])
    return methods, defaults


def _method(entry: Any, where: str, solvers: Sequence[str], starts: Sequence[str]) -> Method:
    if not isinstance(entry, dict):
        raise UserError(f"{where}: must hold label, solver, start, count, charge_shared, times and settings")
    known_names(where, "key", entry, [f.name for f in fields(Method)])
    solver, start = entry.get("solver"), entry.get("start", DEFAULT_START)
    if solver is None:
        raise UserError(f"{where}: solver is missing; one of {', '.join(solvers)}")
    one_of(f"{where}: solver", solver, solvers)
    one_of(f"{where}: start", start, starts)
    label, settings = entry.get("label", solver), entry.get("settings") or {}
    plain_name(f"{where}: label", label)
    if not isinstance(settings, dict):
        raise UserError(f"{where}: settings must be values by name")
    count = of_kind(entry.get("count", DEFAULT_COUNT), int, f"{where}: count")
    times = of_kind(entry.get("times", 1), int, f"{where}: times")
    within(f"{where}: count", count, 1, MOST_STARTS)
    within(f"{where}: times", times, 1, MOST_TIMES)
    charge_shared = of_kind(entry.get("charge_shared", False), bool, f"{where}: charge_shared")
    return Method(label, solver, start, count, charge_shared, times, settings)


def _chosen(methods: Sequence[Method], labels: Sequence[str]) -> tuple[Method, ...]:
    """The methods of some labels, in that order; all of them if there are none."""
    known = {method.label: method for method in methods}
    known_names("--methods", "method", labels, known)
    all_different("--methods", labels)
    return tuple(known[label] for label in labels) if labels else tuple(methods)


def _value(options: CompareOptions, defaults: Mapping[str, Any], name: str) -> Any:
    """What the command line says, else the file, else nothing but the fallback."""
    given = getattr(options, name)
    if given is None:
        given = defaults.get(name)
    if given is None:
        return FALLBACK[name]
    if name == "gradient_cost":
        return _price(given)
    example = FALLBACK[name]
    kind = tuple[int, ...] if name == "budgets" else int if example is None else type(example)
    return of_kind(given, kind, f"{options.config}: defaults: {name}")


def _price(value: Any) -> float | str:
    """A price as it was given, or `MEASURED`; a whole number of renders as an integer."""
    if value == MEASURED:
        return MEASURED
    try:
        number = float("nan" if isinstance(value, bool) else value)
    except (TypeError, ValueError):
        number = float("nan")
    if not LEAST_PRICE <= number <= MOST_PRICE:
        hint = did_you_mean(str(value), [MEASURED])
        said = f"allowed are {LEAST_PRICE} to {MOST_PRICE}, and {MEASURED}"
        raise UserError(f"--gradient-cost is {value}, {said}{hint}")
    return int(number) if number.is_integer() else number


def _check(values: Mapping[str, Any]) -> None:
    one_of("--instrument", values["instrument"], playable())
    one_of("--suite", values["suite"], SUITES)
    one_of("--notes", values["notes"], NOTES)
    for name, (low, high) in RANGES.items():
        if values[name] is not None:
            within(f"--{name.replace('_', '-')}", values[name], low, high)
    if not values["budgets"]:
        raise UserError("--budgets: at least one is needed")
    all_different("--budgets", values["budgets"])
    for budget in values["budgets"]:
        within("--budgets", budget, 1, 10**8)
