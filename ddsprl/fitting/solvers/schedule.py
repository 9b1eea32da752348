"""The scheduler of the hybrid law: step size, momentum and dither follow scalar feedback.

One `Gains` a replica. It hears four scalars a step (whether the loss is a new best, by what share it fell,
the agreement of successive gradients, the size of this one) and remembers a count and three running averages,
so its memory is finite and in the state:

- gradients that agree lengthen the step and raise the momentum; gradients that oppose each other (the
  replica bounces between the walls of a valley) shorten the step;
- a gradient that is suddenly far larger than those before (a wall) shortens the step;
- progress cools the dither;
- a plateau, `patience` steps without a new best and no fall of the loss on average, heats the dither and
  shortens the step.

All gains are bounded, and the bounds of the step fall with the share of the budget that is spent.

`hybrid` ships with the adaptation off (`adaptive`): at equal cost it did not win against the plain fall of
the step with the budget (`configs/compare.yaml`, row `adaptive_schedule`).
"""

from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp


@dataclass(frozen=True)
class ScheduleConfig:
    """Bounds and rates of the scheduler; steps in unbounded coordinates.

    Attributes:
        adaptive: False holds every factor at 1 but for `back_off`; the fall with progress stays.
        first_rate: largest step when the budget is untouched.
        last_rate: largest step when it is spent; geometric between.
        least: smallest step, as a share of the largest.
        momentum: at its middle; the agreement of gradients moves it within `momentum_span` of that.
        momentum_span: see `momentum`.
        grow: factor on the step when successive gradients agree fully.
        shrink: factor on the step when they oppose each other fully.
        patience: steps without a new best after which a replica is on a plateau.
        heat: factor on the dither for every step on a plateau.
        cool: factor on the dither for every step of progress.
        dither: largest dither, in knob units; `dither_floor` times that is the smallest. 0 throws nothing:
            the probes of `hybrid` find more for the same renders.
        dither_floor: see `dither`.
    """

    adaptive: bool = False
    first_rate: float = 0.1
    last_rate: float = 0.02
    least: float = 0.1
    momentum: float = 0.8
    momentum_span: float = 0.1
    grow: float = 1.05
    shrink: float = 0.85
    patience: int = 5
    heat: float = 1.25
    cool: float = 0.7
    dither: float = 0.0
    dither_floor: float = 0.1


# A loss that falls by less than this share a step, on average, does not fall.
TRIFLE = 1e-3
# A gradient this many times larger than the running mean is a wall.
WALL = 3.0
# What the past weighs in the running averages.
_MEMORY = 0.7


class Gains(NamedTuple):
    """Gains and memory of one replica; a pytree of scalars.

    Attributes:
        step: factor on the largest step, in [least, 1].
        heat: factor on the largest dither, in [dither_floor, 1].
        agreement: running mean of the cosine between successive gradients.
        trend: running mean of the share by which the loss falls in a step.
        norm: running mean of the size of the gradient; 0 if there was none.
        plateau: steps since the last new best.
    """

    step: jax.Array
    heat: jax.Array
    agreement: jax.Array
    trend: jax.Array
    norm: jax.Array
    plateau: jax.Array


class Feedback(NamedTuple):
    """What the scheduler hears of one step.

    Attributes:
        improved: whether the loss was a new best of this replica.
        fall: share by which the loss fell since the step before; negative if it rose.
        cosine: between this gradient and the one before, in [-1, 1]; 0 if there was none.
        norm: of this gradient, in unbounded coordinates.
    """

    improved: jax.Array
    fall: jax.Array
    cosine: jax.Array
    norm: jax.Array


def fresh_gains(config: ScheduleConfig) -> Gains:
    """Gains of a replica that has just been born: full step, least dither; all of it if nothing adapts."""
    one, none = jnp.ones(()), jnp.zeros(())
    heat = config.dither_floor if config.adaptive else 1.0
    return Gains(one, heat * one, none, none, none, jnp.zeros((), jnp.int32))


def update_gains(gains: Gains, heard: Feedback, config: ScheduleConfig) -> Gains:
    """Gains for the next step."""
    if not config.adaptive:
        return gains
    agreement = _mean(gains.agreement, heard.cosine)
    trend = _mean(gains.trend, jnp.clip(heard.fall, -1.0, 1.0))
    plateau = jnp.where(heard.improved, 0, gains.plateau + 1)
    stuck = (plateau > config.patience) & (trend < TRIFLE)
    wall = (gains.norm > 0.0) & (heard.norm > WALL * gains.norm)
    pace = jnp.where(agreement > 0.0, config.grow**agreement, config.shrink ** (-agreement))
    step = gains.step * pace * jnp.where(stuck, 0.95, 1.0) * jnp.where(wall, config.shrink, 1.0)
    heat = gains.heat * jnp.where(heard.improved, config.cool, jnp.where(stuck, config.heat, 1.0))
    return Gains(
        step=jnp.clip(step, config.least, 1.0),
        heat=jnp.clip(heat, config.dither_floor, 1.0),
        agreement=agreement,
        trend=trend,
        norm=jnp.where(gains.norm > 0.0, _mean(gains.norm, heard.norm), heard.norm),
        plateau=plateau,
    )


def _mean(past: jax.Array, now: jax.Array) -> jax.Array:
    return _MEMORY * past + (1.0 - _MEMORY) * now


def back_off(gains: Gains, config: ScheduleConfig) -> Gains:
    """Gains after a divergence: half the step, least dither. A guard, so it holds if nothing adapts too."""
    return gains._replace(
        step=jnp.maximum(0.5 * gains.step, config.least), heat=jnp.full_like(gains.heat, config.dither_floor)
    )


def alpha(gains: Gains, progress: jax.Array, config: ScheduleConfig) -> jax.Array:
    """Step size."""
    return gains.step * config.first_rate * (config.last_rate / config.first_rate) ** progress


def mu(gains: Gains, config: ScheduleConfig) -> jax.Array:
    """Momentum."""
    return config.momentum + config.momentum_span * gains.agreement


def sigma(gains: Gains, progress: jax.Array, config: ScheduleConfig) -> jax.Array:
    """Size of the dither; it falls with the step."""
    return gains.heat * config.dither * (config.last_rate / config.first_rate) ** progress
