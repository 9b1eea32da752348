"""Where a search begins, by name: a setting of a comparison, not of a method.

Every solver can be given every start, so that a good start is not mistaken for a good solver. A start is a
set of positions; the driver snaps, scores and charges them. What lies behind some of them (a page of a
library, a trained network) was rendered once for many targets; `shared_works` says what and how much, for a
comparison to share out.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from ddsprl.fitting.guess.model import load_guess, why_no_guess
from ddsprl.fitting.starts.cues import envelope_cues, spectral_cues, with_cues
from ddsprl.fitting.starts.library import Library
from synth_jax import Instrument, Note
from synth_jax.params import nearest_hint
from synth_jax.units import midi_to_hz

# Share of the start `best` that gets the target's own envelope, and the most that the bank may take.
CUE_SHARE, BANK_SHARE = 0.25, 0.25


class StartRequest(NamedTuple):
    """What a start may be made from, for one target.

    Attributes:
        instrument: whose knobs.
        audio: the target, beginning at its onset, `[n]`.
        note: at which it is played, scalars.
        count: positions wanted; some starts have fewer.
        key: PRNG key.
        library: of random presets with their features, or None.
        bank: presets made by hand, `[b, d]`, or None.
        given: positions that the caller has, `[m, d]`, or None.
    """

    instrument: Instrument
    audio: np.ndarray
    note: Note
    count: int
    key: jax.Array
    library: Library | None = None
    bank: np.ndarray | None = None
    given: np.ndarray | None = None


# Positions `[k, d]` and the renders that were spent on what they were drawn from.
Starts = tuple[np.ndarray, int]


class SharedWork(NamedTuple):
    """Renders behind a start that other targets share; equal ones are the same work, done once.

    Attributes:
        midi: note of the page of the library, 0 for work that serves all notes.
        gate_s: its gate, likewise.
        renders: that it took, now or long ago.
        samples: of a rendered clip, likewise.
    """

    midi: float
    gate_s: float
    renders: int
    samples: int


def shared_renders(name: str, instrument: Instrument, *, count: int, library: Library | None) -> int:
    """Renders behind `count` positions of a start that other targets share; 0 if there are none.

    Args:
        name: of `STARTS`.
        instrument: whose knobs.
        count: positions wanted.
        library: as for `make_starts`.
    """
    trained = load_guess(instrument.name).header.training_renders if _trained(name, count) else 0
    return trained + (library.config.size if library is not None and _shelved(name, count) else 0)


def shared_works(
    name: str, instrument: Instrument, note: Note, *, count: int, library: Library | None
) -> tuple[SharedWork, ...]:
    """The works behind a start for a note that other targets share.

    Args:
        name: of `STARTS`.
        instrument: whose knobs.
        note: at which the target is played, scalars.
        count: positions wanted.
        library: as for `make_starts`; the page is rendered if it is not there.
    """
    works = []
    if _trained(name, count):
        works.append(SharedWork(0.0, 0.0, load_guess(instrument.name).header.training_renders, 0))
    if library is not None and _shelved(name, count):
        works.append(page_work(library, float(note.midi), float(note.gate_s)))
    return tuple(works)


def _trained(name: str, count: int) -> bool:
    """Whether a start asks the trained network."""
    return name == "guess" or (name == "mixed" and count > 1)


def _shelved(name: str, count: int) -> bool:
    """Whether a start asks the library; the first two of the cues are the neutral patch."""
    return name in ("library", "best", "mixed") or (name == "cues" and count > 2)


def page_work(library: Library, midi: float, gate_s: float) -> SharedWork:
    """The page of a library that serves a note; it is rendered if it is not there."""
    page = library.page(midi, gate_s)
    return SharedWork(page.midi, page.gate_s, len(page.presets), library.instrument.n_samples)


def make_starts(name: str, request: StartRequest) -> Starts:
    """Positions for a search to begin at.

    Args:
        name: of `STARTS`.
        request: what they may be made from. The library is needed by `library`, `best` and `mixed`, and used
            by `cues` if there is one; the bank is needed by `bank`, and used by `best` and `mixed`.

    Returns:
        Positions `[k, d]` with 1 <= k <= count, and `shared_renders`, whether rendered now or long ago.

    Raises:
        ValueError: unknown name (with the nearest valid one), or something that the start needs is missing.
    """
    if name not in STARTS:
        raise ValueError(f"no start {name!r}{nearest_hint(name, list(STARTS))}")
    count = request.count
    if count < 1:
        raise ValueError(f"count is {count}; a start has at least one position")
    points = STARTS[name](request._replace(audio=np.asarray(request.audio, np.float32)))
    shared = shared_renders(name, request.instrument, count=count, library=request.library)
    return np.asarray(points[:count], np.float32), shared


def _neutral(request: StartRequest) -> np.ndarray:
    """The neutral patch, one position."""
    return np.asarray(request.instrument.default)[None]


def _given(request: StartRequest) -> np.ndarray:
    """What the caller has."""
    return _rows("given", request.given, request)


def _random(request: StartRequest) -> np.ndarray:
    """Random presets: scored and charged like all starts, so a search begins at the best of `count`."""
    shape = (request.count, request.instrument.n_params)
    return np.asarray(request.instrument.snap(jax.random.uniform(request.key, shape)))


def _library(request: StartRequest) -> np.ndarray:
    """The presets of a library whose features are closest to the target's."""
    if request.library is None:
        raise ValueError("this start needs library=, which is None")
    return request.library.closest(request.audio, request.note, request.count)


