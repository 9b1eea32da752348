"""Starts by name: each from what it says, for the note it is given, with errors at the door."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ddsprl.fitting import LibraryConfig
from ddsprl.fitting.guess.model import load_guess
from ddsprl.fitting.inversion.inverter import make_problem
from ddsprl.fitting.starts.library import Page
from ddsprl.fitting.starts.registry import STARTS, StartRequest, make_starts, shared_renders, shared_works
from synth_jax import Note

PROBLEM = make_problem(8_000, 0.25)
SYNTH = PROBLEM.instrument
D, NOTE, KEY = SYNTH.n_params, Note(60.0, 0.1, 1.0), jax.random.key(0)
AUDIO = (np.exp(-np.arange(2000) / 300.0) * np.sin(np.arange(2000) * 0.2)).astype(np.float32)
BANK = np.random.default_rng(1).uniform(size=(5, D)).astype(np.float32)


class Shelf:
    """A library that remembers what it was asked for; nothing is rendered."""

    config = LibraryConfig(size=64)

    def __init__(self):
        self.asked = []

    def closest(self, audio, note, count):
        self.asked.append((note, count))
        return np.random.default_rng(0).uniform(size=(64, D)).astype(np.float32)[:count]


def start(name: str, count: int = 16, **changes):
    library = Shelf()
    request = StartRequest(SYNTH, AUDIO, NOTE, count, KEY, library, BANK)  # pyright: ignore[reportArgumentType]
    return *make_starts(name, request._replace(**changes)), library


@pytest.mark.parametrize("name", list(STARTS))
@pytest.mark.parametrize("count", [1, 4, 40])
def test_there_is_at_least_one_position_and_not_more_than_wanted(name, count):
    points, shared, library = start(name, count, given=BANK)
    assert points.dtype == np.float32
    assert 1 <= len(points) <= count
    assert points.shape[1] == D
    assert ((points >= 0.0) & (points <= 1.0)).all()
    guessed = name == "guess" or (name == "mixed" and count > 1)
    trained = load_guess("serum_lite").header.training_renders if guessed else 0
    assert shared == trained + (64 if library.asked else 0)
    assert all(note == NOTE for note, _ in library.asked)


def test_each_is_what_it_says():
    default = np.asarray(SYNTH.default)
    np.testing.assert_array_equal(start("neutral")[0], default[None])
    np.testing.assert_array_equal(start("bank")[0], BANK)
    np.testing.assert_array_equal(start("given", 2, given=BANK[::-1])[0], BANK[:2:-1])
    np.testing.assert_array_equal(start("library")[0], Shelf().closest(AUDIO, NOTE, 16))
    random = start("random")[0]
    np.testing.assert_array_equal(random, SYNTH.snap(jnp.asarray(random)))
    assert (random != start("random", key=jax.random.key(1))[0]).any()
    np.testing.assert_array_equal(random, start("random")[0])


def test_cues_change_the_envelope_and_the_cutoff_and_nothing_else():
    base = np.asarray(SYNTH.default)
    names = [spec.name for spec in SYNTH.table]
    (heard, plain), shared, _ = start("cues", library=None)
    assert shared == 0
    cued = [names.index(name) for name in SYNTH.knowledge.envelope or ()]
    assert (plain[cued] != base[cued]).any()
    others = np.setdiff1d(np.arange(D), cued)
    np.testing.assert_array_equal(plain[others], base[others])
    np.testing.assert_array_equal(np.flatnonzero(heard != plain), [names.index("filter_cutoff")])
    np.testing.assert_array_equal(start("cues", 1)[0], [heard])
    points, shared, _ = start("cues", 6)
    np.testing.assert_array_equal(points[:2], [heard, plain])
    np.testing.assert_array_equal(points[2:, others], Shelf().closest(AUDIO, NOTE, 4)[:, others])
    assert shared == 64
    assert start("cues", 2)[1] == 0


@pytest.mark.parametrize(
    ("name", "changes", "message"),
    [
        ("librari", {}, "no start 'librari'; did you mean 'library'"),
        ("library", {"library": None}, "needs library=, which is None"),
        ("best", {"library": None}, "needs library=, which is None"),
        ("bank", {"bank": None}, "bank is None; this start needs positions"),
        ("bank", {"bank": np.zeros((0, D))}, "bank is"),
        ("given", {"given": np.zeros((2, 3))}, "given is"),
        ("random", {"count": 0}, "count is 0; a start has at least one position"),
    ],
)
def test_what_is_missing_is_named(name, changes, message):
    with pytest.raises(ValueError, match=message):
        start(name, **changes)


class Pages(Shelf):
    """A library with a page for every tenth pitch."""

    instrument = SYNTH

    def page(self, midi, gate_s):
        return Page(BANK.repeat(20, 0)[:64], BANK, 10.0 * (midi // 10), gate_s, 0)


@pytest.mark.parametrize("name", list(STARTS))
@pytest.mark.parametrize("count", [1, 16])
def test_shared_work_is_what_a_start_reports(name, count):
    library: Any = Pages()
    _, shared, _ = start(name, count, given=BANK, library=library)
    works = shared_works(name, SYNTH, NOTE, count=count, library=library)
    assert (
        shared == shared_renders(name, SYNTH, count=count, library=library) == sum(w.renders for w in works)
    )
    if library.asked:
        assert works[-1] == (60.0, 0.1, 64, 2000)
        # One page, one work; another page is more work.
        assert works == shared_works(name, SYNTH, Note(63.0, 0.1, 1.0), count=count, library=library)
        assert works != shared_works(name, SYNTH, Note(73.0, 0.1, 1.0), count=count, library=library)
    trained = works[0].renders if works and works[0].midi == 0.0 else 0
    assert (trained > 0) == (name == "guess" or (name == "mixed" and count > 1))
    assert len(works) == bool(library.asked) + (trained > 0)
    assert shared_renders(name, SYNTH, count=count, library=None) == trained
