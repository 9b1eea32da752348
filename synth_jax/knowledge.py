"""What is known of an instrument besides its table, for those who search on it or teach it.

All of it is optional. Generic code asks `instrument.knowledge` and does the plain thing without:

    stages       one, with every knob
    twins        none
    envelope     no envelope is read off a recording
    filter       no cutoff is read off a recording
    symmetries   a clip stands for itself alone
    audible      every knob is compared, as it stands
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import jax
import numpy as np

from synth_jax.excitation import Note
from synth_jax.params import Table, index_of


class Stage(NamedTuple):
    """One stage of a curriculum.

    Attributes:
        name: for people.
        knobs: names of those that it adds to the stages before.
    """

    name: str
    knobs: tuple[str, ...]


class EnvelopeKnobs(NamedTuple):
    """Names of the knobs of the loudness envelope: times in seconds, a sustain level in [0, 1]."""

    attack: str
    decay: str
    sustain: str
    release: str


class FilterKnobs(NamedTuple):
    """Names of the knobs of the main low-pass: its cutoff in Hz, its resonance as Q."""

    cutoff: str
    resonance: str


@dataclass(frozen=True)
class Symmetries:
    """What may be changed on a panel without changing the sound, or changing its level alone.

    A learner that is shown one render of a preset has been shown all of these for nothing. Each is a map of a
    preset that was drawn uniformly (discrete knobs by their choices) to one that is distributed alike, so
    that mapped presets teach what more drawn ones would. All are for one example, u a snapped preset `[d]`;
    batch with `jax.vmap`.

    Attributes:
        exchanged: `(u, note)` to a preset and the note at which it sounds the same.
        rebalanced: `(key, u)` to a preset that sounds the same at the same note: knobs whose product counts,
            moved along what leaves it as it is.
        turned_up: `(key, u, peak)`, `peak` being the largest magnitude of the sound, to a preset and the gain
            that its sound has over that of `u`, as far as the output stage is linear.
        redrawn: `(key, u, gate_s, heard_s)` to a preset that sounds the same for the first `heard_s` seconds:
            knobs that this preset does not sound, drawn anew.
    """

    exchanged: Callable[[jax.Array, Note], tuple[jax.Array, Note]]
    rebalanced: Callable[[jax.Array, jax.Array], jax.Array]
    turned_up: Callable[[jax.Array, jax.Array, jax.Array], tuple[jax.Array, jax.Array]]
    redrawn: Callable[[jax.Array, jax.Array, jax.Array, jax.Array], jax.Array]


@dataclass(frozen=True)
class Audible:
    """What of a preset can be heard, on the host; u is float64 `[..., d]`.

    Attributes:
        values: `u` to what is compared knob by knob, in knob units, `[..., d]`.
        heard: `(u, midi_free)` to where the knobs of the preset u are heard, bool `[..., d]`. `midi_free`
            says whether the played note was estimated rather than given.
        other: `(u, midi_free)` to another preset that may sound the same, `[..., d]`, and where it does, bool
            `[...]`.
    """

    values: Callable[[np.ndarray], np.ndarray]
    heard: Callable[[np.ndarray, bool], np.ndarray]
    other: Callable[[np.ndarray, bool], tuple[np.ndarray, np.ndarray]]


@dataclass(frozen=True, kw_only=True)
class Knowledge:
    """What is known of an instrument; every field may be left empty.

    Attributes:
        stages: of a curriculum, each with the knobs that it adds; one with all the rest comes after them.
        twins: pairs of knobs that may change places.
        envelope: the knobs of the loudness envelope.
        filter: the knobs of the main low-pass.
        symmetries: maps to presets that sound the same.
        audible: the rule of what can be heard.
        flat_presets: whether the older flat form of a preset file, positions by knob name alone, is of this
            instrument.
    """

    stages: tuple[Stage, ...] = ()
    twins: tuple[tuple[str, str], ...] = ()
    envelope: EnvelopeKnobs | None = None
    filter: FilterKnobs | None = None
    symmetries: Symmetries | None = None
    audible: Audible | None = None
    flat_presets: bool = False

    def partners(self, table: Table) -> np.ndarray:
        """For every knob the index of its twin, its own where it has none, int `[d]`."""
        found = np.arange(len(table))
        for a, b in self.twins:
            i, j = index_of(table, a), index_of(table, b)
            found[i], found[j] = j, i
        return found

    def check(self, table: Table) -> None:
        """Refuse knowledge of knobs that the table does not have.

        Raises:
            KeyError: with the nearest name.
        """
        for name in self._names():
            index_of(table, name)

    def _names(self) -> Iterator[str]:
        for stage in self.stages:
            yield from stage.knobs
        for pair in self.twins:
            yield from pair
        yield from self.envelope or ()
        yield from self.filter or ()
