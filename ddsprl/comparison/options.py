"""Options of a comparison: the command line over the configuration file over the defaults here."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import tyro

from ddsprl.comparison.plan import Method, Plan, load_plan
from ddsprl.fitting.core.budget import GRADIENT_COST
from ddsprl.io import UserError, did_you_mean
from ddsprl.io.cli import parse_command_line
from ddsprl.plant import playable
from synth_jax.instruments import DEFAULT_INSTRUMENT

PROGRAM = "python -m ddsprl.compare"
DESCRIPTION = (
    "Compare search methods at equal budget, on presets whose knobs are known or on recordings. What is "
    "finished is kept under --out: the same command goes on where it was interrupted."
)
SUITES = {"presets": ("random", "bank"), "random": ("random",), "bank": ("bank",), "recordings": ()}
NOTES = ("given", "estimated")
# Instead of a number: measured when the comparison begins.
MEASURED = "measured"
LEAST_PRICE, MOST_PRICE = 1, 100
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
class Settings:
    """Options with every value settled; attributes as in `CompareOptions`."""

    out: Path
    methods: tuple[Method, ...]
    instrument: str
    suite: str
    folder: Path
    notes: str
    budgets: tuple[int, ...]
    seeds: int
    targets: int | None
    ratio: tuple[str, ...]
    sample_rate: int
    seconds: float
    max_seconds: float
    seed: int
    group: int | None
    gradient_cost: float | str
    players: int
    quiet: bool

    def record(self) -> dict[str, Any]:
        """What the numbers depend on, as JSON holds it; no paths."""
        shown = ("instrument", "suite", "notes", "seeds", "targets", "sample_rate", "seed", "group")
        record: dict[str, Any] = {name: getattr(self, name) for name in (*shown, "gradient_cost")}
        if self.suite == "recordings":
            record |= {"folder": self.folder.resolve().name, "max_seconds": self.max_seconds}
        else:
            record["seconds"] = self.seconds
        return record | {"budgets": list(self.budgets), "methods": [m.record() for m in self.methods]}


def parse_options(arguments: Sequence[str]) -> CompareOptions:
    """Options of a command line; what cannot be read becomes one line.

    Raises:
        UserError: an unknown option, a missing one, or a value of the wrong kind.
        SystemExit: help was asked for, and printed.
    """
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
    plan = load_plan(options.config, solvers=solvers, starts=starts, options=tuple(FALLBACK))
    values = {name: _value(options, plan, name) for name in FALLBACK}
    settings = Settings(
        out=options.out,
        methods=plan.choose(options.methods),
        folder=options.folder,
        ratio=options.ratio,
        quiet=options.quiet,
        **values,
    )
    _check(settings)
    return settings


def _value(options: CompareOptions, plan: Plan, name: str) -> Any:
    given = getattr(options, name)
    if given is None:
        given = plan.defaults.get(name)
    value = FALLBACK[name] if given is None else given
    if name == "gradient_cost":
        return _price(value)
    if name == "budgets":
        value = tuple(value) if isinstance(value, list | tuple) else (value,)
    example = FALLBACK[name]
    kind = str if isinstance(example, str) else (int, float) if isinstance(example, float) else int
    items = value if name == "budgets" else () if value is None else (value,)
    for item in items:
        if not isinstance(item, kind) or isinstance(item, bool):
            raise UserError(f"{options.config}: defaults: {name} is {item!r}, which is of the wrong kind")
    return value


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


def _check(settings: Settings) -> None:
    labels = [method.label for method in settings.methods]
    _one_of("--instrument", settings.instrument, playable())
    _one_of("--suite", settings.suite, tuple(SUITES))
    _one_of("--notes", settings.notes, NOTES)
    for name, low, high in (
        ("seeds", 1, 100),
        ("sample_rate", 8_000, 96_000),
        ("seconds", 0.1, 10.0),
        ("max_seconds", 0.25, 10.0),
        ("seed", 0, 2**32 - 1),
        ("players", 0, 64),
    ):
        _within(name, getattr(settings, name), low, high)
    for name in ("targets", "group"):
        if getattr(settings, name) is not None:
            _within(name, getattr(settings, name), 1, 4096)
    if not settings.budgets or len(set(settings.budgets)) < len(settings.budgets):
        raise UserError(f"--budgets: {settings.budgets} must be different numbers, at least one")
    for budget in settings.budgets:
        _within("budgets", budget, 1, 10**8)
    if settings.ratio and len(settings.ratio) != 2:
        raise UserError(f"--ratio: {' '.join(settings.ratio)} must be two labels of methods")
    for label in settings.ratio:
        _one_of("--ratio", label, labels)


def _within(name: str, value: float, low: float, high: float) -> None:
    if not low <= value <= high:
        option = name.replace("_", "-")
        raise UserError(f"--{option} is {value}, allowed are {low} to {high}")


def _one_of(option: str, value: str, allowed: Sequence[str]) -> None:
    if value not in allowed:
        raise UserError(
            f"{option} is {value!r}{did_you_mean(value, allowed)}; allowed are {', '.join(allowed)}"
        )
