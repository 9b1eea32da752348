"""Options of a match and what is allowed in them."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import tyro

from ddsprl.fitting.core.driver import FINALISTS
from ddsprl.fitting.inversion.methods import DEFAULT_BUDGET, DEFAULT_METHOD, METHODS, Method, make_method
from ddsprl.fitting.posterior.priors import PRIORS
from ddsprl.fitting.starts.registry import STARTS
from ddsprl.io import UserError
from ddsprl.io.checks import known_names, one_of, within
from ddsprl.io.cli import parse_command_line
from ddsprl.plant import playable
from synth_jax.instruments import DEFAULT_INSTRUMENT
from synth_jax.params import Table

PROGRAM = "python -m ddsprl.match"
DESCRIPTION = (
    "Turn recordings of single notes into presets. Every target gets a directory of its own under --out, "
    "which appears only when it is complete; Ctrl-C keeps the best found so far. For several targets a "
    "manifest is kept there: the same command goes on where it was stopped."
)
SAMPLE_RATES = (8_000, 96_000)
AGENT = "agent"
# The gradient matcher that may polish an agent's presets; without polish it scores what it is given and ends.
POLISH = Method("adam", "neutral", starts=1)
# Presets of an episode that are handed on, best first.
HANDED_ON = 16


@dataclass(frozen=True)
class MatchOptions:
    """Turn recordings of single notes into presets."""

    targets: Annotated[tuple[Path, ...], tyro.conf.Positional]
    """Audio files, or directories of them. What is wrong with a file that is named here is an error; a bad
    file in a directory is reported and left out."""
    out: Annotated[Path, tyro.conf.arg(aliases=["-o"])]
    """Directory for the results, one sub-directory per target; nothing there is overwritten. An unfinished
    run over several targets with the same options is continued."""
    instrument: str = DEFAULT_INSTRUMENT
    """What plays: the name of an instrument of `synth_jax`; docs/ has a page on each."""
    method: str = DEFAULT_METHOD
    """How to search: a solver such as hybrid, adam, cma_es, random, or `agent`."""
    run: Path | None = None
    """Directory of the training run whose agent is to play; for --method agent."""
    polish: bool = False
    """Hand the agent's best presets to the gradient matcher, with the budget."""
    start: str | None = None
    """Where a solver begins: guess, mixed, best, library, bank, cues, neutral, random; if not given,
    where it does best."""
    top: int = 1
    """Presets to write for each target, best first, that differ in their knobs and to the ear: preset.json,
    preset_2.json and so on; fewer where no more differ. Each takes a search of its own, with the budget."""
    seed: int = 0
    """Of everything random."""
    budget: int = DEFAULT_BUDGET
    """Renders to spend on a search, 64 or more; a gradient counts as 3."""
    lock: tyro.conf.UseAppendAction[tuple[str, ...]] = ()
    """Knob to hold, in physical units, as --lock KNOB=VALUE; may be given several times."""
    midi: float | None = None
    """MIDI note of the targets (fractions allowed); estimated if not given."""
    gate: float | None = None
    """Seconds for which the key was held; estimated if not given."""
    sample_rate: int = 16_000
    """Rate at which targets are compared, in Hz."""
    max_seconds: float = 4.0
    """Longest stretch of a recording that is looked at."""
    report: bool = True
    """Draw report.png for each target. An accelerator finds presets faster than pictures are drawn."""
    posterior: bool = False
    """Also sample all presets that explain the sound: intervals for every knob, and which knobs it cannot
    tell, in result.json and posterior.png. Slow: about 60,000 renders more a target."""
    prior: str | None = None
    """What --posterior assumes of presets before it hears the sound: `table`, every position of every knob
    as likely as any other (if not given), or `bank`, likelier near the presets that come with the
    instrument."""
    quiet: bool = False
    """No progress display."""

    def record(self) -> dict[str, Any]:
        """What results depend on, as JSON holds it; no paths."""
        names = ["top", "seed", "budget", "midi", "gate", "sample_rate", "max_seconds", "posterior"]
        method = self.how()
        searched = {"method": self.method, "start": method.start, "lock": sorted(self.lock)}
        searched["instrument"] = self.instrument
        if self.run is not None:
            searched |= {"run": self.run.resolve().name, "polish": self.polish}
        searched["prior"] = self.prior_name()
        return {name: getattr(self, name) for name in names} | searched

    def prior_name(self) -> str | None:
        """Of `ddsprl.fitting.posterior.priors.PRIORS`; None where no posterior is sampled."""
        return (self.prior or PRIORS[0]) if self.posterior else None

    def how(self) -> Method:
        """What searches: for an agent, what its presets are handed to."""
        return POLISH if self.method == AGENT else make_method(self.method, self.start)


