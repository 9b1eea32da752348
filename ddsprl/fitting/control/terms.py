"""Goals and guards: what a control problem pursues, and what it must not leave while doing so.

A term is one number from what was heard (knobs and sound), small where it is content; a loss is the weighted
sum. Goals pull without end (brighter, closer to a level). Guards are zero inside a stated bound and grow
beyond it: knob slew, loudness overshoot, peak, filter damping k = 1 / Q, any knob's band in physical units.

A guard's slope rises to 1 on its bound, over a margin inside (`hinge`). Where its weight exceeds the goal's
slope at the bound, the optimum therefore lies inside, and not beyond as with a square penalty.
"""

from dataclasses import dataclass
from typing import NamedTuple, Protocol

import jax
import jax.numpy as jnp

from ddsprl.features.centroid import centroid_from_magnitude
from ddsprl.features.loudness import ungated_loudness
from ddsprl.features.sound import DEFAULT_N_FFT
from ddsprl.features.stft import magnitude_from_power, stft_power_frames
from synth_jax import Instrument
from synth_jax.numerics import safe_log
from synth_jax.params import index_of, to_physical
from synth_jax.units import LN2

REFERENCE_HZ = 1000.0
# Under this level a sound has no brightness to speak of.
AUDIBLE_LUFS = -40.0


class Heard(NamedTuple):
    """What a term judges.

    Attributes:
        sound: `[n]`.
        u: knob positions, snapped as they sound, `[d]`.
        reference: positions that slew is counted from, `[d]`.
    """

    sound: jax.Array
    u: jax.Array
    reference: jax.Array


class Term(Protocol):
    """A goal or a guard; a frozen dataclass of its settings, hashable."""

    @property
    def weight(self) -> float:
        """Factor in the loss."""
        ...

    def __call__(self, heard: Heard, instrument: Instrument) -> jax.Array:
        """The unweighted value, scalar; smaller is better."""
        ...


def hinge(excess: jax.Array, margin: float) -> jax.Array:
    """Zero up to `-margin`, then a parabola until the bound at 0, then a line of slope 1; elementwise.

    Value and slope are continuous. On the bound it is worth `margin / 2`.

    Args:
        excess: how far beyond the bound, negative inside.
        margin: where it begins inside of the bound, positive.
    """
    inside = jnp.clip(excess + margin, 0.0, margin)
    return jnp.square(inside) / (2.0 * margin) + jnp.maximum(excess, 0.0)


