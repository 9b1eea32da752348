"""Which knob matters for this sound: what the loss says when one knob is moved and all others stay.

    found = sensitivities(problem, targets, preset_u, keys)
    found.increase      # [G, d], units of the loss

A continuous knob is moved by `STEP` of its range, a discrete one by a choice, down and up; the figure is the
mean rise of the loss over both (over the one that exists, at a stop). It costs 2 d + 1 renders a target. A
figure may be below 0: the preset was no minimum. Turning a knob that does nothing here (an oscillator at
level 0) gives exactly 0.
"""

from collections.abc import Callable
from functools import lru_cache, partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from ddsprl.fitting.core.driver import Plantlike
from ddsprl.fitting.core.programs import over_targets
from ddsprl.fitting.core.solver import Space

STEP = 0.05


class Sensitivity(NamedTuple):
    """Of G presets.

    Attributes:
        increase: mean rise of the loss when a knob is moved down or up, `[G, d]`; 0 for a locked knob.
        down: rise when it is moved down; NaN where that is not possible, `[G, d]`.
        up: likewise.
        loss: of the preset itself, `[G]`.
    """

    increase: np.ndarray
    down: np.ndarray
    up: np.ndarray
    loss: np.ndarray


def sensitivities(problem: Plantlike, targets: Any, u: np.ndarray, keys: jax.Array) -> Sensitivity:
    """Sensitivity of every knob.

    Args:
        problem: hashable.
        targets: pytree with leaves `[G, ...]`.
        u: the preset of each, `[G, d]`.
        keys: noise key of each, `[G]`; one key holds for all renders of a target.
    """
    found = _program(problem)(targets, jnp.asarray(u, jnp.float32), keys)
    return Sensitivity(*(np.asarray(x) for x in found))


@lru_cache(maxsize=8)
def _program(problem: Plantlike) -> Callable:
    return over_targets(partial(_one, problem))


def _one(problem: Plantlike, target: Any, u: jax.Array, key: jax.Array) -> Sensitivity:
    """Sensitivity of one preset `[d]`."""
    space, d = problem.space(target), u.shape[0]
    u = problem.snap(space.admit(u))
    moved, possible = neighbours(u, space, STEP)
    loss = problem.scores(jnp.concatenate([u[None], problem.snap(moved)]), target, key)
    rise = jnp.where(possible, loss[1:] - loss[0], jnp.nan)
    down, up = rise[:d], rise[d:]
    increase = jnp.where(space.free > 0, jnp.nanmean(rise.reshape(2, d), axis=0), 0.0)
    return Sensitivity(increase, down, up, loss[0])  # pyright: ignore[reportArgumentType]


def neighbours(u: jax.Array, space: Space, step: float) -> tuple[jax.Array, jax.Array]:
    """Presets with one knob moved, first all down, then all up, `[2 d, d]`, and which of them exist, `[2 d]`.

    A knob closer to a stop than a step is moved to the stop, unless that is under a quarter of a step.
    """
    size = jnp.where(space.choices > 0, 1.0 / jnp.maximum(space.choices - 1.0, 1.0), step)
    shifts = jnp.concatenate([-jnp.diag(size), jnp.diag(size)])
    moved = jnp.clip(u + shifts, 0.0, 1.0)
    gone = jnp.sum(jnp.abs(moved - u), axis=1)
    return moved, (gone > 0.25 * jnp.tile(size, 2)) & (jnp.tile(space.free, 2) > 0)