def _bank(request: StartRequest) -> np.ndarray:
    """Presets made by hand, in their order."""
    return _rows("bank", request.bank, request)


def _cues(request: StartRequest) -> np.ndarray:
    """The target's own envelope on the neutral patch, with the cutoff that its spectrum has and with its own.

    With a library, the envelope also on the closest presets. What is not known of the instrument is not read.
    """
    synth, plain = request.instrument, _neutral(request)
    knobs, heard = synth.knowledge.filter, plain
    if knobs is not None:
        heard = with_cues(plain, spectral_cues(knobs, request.audio, synth.sample_rate), synth.table)
    base = np.concatenate([heard, plain])[: request.count]
    if request.library is not None and request.count > len(base):
        base = np.concatenate([base, _library(request._replace(count=request.count - len(base)))])
    return _cued(base, request)


def _best(request: StartRequest) -> np.ndarray:
    """A mixture: closest of the library, copies of these with the target's envelope, the bank."""
    bank = request.bank
    rows = np.zeros((0, request.instrument.n_params)) if bank is None else _rows("bank", bank, request)
    rows, cued = rows[: int(BANK_SHARE * request.count)], int(CUE_SHARE * request.count)
    close = _library(request._replace(count=request.count - cued - len(rows)))
    return np.concatenate([close, _cued(close[:cued], request), rows])


def guess_starts(request: StartRequest) -> Starts:
    """The start made of guesses: positions `[count, d]` and the renders that trained the network.

    Raises:
        ValueError: no guess is trained for the instrument.
    """
    synth, note = request.instrument, request.note
    if (reason := why_no_guess(synth)) is not None:
        raise ValueError(reason)
    guess = load_guess(synth.name)
    found = guess.sample(
        request.key,
        request.audio,
        float(note.midi),
        float(note.gate_s),
        request.count,
        sample_rate=synth.sample_rate,
    )
    return np.asarray(found), guess.header.training_renders


def _guess(request: StartRequest) -> np.ndarray:
    """Guesses of the trained network."""
    return guess_starts(request)[0]


def _mixed(request: StartRequest) -> np.ndarray:
    """Half guesses, half the best of what needs no training: for sounds that no preset may have made."""
    guesses = request.count // 2
    best = _best(request._replace(count=request.count - guesses))
    return best if guesses == 0 else np.concatenate([_guess(request._replace(count=guesses)), best])


def _cued(u: np.ndarray, request: StartRequest) -> np.ndarray:
    synth, note = request.instrument, request.note
    knobs = synth.knowledge.envelope
    if knobs is None:
        return u
    period_s = 1.0 / float(midi_to_hz(jnp.asarray(note.midi)))
    cues = envelope_cues(knobs, request.audio, synth.sample_rate, float(note.gate_s), period_s=period_s)
    return with_cues(u, cues, synth.table)


def _rows(name: str, u: np.ndarray | None, request: StartRequest) -> np.ndarray:
    """Positions that were handed in.

    Raises:
        ValueError: none, or not of this instrument.
    """
    d = request.instrument.n_params
    if u is None or np.ndim(u) != 2 or not np.shape(u)[0] or np.shape(u)[1] != d:
        shape = "None" if u is None else np.shape(u)
        raise ValueError(f"{name} is {shape}; this start needs positions [1 or more, {d}]")
    return np.asarray(u)


STARTS: dict[str, Callable[[StartRequest], np.ndarray]] = {
    "neutral": _neutral,
    "given": _given,
    "random": _random,
    "library": _library,
    "bank": _bank,
    "cues": _cues,
    "best": _best,
    "guess": _guess,
    "mixed": _mixed,
}
