"""How presets are searched for, by name, and what is done when nobody says: the one place for the defaults.

A method is a solver and a start, each with any of the others. `python -m ddsprl.match`, `ddsprl.invert` and
`ddsprl.invert_stream` all take their defaults from here.
"""

from dataclasses import dataclass

from ddsprl.fitting.guess.features import HIGHEST_MIDI, LOWEST_MIDI
from ddsprl.fitting.guess.model import why_no_guess
from ddsprl.fitting.solvers.registry import SOLVERS
from ddsprl.fitting.starts.registry import STARTS
from synth_jax import Instrument
from synth_jax.params import nearest_hint

METHODS = tuple(SOLVERS)

# What is done unless something else is asked for.
DEFAULT_METHOD = "hybrid"
DEFAULT_START = "guess"
DEFAULT_BUDGET = 3_072

TRAINED = ("guess", "mixed")
# Where the guess was not trained for a sound, this is done instead: it needs no training.
FALL_BACK = "best"


@dataclass(frozen=True)
class Method:
    """How presets are searched for.

    Attributes:
        name: one of `METHODS`.
        start: of `STARTS`.
        starts: most positions to start at.
    """

    name: str
    start: str
    starts: int = 64


def make_method(name: str | None = None, start: str | None = None) -> Method:
    """A method by name.

    Args:
        name: of `METHODS`; the default if None.
        start: of `STARTS`; the default if None.

    Raises:
        ValueError: no such method or start, with the nearest valid name.
    """
    name = DEFAULT_METHOD if name is None else name
    if name not in METHODS:
        raise ValueError(f"no method {name!r}{nearest_hint(name, list(METHODS))}")
    if start is not None and start not in STARTS:
        raise ValueError(f"no start {start!r}{nearest_hint(start, list(STARTS))}")
    return Method(name, DEFAULT_START if start is None else start)


def usable_start(start: str, instrument: Instrument, midi: float) -> tuple[str, str | None]:
    """The start to use for a sound, and, if that is not the one asked for, why.

    The guess is of one table of knobs and of notes in a range. It hears the first half second at 16 kHz of a
    sound of any length and rate, so neither of these keeps it from being used.

    Args:
        start: of `STARTS`.
        instrument: to be played.
        midi: of the note.
    """
    if start not in TRAINED:
        return start, None
    if (reason := why_no_guess(instrument)) is not None:
        return FALL_BACK, reason
    if not LOWEST_MIDI <= midi <= HIGHEST_MIDI:
        trained = f"the guess is trained for notes {LOWEST_MIDI:g} to {HIGHEST_MIDI:g}"
        return FALL_BACK, f"{trained}, this one is {midi:.1f}"
    return start, None
