"""Problems that are not a match: a feature of the sound is pursued within stated guards.

    ControlProblem(Plant(synth), (Brightness(), Damping(least=0.5), PeakLimit(most=0.9)))

`GuardedProblem` puts the same guards on a match. Both have the face of `Problem` that solvers see. The terms
are in `ddsprl.fitting.control.terms`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp

from ddsprl.fitting.control.terms import Heard, Term, check_terms, weighed
from ddsprl.fitting.core.archive import BAD_LOSS
from ddsprl.fitting.core.problem import GRADIENT_SAMPLES, SCORE_SAMPLES, Problem, Target, chunk_size
from ddsprl.fitting.core.solver import Space, space_of
from ddsprl.plant import Plant, in_chunks
from synth_jax import Excitation, Instrument


class ControlTarget(NamedTuple):
    """What a control problem is given of a task; a pytree.

    Attributes:
        excitation: at which candidates are played: a note, its fields scalars, or a sound, `[n]`.
        free: 1 for knobs that may move, `[d]`.
        locked: values of the others, `[d]`.
        reference: positions that slew is counted from, `[d]`.
    """

    excitation: Excitation
    free: jax.Array
    locked: jax.Array
    reference: jax.Array


@dataclass(frozen=True)
class ControlProblem:
    """Goals and guards on an instrument; static.

    Attributes:
        plant: without probes: every target brings its own excitation.
        terms: goals and guards.
    """

    plant: Plant
    terms: tuple[Term, ...]

    def __post_init__(self) -> None:
        """Check the terms at the door."""
        check_terms(self.terms, self.instrument)

    @property
    def instrument(self) -> Instrument:
        """What is played."""
        return self.plant.instrument

    def target(
        self,
        excitation: Excitation,
        *,
        free: jax.Array | None = None,
        locked: jax.Array | None = None,
        reference: jax.Array | None = None,
    ) -> ControlTarget:
        """A task; by default every knob is free and slew is counted from the neutral patch."""
        d = self.instrument.n_params
        self.instrument.check_kind(excitation)
        excitation = jax.tree.map(lambda x: jnp.asarray(x, jnp.float32), excitation)
        free = jnp.ones(d) if free is None else jnp.asarray(free)
        locked = jnp.zeros(d) if locked is None else jnp.asarray(locked)
        reference = jnp.asarray(self.instrument.default if reference is None else reference)
        return ControlTarget(excitation, free, locked, reference)

    def space(self, target: ControlTarget) -> Space:
        """The knobs as a solver sees them."""
        return space_of(self.instrument.table, target.free, target.locked)

    def snap(self, u: jax.Array) -> jax.Array:
        """Positions `[..., d]` with discrete knobs at their nearest choice."""
        return self.instrument.snap(u)

    def details(
        self, u: jax.Array, target: ControlTarget, key: jax.Array
    ) -> tuple[jax.Array, dict[str, jax.Array]]:
        """Sound `[n]` and weighted terms of one candidate."""
        sound = self.plant.play(u, target.excitation, key)
        return sound, weighed(self.terms, Heard(sound, u, target.reference), self.instrument)

    def loss(self, u: jax.Array, target: ControlTarget, key: jax.Array) -> jax.Array:
        """Weighted sum of one candidate, scalar; finite (`BAD_LOSS` stands for what is not)."""
        return _finite_sum(self.details(u, target, key)[1])

    def scores(self, u: jax.Array, target: ControlTarget, key: jax.Array) -> jax.Array:
        """Losses of many candidates `[m, d]`, `[m]`."""
        chunk = chunk_size(SCORE_SAMPLES, self.instrument.n_samples)
        return in_chunks(lambda x: self.loss(x, target, key), chunk, u)

    def gradients(self, u: jax.Array, target: ControlTarget, key: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Losses `[m]` and gradients `[m, d]`."""
        return _slopes(lambda x: self.loss(x, target, key), self.instrument, u)


class GuardedTarget(NamedTuple):
    """A sound to match within guards; a pytree.

    Attributes:
        match: of the problem that is guarded.
        reference: positions that slew is counted from, `[d]`.
    """

    match: Target
    reference: jax.Array


@dataclass(frozen=True)
class GuardedProblem:
    """A match with guards: their penalties are added to the loss; static.

    Attributes:
        problem: the match.
        guards: the penalties.
    """

    problem: Problem
    guards: tuple[Term, ...]

    def __post_init__(self) -> None:
        """Check the guards at the door."""
        check_terms(self.guards, self.problem.instrument)

    def space(self, target: GuardedTarget) -> Space:
        """The knobs as a solver sees them."""
        return self.problem.space(target.match)

    def snap(self, u: jax.Array) -> jax.Array:
        """Positions `[..., d]` with discrete knobs at their nearest choice."""
        return self.problem.snap(u)

    def loss(self, u: jax.Array, target: GuardedTarget, key: jax.Array) -> jax.Array:
        """Loss of the match plus penalties, from one render; scalar, finite."""
        problem, match = self.problem, target.match
        sound = problem.render(u, match, key)
        total = problem.objective(sound * match.window, match.features, match.weights).total
        found = weighed(self.guards, Heard(sound, u, target.reference), problem.instrument)
        return _finite_sum({"match": total, **found})

    def scores(self, u: jax.Array, target: GuardedTarget, key: jax.Array) -> jax.Array:
        """Losses of many candidates `[m, d]`, `[m]`."""
        return in_chunks(lambda x: self.loss(x, target, key), self.problem.score_chunk, u)

    def gradients(self, u: jax.Array, target: GuardedTarget, key: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Losses `[m]` and gradients `[m, d]`."""
        return _slopes(lambda x: self.loss(x, target, key), self.problem.instrument, u)


def _finite_sum(terms: dict[str, jax.Array]) -> jax.Array:
    total = sum(terms.values(), jnp.zeros(()))
    return jnp.where(jnp.isfinite(total), total, BAD_LOSS)


def _slopes(
    loss: Callable[[jax.Array], jax.Array], instrument: Instrument, u: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """Values and gradients over `[m, d]`."""
    return in_chunks(jax.value_and_grad(loss), chunk_size(GRADIENT_SAMPLES, instrument.n_samples), u)
