"""What a solver works on: targets to match, and the programs that score and differentiate candidates.

A candidate is a knob vector `u [d]` for one target's excitation: the note that is played, or the sound that
an effect hears. `Problem` holds what is static (plant, objective) and is hashable, so its programs compile
once per shape; `Target` is data.
"""

from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp

from ddsprl.fitting.core.archive import BAD_LOSS
from ddsprl.fitting.core.solver import Space, space_of
from ddsprl.losses.matching import matched_yardstick
from ddsprl.losses.objective import LossResult, Objective, ObjectiveWeights, TargetFeatures
from ddsprl.plant import Plant, in_chunks
from synth_jax import Excitation, Instrument

# Samples of audio computed together. More would leave the processor's cache; a gradient keeps many times as
# many arrays alive as a score.
SCORE_SAMPLES, GRADIENT_SAMPLES = 512_000, 64_000


class Target(NamedTuple):
    """One sound to match; a pytree.

    Attributes:
        audio: `[n]`.
        features: what the objective needs of it.
        excitation: at which candidates are played: a note, its fields scalars, or a sound, `[n]`.
        free: 1 for knobs that may move, 0 for locked ones, `[d]`.
        locked: values of the locked knobs, `[d]`; ignored where free.
        weights: of the loss terms.
        window: gain over time that target and candidates share, `[n]`: 1, or 0 where a recording was cut off
            and nobody knows how it went on.
    """

    audio: jax.Array
    features: TargetFeatures
    excitation: Excitation
    free: jax.Array
    locked: jax.Array
    weights: ObjectiveWeights
    window: jax.Array


def chunk_size(samples: int, n: int) -> int:
    """Clips of `n` samples that make up about `samples`, at least one."""
    return max(1, samples // n)


@dataclass(frozen=True)
class Problem:
    """A plant and an objective; static.

    Attributes:
        plant: without probes: every target brings its own excitation.
        objective: the judge.
    """

    plant: Plant
    objective: Objective

    @property
    def instrument(self) -> Instrument:
        """What is played."""
        return self.plant.instrument

    @property
    def score_chunk(self) -> int:
        """Candidates scored together."""
        return chunk_size(SCORE_SAMPLES, self.instrument.n_samples)

    def target(
        self,
        audio: jax.Array,
        excitation: Excitation,
        *,
        free: jax.Array | None = None,
        locked: jax.Array | None = None,
        weights: ObjectiveWeights | None = None,
        window: jax.Array | None = None,
    ) -> Target:
        """Analyze a clip `[n_samples]` once; by default every knob is free and all of the clip counts."""
        d = self.instrument.n_params
        self.instrument.check_kind(excitation)
        excitation = jax.tree.map(lambda x: jnp.asarray(x, audio.dtype), excitation)
        given: ObjectiveWeights = ObjectiveWeights() if weights is None else weights
        free = jnp.ones(d, audio.dtype) if free is None else free
        locked = jnp.zeros(d, audio.dtype) if locked is None else locked
        window = jnp.ones_like(audio) if window is None else window
        audio = audio * window
        features = self.objective.prepare(audio)
        return Target(audio, features, excitation, free, locked, _traced(given), window)

    def space(self, target: Target) -> Space:
        """The knobs of a target as a solver sees them."""
        return space_of(self.instrument.table, target.free, target.locked)

    def snap(self, u: jax.Array) -> jax.Array:
        """Positions `[..., d]` with discrete knobs at their nearest choice."""
        return self.instrument.snap(u)

    def constrain(self, u: jax.Array, target: Target) -> jax.Array:
        """Locked knobs put to their values; `[..., d]`."""
        return jnp.where(target.free > 0, u, target.locked)

    def render(self, u: jax.Array, target: Target, key: jax.Array) -> jax.Array:
        """Sound of a candidate at the target's excitation, `[n]`."""
        return self.plant.play(u, target.excitation, key)

    def compare(self, u: jax.Array, target: Target, key: jax.Array) -> LossResult:
        """Loss of one candidate."""
        sound = self.render(u, target, key) * target.window
        return self.objective(sound, target.features, target.weights)

    def loss(self, u: jax.Array, target: Target, key: jax.Array) -> jax.Array:
        """Total loss of one candidate, scalar; finite (`BAD_LOSS` stands for what is not)."""
        total = self.compare(u, target, key).total
        return jnp.where(jnp.isfinite(total), total, BAD_LOSS)

    def scores(self, u: jax.Array, target: Target, key: jax.Array) -> jax.Array:
        """Losses of many candidates `[m, d]` for one target, `[m]`."""
        return in_chunks(lambda x: self._traced_loss(x, target, key), self.score_chunk, u)

    @partial(jax.jit, static_argnums=0)
    def _traced_loss(self, u: jax.Array, target: Target, key: jax.Array) -> jax.Array:
        """`loss`, traced once for all the programs that score."""
        return self.loss(u, target, key)

    def gradients(self, u: jax.Array, target: Target, key: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Losses `[m]` and gradients `[m, d]` of many candidates; solvers quarantine what is not finite."""
        chunk = chunk_size(GRADIENT_SAMPLES, self.instrument.n_samples)
        return in_chunks(lambda x: self._traced_slope(x, target, key), chunk, u)

    @partial(jax.jit, static_argnums=0)
    def _traced_slope(self, u: jax.Array, target: Target, key: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Loss and gradient of one candidate, traced once for all the programs that go down."""
        return jax.value_and_grad(self.loss)(u, target, key)

    def details(
        self, u: jax.Array, target: Target, key: jax.Array
    ) -> tuple[jax.Array, dict[str, jax.Array], jax.Array]:
        """Sound `[n]`, weighted loss terms and yardstick of one candidate, from one render."""
        sound = self.render(u, target, key)
        heard = sound * target.window
        terms = self.objective(heard, target.features, target.weights).terms
        return sound, terms, matched_yardstick(heard, target.audio, self.objective.sample_rate)

    def yardstick(self, u: jax.Array, target: Target, key: jax.Array) -> jax.Array:
        """The outside judge (MR-STFT as auraloss has it, loudness-matched) for one candidate, scalar."""
        sound = self.render(u, target, key) * target.window
        return matched_yardstick(sound, target.audio, self.objective.sample_rate)


def _traced(weights: ObjectiveWeights) -> ObjectiveWeights:
    """Weights as arrays, so that other values compile no other program."""
    return jax.tree.map(jnp.asarray, weights)
