"""The records that an agent works with; nothing here knows of a synthesizer.

An action is hybrid: a module, and the deltas of that module's knobs. Modules partition the `d` knobs, so one
vector `[d]` holds a delta for every module at once, and module m reads only its own part of it:

    Seen ──actor──▶ Policy ──sample──▶ module, delta [d]
    Seen, delta [d] ──critic──▶ Q [2, m]          entry m depends on module m's unlocked deltas alone
    Transition ──replay──▶ batch ──losses──▶ gradients

What is locked comes as `Allowed`, beside the observation. It limits the actions and does not enter the
dynamics, so a transition that was recorded under a narrower mask stays a true sample under a wider one (its
newly unlocked knobs had delta 0): one `Allowed`, the present one, may serve for a whole batch. Where tasks
with different masks are learnt together, every transition brings its own (`free`).

Functions take one example; batch with `vmap`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

Params = Any


class Seen(NamedTuple):
    """One observation, as the networks take it.

    Attributes:
        rest: everything that is no picture, `[r]`.
        current: log-mel now, `[bands, frames]`; None where there are no pictures.
        target: log-mel asked for, likewise.
    """

    rest: jax.Array
    current: jax.Array | None = None
    target: jax.Array | None = None


class Allowed(NamedTuple):
    """What an action may be; floats of 0 and 1.

    Attributes:
        modules: 1 for modules that may be chosen, `[m]`.
        knobs: 1 for unlocked knobs, `[d]`.
    """

    modules: jax.Array
    knobs: jax.Array


class Labels(NamedTuple):
    """What a teacher would choose at an observation.

    Attributes:
        module: scalar int.
        delta: `[d]` in [-1, 1], of all unlocked knobs: what it would do in any module.
    """

    module: jax.Array
    delta: jax.Array


class Transition(NamedTuple):
    """One step of an environment.

    Attributes:
        seen: before the action.
        module: scalar int, the chosen one.
        delta: `[d]` in [-1, 1]; zero for locked knobs and for other modules'.
        reward: scalar.
        terminated: scalar bool. False at a time limit, where the value of `next_seen` counts.
        next_seen: after the action: of an episode that ended its last observation, not the next one's first.
            Its target is that of `seen`.
        labels: what a teacher would have chosen at `seen`; None where nobody was asked.
        free: 1 for the knobs that were unlocked, `[d]`; None where all transitions share one mask.
    """

    seen: Seen
    module: jax.Array
    delta: jax.Array
    reward: jax.Array
    terminated: jax.Array
    next_seen: Seen
    labels: Labels | None = None
    free: jax.Array | None = None


class Override(NamedTuple):
    """An edit that takes the place of the policy's own where it is due.

    Attributes:
        module: int scalar.
        delta: `[d]` in [-1, 1], of all unlocked knobs.
        due: bool scalar, whether it is its turn.
    """

    module: jax.Array
    delta: jax.Array
    due: jax.Array


def or_own(override: Override, module: jax.Array, delta: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Its module and deltas where it is due, else the given ones of the policy itself."""
    due = override.due
    return jnp.where(due, override.module, module), jnp.where(due, override.delta, delta)


@dataclass(frozen=True)
class ActionSpec:
    """Which knob belongs to which module; hashable.

    Attributes:
        modules: how many there are. One without knobs is a purely discrete action.
        module_of_knob: index of each knob's module, `d` of them.
    """

    modules: int
    module_of_knob: tuple[int, ...]

    @property
    def knobs(self) -> int:
        """Number of knobs, d."""
        return len(self.module_of_knob)

    @property
    def belongs(self) -> np.ndarray:
        """1 where a knob belongs to a module, float32 `[m, d]`."""
        owners = np.array(self.module_of_knob, int)
        return (owners[None, :] == np.arange(self.modules)[:, None]).astype(np.float32)

    def allowed(self, free: jax.Array | np.ndarray | Sequence[float]) -> Allowed:
        """From the knobs' mask `[d]`: a module may be chosen when one of its knobs is unlocked."""
        knobs = jnp.asarray(free, jnp.float32)
        return Allowed(jnp.max(self.belongs * knobs, axis=1, initial=0.0), knobs)

    def per_module(self, values: jax.Array, allowed: Allowed) -> jax.Array:
        """Sum over the unlocked knobs of each module: `[d]` to `[m]`."""
        # Not a product with the mask: a locked knob's value may be anything, its gradient too.
        return jnp.asarray(self.belongs) @ jnp.where(allowed.knobs > 0, values, 0.0)

    def shown(self, delta: jax.Array, allowed: Allowed) -> jax.Array:
        """What each module sees of the deltas `[d]`: its own unlocked ones, else zeros, `[m, d]`."""
        return jnp.asarray(self.belongs) * jnp.where(allowed.knobs > 0, delta, 0.0)


@dataclass(frozen=True)
class SeenSpec:
    """Shapes of an observation; hashable.

    Attributes:
        rest: numbers that are no picture, r.
        picture: bands and frames; None without pictures.
        guess: where in `rest` a guess at the knobs begins, and where the knobs do, `[d]` each; None where
            there is no guess.
    """

    rest: int
    picture: tuple[int, int] | None = None
    guess: tuple[int, int] | None = None

    def zeros(self) -> Seen:
        """An observation of zeros, to make networks and buffers by."""
        if self.picture is None:
            return Seen(jnp.zeros(self.rest))
        return Seen(jnp.zeros(self.rest), jnp.zeros(self.picture), jnp.zeros(self.picture))
