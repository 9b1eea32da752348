"""Options of `python -m ddsprl.train`: the command line over the configuration file over the defaults.

The files of `configs/` come with the package; a file that is not found as given is looked for there. A file
with `extends: default` holds what differs from `default.yaml` beside it.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Annotated

import tyro

from ddsprl.io import UserError, did_you_mean
from ddsprl.io.checks import within
from ddsprl.io.cli import check_options, parse
from ddsprl.io.runs import open_run
from ddsprl.io.settings import names, override, read_yaml
from ddsprl.training.config import RunConfig, checked, settings_for, value_in

PROGRAM = "python -m ddsprl.train"
DESCRIPTION = (
    "Train an agent that turns a synthesizer's knobs until it sounds like the target. Every run gets a "
    "directory of its own with its settings, logs, checkpoints and sounds; Ctrl-C saves, and --resume goes "
    "on. Any field of the settings may be given by its dotted name, such as --loop.n_envs 32."
)
DEFAULT_CONFIG = Path("configs/default.yaml")
# Key of a file that another one is laid over, by its name without ending.
EXTENDS = "extends"
EXPECTED = "fields and their values, such as seed: 1"
# What may change when a run goes on: how long it lasts, and what it writes down.
CHANGEABLE = ("loop.iterations", "log.")
# What decides which other fields there are.
CHOOSE = ("agent.name", "env.name")


@dataclass(frozen=True, kw_only=True)
class TrainOptions:
    """Train an agent."""

    run: Annotated[RunConfig, tyro.conf.arg(name=""), tyro.conf.FlagConversionOff] = field(
        default_factory=RunConfig
    )
    """Settings."""
    config: Path = DEFAULT_CONFIG
    """YAML file with fields that differ from the defaults."""
    resume: Path | None = None
    """Directory of a run to go on with, bit for bit where it was saved last. Its settings stay, but
    loop.iterations and those under log."""
    out: Annotated[Path, tyro.conf.arg(aliases=["-o"])] = Path("out/train")
    """Directory of all runs; a new one becomes NAME-001 and so on in it."""
    stop_at: int | None = None
    """Leave after so many iterations, as an interruption would: saved, to be resumed."""
    quiet: bool = False
    """No progress display."""


_OWN = tuple(f.name for f in dataclasses.fields(TrainOptions) if f.name != "run")


def parse_options(arguments: Sequence[str]) -> TrainOptions:
    """Options of a command line, with the configuration file behind them.

    Raises:
        UserError: an unknown option or field, or a value that cannot be; one line.
        SystemExit: help was asked for, and printed.
    """
    resume, config = _value_of(arguments, "resume"), _value_of(arguments, "config")
    if resume is not None:
        run = config_of(Path(resume))
    else:
        chosen = {name: value for name in CHOOSE if (value := _value_of(arguments, name)) is not None}
        run = load_config(DEFAULT_CONFIG if config is None else Path(config), chosen)
    given = check_options(arguments, (*_OWN, *names(run)))
    if resume is not None:
        _check_changes(given)
    default = TrainOptions(run=run)
    options = parse(TrainOptions, arguments, program=PROGRAM, description=DESCRIPTION, default=default)
    if options.stop_at is not None:
        within("--stop-at", options.stop_at, 1)
    return dataclasses.replace(options, run=checked(options.run))


def load_config(path: Path, chosen: Mapping[str, str] | None = None) -> RunConfig:
    """The settings of a configuration file: its fields over those of the file that it extends, if any.

    Args:
        path: of the file.
        chosen: names of agent and environment that go over those of the file.

    Raises:
        UserError: there is no such file, or something in it cannot be.
    """
    found = find_config(path)
    given = read_yaml(found, expected=EXPECTED)
    base, over = given.pop(EXTENDS, None), {} if chosen is None else chosen
    if base is None:
        given |= over
        return override(settings_for(given), given, where=str(found))
    beside = found.with_name(f"{base}.yaml")
    if beside == found or not beside.is_file():
        known = sorted(file.stem for file in found.parent.glob("*.yaml") if file != found)
        raise UserError(
            f"{found}: {EXTENDS} is {base!r}, no other file beside it{did_you_mean(str(base), known)}"
        )
    under = read_yaml(beside, expected=EXPECTED)
    if EXTENDS in under:
        raise UserError(f"{found}: {EXTENDS} is {base!r}, which extends another file itself")
    given |= over
    named = {name: x for name in CHOOSE if (x := value_in(given, name)) is not None}
    plain = settings_for({**under, **named})
    return override(override(plain, under, where=str(beside)), given, where=str(found))


def config_of(path: Path) -> RunConfig:
    """The settings of an existing run.

    Raises:
        UserError: there is no such run, or its settings are not those of this version.
    """
    run, where = open_run(path), path / "config.json"
    for name in CHOOSE:
        if value_in(run.config, name) is None:
            raise UserError(f"{where}: has no {name}: the run is of an earlier version, and cannot be used")
    return override(settings_for(run.config), run.config, where=str(where))


def find_config(path: Path) -> Path:
    """The file itself, or the one of that name that comes with the package.

    Raises:
        UserError: there is neither.
    """
    if path.is_file():
        return path
    shipped = shipped_configs()
    name = path.name if path.suffix else f"{path.name}.yaml"
    for folder in shipped:
        if path.parent in (Path(), Path("configs")) and (folder / name).is_file():
            return folder / name
    known = sorted({file.stem for folder in shipped for file in folder.glob("*.yaml")})
    raise UserError(f"--config: {path} does not exist{did_you_mean(path.stem, known)}")


def shipped_configs() -> tuple[Path, ...]:
    """Folders of the configurations that come with the project: installed, or in a checkout."""
    installed = Path(str(resources.files("ddsprl"))) / "_configs"
    checkout = Path(__file__).resolve().parents[2] / "configs"
    return tuple(folder for folder in (installed, checkout) if folder.is_dir())


def _check_changes(given: Sequence[str]) -> None:
    for name in given:
        if name == "config" or (name not in _OWN and not name.startswith(CHANGEABLE)):
            raise UserError(f"--{name} cannot be given with --resume: a run goes on with its own settings")


def _value_of(arguments: Sequence[str], name: str) -> str | None:
    """The value of an option of the plain form `--name value` or `--name=value`; the last one counts."""
    found = None
    for i, argument in enumerate(arguments):
        option, equals, value = argument.partition("=")
        if option == f"--{name}":
            found = value if equals else next(iter(arguments[i + 1 : i + 2]), None)
    return found