def parse_options(arguments: Sequence[str]) -> MatchOptions:
    """Options of a command line; raises what `parse_command_line` does."""
    return parse_command_line(
        MatchOptions, arguments, program=PROGRAM, description=DESCRIPTION, positional=("targets",)
    )


def check(options: MatchOptions) -> None:
    """Refuse what is unknown or outside its range.

    Raises:
        UserError: naming the option, its value and what is allowed.
    """
    if not options.targets:
        raise UserError("no target: name at least one audio file or directory")
    _check_method(options)
    within("--sample-rate", options.sample_rate, *SAMPLE_RATES, unit="Hz")
    within("--seed", options.seed, 0, 2**32 - 1)
    if options.midi is not None:
        within("--midi", options.midi, 0, 127)
    if options.gate is not None:
        within("--gate", options.gate, 0, 10, unit="seconds", above=True)
    within("--max-seconds", options.max_seconds, 0.25, 10)


def _check_method(options: MatchOptions) -> None:
    # `given` is for scripts, which have positions to give.
    starts = [name for name in STARTS if name != "given"]
    methods = (*METHODS, AGENT)
    named = (
        ("instrument", options.instrument, playable()),
        ("method", options.method, methods),
        ("start", options.start, starts),
        ("prior", options.prior, PRIORS),
    )
    for option, value, allowed in named:
        if value is not None:
            one_of(f"--{option}", value, allowed)
    if options.prior is not None and not options.posterior:
        raise UserError(f"--prior is {options.prior!r}, but it is of --posterior, which is not asked for")
    _check_agent(options)
    try:
        method = options.how()
    except ValueError as error:
        raise UserError(f"--{error}") from None
    if options.budget < 1:
        raise UserError(f"--budget is {options.budget}, at least 1 render is needed")
    if options.budget < method.starts:
        needed = f"{options.method} needs at least {method.starts} renders, to score its starts"
        raise UserError(f"--budget is {options.budget}, {needed}")
    within("--top", options.top, 1, FINALISTS)


def _check_agent(options: MatchOptions) -> None:
    if options.method == AGENT:
        if options.run is None:
            raise UserError("--method agent needs --run, the directory of a training run")
        if options.start is not None:
            raise UserError(f"--start is {options.start!r}, but an agent begins at the neutral patch")
        if options.polish and options.budget < HANDED_ON:
            raise UserError(f"--budget is {options.budget}, --polish needs at least {HANDED_ON} renders")
    elif options.run is not None or options.polish:
        option = "--run" if options.run is not None else "--polish"
        raise UserError(f"{option} is for --method agent, not for {options.method!r}")


def parse_locks(locks: Sequence[str], table: Table) -> tuple[np.ndarray, np.ndarray]:
    """`name=value` strings in physical units to a free mask and locked positions, each `[d]`.

    Raises:
        UserError: unknown knob, not a number, or outside the knob's range.
    """
    names = [spec.name for spec in table]
    free, locked = np.ones(len(table), np.float32), np.zeros(len(table), np.float32)
    for lock in locks:
        name, equals, text = lock.partition("=")
        if not equals:
            spec = table[0]
            raise UserError(f"--lock {lock}: expected name=value, such as {spec.name}={spec.default:g}")
        known_names(f"--lock {lock}", "knob", [name], names)
        spec = table[names.index(name)]
        try:
            value = float(text)
        except ValueError:
            raise UserError(f"--lock {lock}: {text!r} is not a number") from None
        within(f"--lock {lock}: {name}", value, spec.low, spec.high, unit=spec.unit)
        if spec.integer and value != round(value):
            raise UserError(f"--lock {lock}: {name} is {text}, only whole numbers are allowed")
        free[names.index(name)], locked[names.index(name)] = 0.0, spec.to_unit(value)
    return free, locked
