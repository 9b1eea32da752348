"""The header of a guess's weights: what they are of, how they came about, and whether they may be used."""

import math
from dataclasses import dataclass, fields
from typing import Any

from ddsprl.fitting.guess.features import DURATION_S, RATE_HZ
from ddsprl.fitting.guess.network import GuessNetwork
from ddsprl.io import UserError
from synth_jax import INSTRUMENTS, Instrument
from synth_jax.params import nearest_hint, table_digest

FORMAT = "ddsprl-guess"
# Counted up when the features or the network change: older weights then mean nothing.
VERSION = 1
# Wider networks than anyone trains; what a header asks for is allocated.
MOST_HIDDEN, MOST_SHARED, MOST_COMPONENTS = 8192, 1024, 512


@dataclass(frozen=True, kw_only=True)
class GuessHeader:
    """What weights are of and how they came about.

    Attributes:
        format: `FORMAT`.
        version: `VERSION`.
        instrument: whose knobs.
        table: digest of its table of knobs, `synth_jax.params.table_digest`.
        sample_rate: at which it is heard, in Hz.
        training_renders: clips rendered to train it.
        validation_renders: clips rendered to say how good it is.
        validation_nll: mean negative log density of the knobs of those, in nats; uniform guesses have 0.
        seed: of the training.
        components: of the mixture.
        hidden: width of the network.
        shared: width of its layers over frames.
    """

    format: str = FORMAT
    version: int = VERSION
    instrument: str
    table: str
    sample_rate: int = RATE_HZ
    training_renders: int
    validation_renders: int
    validation_nll: float
    seed: int
    components: int
    hidden: int
    shared: int

    def network(self) -> GuessNetwork:
        """The network that the weights belong to."""
        knobs = len(_instrument(self.instrument).table)
        return GuessNetwork(knobs, self.components, self.hidden, self.shared)


def check_header(given: Any, place: str) -> GuessHeader:
    """A header read from a file, checked.

    Raises:
        UserError: naming the field, its value and what is allowed.
    """
    if not isinstance(given, dict):
        raise UserError(f"{place}: its header is no JSON object")
    known = {field.name: field.type for field in fields(GuessHeader)}
    for name in [*given, *known]:
        if name not in known:
            raise UserError(f"{place}: no header field {name!r}{nearest_hint(name, list(known))}")
        if name not in given:
            raise UserError(f"{place}: header field {name} is missing")
        kind: Any = known[name]
        if not (type(given[name]) is kind or (kind is float and type(given[name]) is int)):
            raise UserError(f"{place}: {name} is {given[name]!r}, expected {kind.__name__}")
    header = GuessHeader(**given)
    for name, only in (("format", FORMAT), ("version", VERSION), ("sample_rate", RATE_HZ)):
        if given[name] != only:
            raise UserError(f"{place}: {name} is {given[name]!r}, only {only!r} can be read")
    if header.instrument not in INSTRUMENTS:
        hint = nearest_hint(header.instrument, list(INSTRUMENTS))
        raise UserError(f"{place}: no instrument {header.instrument!r}{hint}")
    if header.table != (now := table_digest(_instrument(header.instrument).table)):
        raise UserError(
            f"{place}: table is {header.table!r}, the knobs of {header.instrument} are now {now!r}"
        )
    most = {"components": MOST_COMPONENTS, "hidden": MOST_HIDDEN, "shared": MOST_SHARED}
    for name, high in (most | dict.fromkeys(("training_renders", "validation_renders"), 2**40)).items():
        if not 1 <= given[name] <= high:
            raise UserError(f"{place}: {name} is {given[name]}, allowed are 1 to {high}")
    if not math.isfinite(header.validation_nll):
        raise UserError(f"{place}: validation_nll is {header.validation_nll}, which is not finite")
    return header


def _instrument(name: str) -> Instrument:
    return INSTRUMENTS[name](RATE_HZ, DURATION_S)
