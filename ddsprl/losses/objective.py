"""The objective: a target's cached features plus weights, giving named loss terms.

    objective = Objective(ObjectiveConfig(), sample_rate=16_000)
    target = objective.prepare(target_audio)
    result = objective(audio, target, ObjectiveWeights())
    result.total, result.terms["mr"], result.raw["cent"]

The static choice (which terms, which windows) is in the config and selects what is compiled; the
weights are traced, so a schedule may change them at every step. One set of spectra serves all the
spectral terms. Raw terms are in natural units (dB, octaves, LU), so a report can be read. What a term is
stands in its own file (`ddsprl.losses.term`); nothing here knows one by name.
"""

import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from ddsprl.features.loudness import ungated_loudness
from ddsprl.features.record import Record
from ddsprl.losses import matching
from ddsprl.losses.registry import TERMS
from ddsprl.losses.term import AnalysisConfig, Clip, check_name
from synth_jax.units import db_to_amplitude


class ObjectiveWeights(Record):
    """Weight of each term: a pytree of scalars, so that it may be traced, with a field a term.

    `ObjectiveWeights(mr=0.0)` has the terms' own weights but for the one given.
    """

    def __init__(self, **weights: float | jax.Array) -> None:
        """Take weights by name.

        Raises:
            ValueError: there is no such term.
        """
        for name in weights:
            check_name("weights", name, TERMS)
        super().__init__(**{name: term.weight for name, term in TERMS.items()} | weights)


@dataclasses.dataclass(frozen=True)
class ObjectiveConfig(AnalysisConfig):
    """Static settings of an objective; hashable.

    Attributes:
        terms: names of the terms to compute; one that is left out costs nothing.
        match_loudness: whether the candidate is brought to the target's loudness first.
        max_gain_db: limit of that gain.
    """

    terms: tuple[str, ...] = dataclasses.field(default_factory=lambda: tuple(TERMS))
    match_loudness: bool = True
    max_gain_db: float = matching.MAX_GAIN_DB

    def __post_init__(self) -> None:
        """Check names and windows at the door."""
        super().__post_init__()
        for term in self.terms:
            check_name("terms", term, TERMS)


class TargetFeatures(NamedTuple):
    """All that the objective needs of a target.

    Attributes:
        loudness_lufs: scalar, ungated.
        references: what several terms take from the target, by name; see `Clip.reference`.
        terms: what each term prepared, by its name.
    """

    loudness_lufs: jax.Array
    references: dict[str, Any]
    terms: dict[str, Any]


class LossResult(NamedTuple):
    """What a comparison gives.

    Attributes:
        total: scalar, sum of `terms`.
        terms: `{name: weighted scalar}`.
        raw: `{name: unweighted scalar}`, in the term's own unit.
        gain_db: scalar, gain of the loudness matching (0 without).
    """

    total: jax.Array
    terms: dict[str, jax.Array]
    raw: dict[str, jax.Array]
    gain_db: jax.Array


@dataclasses.dataclass(frozen=True)
class Objective:
    """Compares clips with a prepared target; static and hashable, for one example (`vmap` outside).

    Attributes:
        config: static settings.
        sample_rate: Hz.
    """

    config: ObjectiveConfig
    sample_rate: int

    def prepare(self, target_audio: jax.Array) -> TargetFeatures:
        """Analyze a target once.

        Args:
            target_audio: [n], 1.0 is full scale.
        """
        clip = self._clip(target_audio, ungated_loudness(target_audio, self.sample_rate), self.config.terms)
        prepared = {name: TERMS[name].prepare(clip) for name in self.config.terms}
        return TargetFeatures(clip.loudness_lufs, clip.references, prepared)

    def __call__(
        self, audio: jax.Array, target: TargetFeatures, weights: ObjectiveWeights | None = None
    ) -> LossResult:
        """Compare a clip with a target.

        Args:
            audio: [n], as long as the target's.
            target: from `prepare` of this objective.
            weights: one scalar a term; the defaults if None.
        """
        weights = ObjectiveWeights() if weights is None else weights
        loudness_lufs = ungated_loudness(audio, self.sample_rate)
        gain_db = jnp.zeros_like(loudness_lufs)
        if self.config.match_loudness:
            gain_db = matching.matching_gain_db(
                loudness_lufs, target.loudness_lufs, max_gain_db=self.config.max_gain_db
            )
        found: dict[str, jax.Array] = {}
        for matched in (False, True):
            names = tuple(n for n in TERMS if n in self.config.terms and TERMS[n].matched == matched)
            heard = audio * db_to_amplitude(gain_db) if matched else audio
            clip = self._clip(heard, loudness_lufs, names, target.references)
            found |= {name: TERMS[name].distance(clip, target.terms[name]) for name in names}
        raw = {name: found[name] for name in self.config.terms}
        terms = {name: getattr(weights, name) * value for name, value in raw.items()}
        total = jnp.zeros_like(loudness_lufs)
        for value in terms.values():
            total = total + value
        return LossResult(total, terms, raw, gain_db)

    def _clip(
        self,
        audio: jax.Array,
        loudness_lufs: jax.Array,
        names: tuple[str, ...],
        references: dict[str, Any] | None = None,
    ) -> Clip:
        """The clip with the power spectra that some terms need."""
        windows = frozenset(n_fft for name in names for n_fft in TERMS[name].needs(self.config))
        return Clip(
            audio,
            self.sample_rate,
            self.config,
            loudness_lufs=loudness_lufs,
            windows=windows,
            references=references,
        )


Loss = Callable[[jax.Array, jax.Array, int], jax.Array]


def single_losses() -> dict[str, Loss]:
    """Every term alone, unweighted, then the total and the yardstick; the laws in the tests run over it.

    Each is `(audio, target, sample_rate) -> scalar`.
    """

    def term(name: str) -> Loss:
        config = ObjectiveConfig(terms=(name,))

        def loss(audio: jax.Array, target: jax.Array, sample_rate: int) -> jax.Array:
            objective = Objective(config, sample_rate)
            return objective(audio, objective.prepare(target)).raw[name]

        return loss

    def total(audio: jax.Array, target: jax.Array, sample_rate: int) -> jax.Array:
        objective = Objective(ObjectiveConfig(), sample_rate)
        return objective(audio, objective.prepare(target)).total

    return {name: term(name) for name in TERMS} | {"total": total, "yardstick": matching.matched_yardstick}


LOSSES = single_losses()
"""All losses by name."""
