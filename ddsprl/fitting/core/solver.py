"""The contract of everything that turns knobs: `init`, `ask`, `tell`, with explicit state.

A solver sees positions in [0, 1]^d and losses, never a sound. At every iteration it asks for a `Query`:
positions to be scored, and positions to be scored and differentiated; both counts are fixed, so that one
compiled program serves every iteration, and what an iteration costs is known beforehand. The driver
(`ddsprl.fitting.core.driver`) answers, counts, and keeps the best.

    state = solver.init(key, start, space)
    query, state = solver.ask(key, state, progress)
    state = solver.tell(key, state, query, answer)

A solver is a frozen dataclass of its settings, hashable, so that it may be a static argument. Walk one
through: `ddsprl.fitting.solvers.random_search` is the smallest.
"""

from typing import Any, NamedTuple, Protocol, runtime_checkable

import jax
import jax.numpy as jnp

from synth_jax.params import Table

# Curves of `trace` that count what happened since `init`: searches begun anew (`evolution`), members put back
# because something was not finite, and because they diverged (`hybrid`).
COUNTS = ("restarts", "restored", "backed_off")


class Space(NamedTuple):
    """The knobs of one target as a solver sees them.

    Attributes:
        free: 1 for knobs that may move, `[d]`.
        locked: values of the others, `[d]`.
        choices: number of values of a discrete knob, evenly spread over [0, 1]; 0 for a continuous one,
            `[d]`.
    """

    free: jax.Array
    locked: jax.Array
    choices: jax.Array

    def admit(self, u: jax.Array) -> jax.Array:
        """Positions `[..., d]` within [0, 1], locked knobs at their values."""
        return jnp.where(self.free > 0, jnp.clip(u, 0.0, 1.0), self.locked)


class Start(NamedTuple):
    """Where a solver may begin; scored and charged by the driver.

    Attributes:
        u: positions, best first, `[k, d]`.
        loss: of these, `[k]`.
    """

    u: jax.Array
    loss: jax.Array


class Query(NamedTuple):
    """What a solver wants to know.

    Attributes:
        score: positions whose loss is asked for, `[scores, d]`.
        slope: positions whose loss and gradient are asked for, `[gradients, d]`.
    """

    score: jax.Array
    slope: jax.Array


class Answer(NamedTuple):
    """What the plant and the objective say to a `Query`.

    Losses are finite or NaN; a driver passes on what it measured, and a solver must survive it.

    Attributes:
        score: losses, `[scores]`.
        loss: losses where gradients were asked for, `[gradients]`.
        slope: gradients of these with respect to the positions, `[gradients, d]`.
    """

    score: jax.Array
    loss: jax.Array
    slope: jax.Array


@runtime_checkable
class Solver(Protocol):
    """What every solver offers; see the module."""

    @property
    def scores(self) -> int:
        """Positions scored in one iteration."""
        ...

    @property
    def gradients(self) -> int:
        """Positions differentiated in one iteration; a solver needs gradients if this is not 0."""
        ...

    def init(self, key: jax.Array, start: Start, space: Space) -> Any:
        """State before the first iteration, a pytree."""
        ...

    def ask(self, key: jax.Array, state: Any, progress: jax.Array) -> tuple[Query, Any]:
        """What to evaluate next; `progress` is the share of the budget that is spent, in [0, 1]."""
        ...

    def tell(self, key: jax.Array, state: Any, query: Query, answer: Answer) -> Any:
        """State after the answer to a query."""
        ...

    def trace(self, state: Any) -> dict[str, jax.Array]:
        """Scalars worth a curve, by name; the same names at every iteration."""
        ...


def needs_gradient(solver: Solver) -> bool:
    """Whether a solver can only work where the plant is differentiable."""
    return solver.gradients > 0


def iteration_cost(solver: Solver, gradient_cost: float) -> float:
    """Renders charged for one iteration, a gradient as `gradient_cost` of them."""
    return solver.scores + gradient_cost * solver.gradients


class Leg(NamedTuple):
    """Part of a search; it begins at the finalists of the part before.

    Attributes:
        solver: that does it.
        share: of the renders after the starts; those of all legs sum to 1.
    """

    solver: Solver
    share: float


def legs_of(solver: Solver) -> tuple[Leg, ...]:
    """The legs of a search: those that the solver names (`legs`), or itself from first to last.

    A query has one shape for as long as a solver asks, so a search that wants another one goes on as another
    solver. That one is told the same progress: to a law, it is one course.
    """
    return getattr(solver, "legs", (Leg(solver, 1.0),))


def hears_fresh_noise(solver: Solver) -> bool:
    """Whether every iteration has a noise key of its own (`fresh_noise` of the solver); else all share one.

    With one key losses compare, and a search in the end fits the noise. With fresh ones a loss is a draw, and
    the best of many draws a lucky one: for solvers that go by slopes, and choose by losses only where they
    would otherwise not know what to go back to.
    """
    return getattr(solver, "fresh_noise", False)


def space_of(table: Table, free: jax.Array, locked: jax.Array) -> Space:
    """The space of an instrument's knobs."""
    return Space(free, locked, jnp.asarray([float(spec.choices) for spec in table], free.dtype))


def no_query(d: int, dtype: Any = jnp.float32) -> jax.Array:
    """The empty half of a query, `[0, d]`."""
    return jnp.zeros((0, d), dtype)
