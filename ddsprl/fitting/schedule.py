"""The scheduler of the hybrid law: step size, momentum and dither follow scalar feedback.

One `Gains` a replica. It hears two scalars a step (whether the loss is a new best, and the agreement of
successive gradients) and remembers a count and a running average, so its memory is finite and in the state:

- gradients that agree lengthen the step and raise the momentum; gradients that oppose each other (the
  replica bounces between the walls of a valley) shorten the step;
- progress cools the dither;
- a plateau, longer than `patience` steps without a new best, heats the dither and shortens the step.

All gains are bounded, and the bounds of the step fall with the share of the budget that is spent.
"""

from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp


@dataclass(frozen=True)
class ScheduleConfig:
    """Bounds and rates of the scheduler; steps in unbounded coordinates.

    Attributes:
        adaptive: False holds every factor at 1 (the ablation "no schedule"); the fall with progress stays.
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
        dither: largest dither; `dither_floor` times that is the smallest.
        dither_floor: see `dither`.
    """

    adaptive: bool = True
    first_rate: float = 0.2
    last_rate: float = 0.02
    least: float = 0.1
    momentum: float = 0.8
    momentum_span: float = 0.1
    grow: float = 1.05
    shrink: float = 0.85
    patience: int = 5
    heat: float = 1.25
    cool: float = 0.7
    dither: float = 0.05
    dither_floor: float = 0.01


class Gains(NamedTuple):
    """Gains and memory of one replica; a pytree of scalars.

    Attributes:
        step: factor on the largest step, in [least, 1].
        heat: factor on the largest dither, in [dither_floor, 1].
        agreement: running mean of the cosine between successive gradients.
        plateau: steps since the last new best.
    """

    step: jax.Array
    heat: jax.Array
    agreement: jax.Array
    plateau: jax.Array


class Feedback(NamedTuple):
    """What the scheduler hears of one step.

    Attributes:
        improved: whether the loss was a new best of this replica.
        cosine: between this gradient and the one before, in [-1, 1]; 0 if there was none.
    """

    improved: jax.Array
    cosine: jax.Array


def fresh_gains(config: ScheduleConfig) -> Gains:
    """Gains of a replica that has just been born: full step, least dither; all of it if nothing adapts."""
    one = jnp.ones(())
    heat = config.dither_floor if config.adaptive else 1.0
    return Gains(one, heat * one, 0.0 * one, jnp.zeros((), jnp.int32))


def update_gains(gains: Gains, heard: Feedback, config: ScheduleConfig) -> Gains:
    """Gains for the next step."""
    if not config.adaptive:
        return gains
    agreement = 0.7 * gains.agreement + 0.3 * heard.cosine
    plateau = jnp.where(heard.improved, 0, gains.plateau + 1)
    stuck = plateau > config.patience
    pace = jnp.where(agreement > 0.0, config.grow ** agreement, config.shrink ** (-agreement))
    step = gains.step * pace * jnp.where(stuck, 0.95, 1.0)
    heat = gains.heat * jnp.where(heard.improved, config.cool, jnp.where(stuck, config.heat, 1.0))
    return Gains(
        jnp.clip(step, config.least, 1.0), jnp.clip(heat, config.dither_floor, 1.0), agreement, plateau
    )


def back_off(gains: Gains, config: ScheduleConfig) -> Gains:
    """Gains after a divergence: half the step, least dither; unchanged if nothing adapts."""
    if not config.adaptive:
        return gains
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