def brightness_octaves(sound: jax.Array, sample_rate: int) -> jax.Array:
    """Octaves over 1 kHz of the clip's spectral centroid, of magnitudes summed over time; scalar.

    Summed, and not averaged over frames: silence after a note says nothing about its brightness.
    """
    power = stft_power_frames(sound, n_fft=DEFAULT_N_FFT, hop=DEFAULT_N_FFT // 4)
    total = jnp.sum(magnitude_from_power(power), axis=0, keepdims=True)
    centroid = centroid_from_magnitude(total, sample_rate, DEFAULT_N_FFT)[0]
    return safe_log(jnp.maximum(centroid, 1.0) / REFERENCE_HZ) / LN2


@dataclass(frozen=True)
class Brightness:
    """Goal: as bright as possible, in octaves; a sound too faint to be heard is not bright.

    Attributes:
        weight: per octave.
    """

    weight: float = 1.0

    def __call__(self, heard: Heard, instrument: Instrument) -> jax.Array:
        """Minus the brightness, plus a tenth of an octave for every LU under `AUDIBLE_LUFS`."""
        loudness = ungated_loudness(heard.sound, instrument.sample_rate)
        faint = hinge(AUDIBLE_LUFS - loudness, 1.0)
        return 0.1 * faint - brightness_octaves(heard.sound, instrument.sample_rate)


@dataclass(frozen=True)
class Level:
    """Goal: a loudness.

    Attributes:
        lufs: that is wanted.
        weight: per LU away from it.
    """

    lufs: float = -18.0
    weight: float = 0.1

    def __call__(self, heard: Heard, instrument: Instrument) -> jax.Array:
        """Distance in LU, rounded off within half a LU."""
        away = ungated_loudness(heard.sound, instrument.sample_rate) - self.lufs
        return jnp.sqrt(jnp.square(away) + 0.25) - 0.5


@dataclass(frozen=True)
class LoudnessLimit:
    """Guard: loudness overshoot.

    Attributes:
        most_lufs: the bound.
        weight: per LU beyond it.
        margin: see `hinge`, in LU.
    """

    most_lufs: float = -10.0
    weight: float = 0.3
    margin: float = 0.5

    def __call__(self, heard: Heard, instrument: Instrument) -> jax.Array:
        """Overshoot in LU."""
        loudness = ungated_loudness(heard.sound, instrument.sample_rate)
        return hinge(loudness - self.most_lufs, self.margin)


@dataclass(frozen=True)
class PeakLimit:
    """Guard: the largest sample.

    Attributes:
        most: the bound, 1.0 is full scale.
        weight: per full scale beyond it.
        margin: see `hinge`.
    """

    most: float = 0.9
    weight: float = 20.0
    margin: float = 0.02

    def __call__(self, heard: Heard, instrument: Instrument) -> jax.Array:
        """Excess in full scales."""
        del instrument
        return hinge(jnp.max(jnp.abs(heard.sound)) - self.most, self.margin)


@dataclass(frozen=True)
class KnobSlew:
    """Guard: how far knobs move away from where they stood.

    Attributes:
        most: travel of one knob that is free of charge, in knob units.
        weight: per knob that moves by its whole range beyond that.
        margin: see `hinge`.
    """

    most: float = 0.25
    weight: float = 1.0
    margin: float = 0.05

    def __call__(self, heard: Heard, instrument: Instrument) -> jax.Array:
        """Sum over knobs of the travel beyond the bound."""
        del instrument
        return jnp.sum(hinge(jnp.abs(heard.u - heard.reference) - self.most, self.margin))


@dataclass(frozen=True)
class Damping:
    """Guard: damping k = 1 / Q of the filter, whose poles meet the unit circle at k = 0.

    Attributes:
        least: the bound on k; 0.5 is a Q of 2.
        weight: per unit of k below it.
        margin: see `hinge`.
        knob: that sets Q; the resonance that is known of the instrument if None.
    """

    least: float = 0.5
    weight: float = 20.0
    margin: float = 0.02
    knob: str | None = None

    def __call__(self, heard: Heard, instrument: Instrument) -> jax.Array:
        """What k lacks."""
        knob = _knob_of(self, instrument)
        assert knob is not None  # `check_terms`
        return hinge(self.least - 1.0 / _physical(heard, instrument, knob), self.margin)


@dataclass(frozen=True)
class KnobBand:
    """Guard: a knob held in a band, in its physical unit; bounds at the ends of the knob hold one side only.

    Attributes:
        knob: its name.
        low: lower bound.
        high: upper bound.
        weight: per band's width outside of the band.
        margin: see `hinge`, as a share of the band's width.
    """

    knob: str
    low: float
    high: float
    weight: float = 10.0
    margin: float = 0.1

    def __post_init__(self) -> None:
        """Refuse an empty band.

        Raises:
            ValueError: with both bounds.
        """
        if not self.low < self.high:
            raise ValueError(f"{self.knob}: low {self.low} must be under high {self.high}")

    def __call__(self, heard: Heard, instrument: Instrument) -> jax.Array:
        """Distance from the band over its width."""
        value = _physical(heard, instrument, self.knob)
        width = self.high - self.low
        below, above = (self.low - value) / width, (value - self.high) / width
        return hinge(below, self.margin) + hinge(above, self.margin)


def _physical(heard: Heard, instrument: Instrument, knob: str) -> jax.Array:
    """A knob in its physical unit, scalar."""
    return to_physical(heard.u, instrument.table)[index_of(instrument.table, knob)]


def weighed(terms: tuple[Term, ...], heard: Heard, instrument: Instrument) -> dict[str, jax.Array]:
    """Weighted values by the terms' names; terms of one name are summed."""
    found: dict[str, jax.Array] = {}
    for term in terms:
        name = term.knob if isinstance(term, KnobBand) else type(term).__name__
        found[name] = found.get(name, jnp.zeros(())) + term.weight * term(heard, instrument)
    return found


def check_terms(terms: tuple[Term, ...], instrument: Instrument) -> None:
    """Refuse no terms, and terms of other instruments' knobs.

    Raises:
        ValueError: there are none, or one needs a resonance and none is known of the instrument.
        KeyError: no such knob, with the nearest name.
    """
    if not terms:
        raise ValueError("no terms; a problem needs a goal or a guard")
    for term in terms:
        knob = _knob_of(term, instrument)
        if knob is not None:
            index_of(instrument.table, knob)
        elif isinstance(term, Damping):
            raise ValueError(f"Damping: no resonance is known of {instrument.name}; name its knob")


def _knob_of(term: Term, instrument: Instrument) -> str | None:
    """The knob that a term is about, if it is about one."""
    known = instrument.knowledge.filter
    if isinstance(term, Damping) and term.knob is None and known is not None:
        return known.resonance
    return getattr(term, "knob", None)
