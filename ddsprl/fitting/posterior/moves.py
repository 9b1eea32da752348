"""Moves of a chain whose limit is exp(-loss / T) x prior, each with its Metropolis correction.

Coordinates: a continuous knob that may move is kept as z = logit(u), where nothing has to be clipped; a
discrete or locked knob as its position. In z the density carries the Jacobian |du/dz| = u (1 - u).

The moves, and why each keeps the density (Metropolis et al. 1953, Hastings 1970):

    drift        z' = z - alpha M drift + sqrt(2 alpha T M) eta, the hybrid's law with scheduler, clipping and
                 replacement off; drift = d/dz [loss - T log(prior x Jacobian)], so sigma^2 = 2 alpha T,
                 and noise and drift share the fixed diagonal M. Accepted by the ratio with both proposal
                 densities (Roberts and Tweedie 1996, MALA).
    redraw       one knob redrawn uniformly (a discrete one: any choice), or moved by a step that is reflected
                 at the stops; both symmetric in u.
    exchange     some pairs of knobs change places: an involution that keeps volume in u.
    difference   z' = z + gamma (z_a - z_b) on a random subset of knobs, a and b chains of the other half at
                 the same temperature (ter Braak 2006): symmetric in z while that half stands still.
    swap         two temperatures exchange positions, accepted with
                 min(1, exp((1/Ti - 1/Tj)(Li - Lj))) (Geyer 1991; the prior cancels).

All functions are for one chain; `vmap` outside.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

EDGE = 1e-6  # the closest that a redrawn knob comes to its stop; nearer, float32 has no logit
SMALLEST_STEP, LARGEST_STEP = 0.003, 0.3  # of a redraw by a step, knob units, log-uniform between
FRESH_CHANCE, EXCHANGE_CHANCE = 0.5, 0.1
WHOLE_CHANCE = 0.1  # of a difference of full length, which carries a chain into another's mode
JITTER = 1e-3  # of a difference, so that chains can leave the plane that they span


class Knobs(NamedTuple):
    """Which knobs move, and how.

    Attributes:
        smooth: 1 for continuous knobs that may move, `[d]`.
        free: 1 for all knobs that may move, `[d]`.
        choices: of discrete knobs, 0 for continuous ones, `[d]`.
        partner: index of the knob that changes places with this one in an exchange, itself if none, `[d]`.
    """

    smooth: jax.Array
    free: jax.Array
    choices: jax.Array
    partner: jax.Array


def to_coordinates(u: jax.Array, knobs: Knobs) -> jax.Array:
    """Coordinates of positions `[d]`."""
    inside = jnp.clip(u, EDGE, 1.0 - EDGE)
    return jnp.where(knobs.smooth > 0, jnp.log(inside) - jnp.log1p(-inside), u)


def to_positions(x: jax.Array, knobs: Knobs) -> jax.Array:
    """Positions of coordinates `[d]`."""
    return jnp.where(knobs.smooth > 0, jax.nn.sigmoid(x), x)


def log_prior(x: jax.Array, knobs: Knobs, prior: Any) -> jax.Array:
    """Log density of the prior in the coordinates, Jacobian included, scalar."""
    # log u + log (1 - u), exact however far out.
    jacobian = -jax.nn.softplus(x) - jax.nn.softplus(-x)
    return prior.log_density(to_positions(x, knobs)) + jnp.sum(jnp.where(knobs.smooth > 0, jacobian, 0.0))


def drift_of(x: jax.Array, slope: jax.Array, temperature: jax.Array, knobs: Knobs, prior: Any) -> jax.Array:
    """Gradient of loss - T log(prior x Jacobian) in the coordinates, `[d]`, 0 where a knob is no logit.

    Args:
        x: coordinates, `[d]`.
        slope: gradient of the loss with respect to the positions, `[d]`.
        temperature: T, in units of the loss.
        knobs: of the target.
        prior: see `ddsprl.fitting.posterior.priors`.
    """
    u = to_positions(x, knobs)
    pull = jax.grad(log_prior)(x, knobs, prior)
    return jnp.where(knobs.smooth > 0, slope * u * (1.0 - u) - temperature * pull, 0.0)


def drift_move(
    key: jax.Array,
    x: jax.Array,
    drift: jax.Array,
    alpha: jax.Array,
    scale: jax.Array,
    temperature: jax.Array,
    knobs: Knobs,
) -> jax.Array:
    """Where the law goes, `[d]`; `scale` is the diagonal M, `[d]`."""
    noise = jax.random.normal(key, x.shape, x.dtype)
    moved = x - alpha * scale * drift + jnp.sqrt(2.0 * alpha * temperature * scale) * noise
    return jnp.where(knobs.smooth > 0, moved, x)


def log_drift_density(
    to: jax.Array,
    since: jax.Array,
    drift: jax.Array,
    alpha: jax.Array,
    scale: jax.Array,
    temperature: jax.Array,
    knobs: Knobs,
) -> jax.Array:
    """Log density of `drift_move` from `since` (with its drift) to `to`, up to a constant."""
    miss = jnp.square(to - since + alpha * scale * drift) / (4.0 * alpha * temperature * scale)
    return -jnp.sum(jnp.where(knobs.smooth > 0, miss, 0.0))


def redraw(key: jax.Array, u: jax.Array, knobs: Knobs) -> jax.Array:
    """Positions with one free knob redrawn or moved by a step, or with pairs exchanged; symmetric in u."""
    which, kind, fresh_key, size_key, step_key, swap_key = jax.random.split(key, 6)
    place = jax.random.categorical(which, jnp.where(knobs.free > 0, 0.0, -jnp.inf))
    chosen = jnp.arange(u.shape[0]) == place
    fresh = jax.random.uniform(fresh_key, u.shape, u.dtype)
    steps = jnp.maximum(knobs.choices - 1.0, 1.0)
    choice = jnp.clip(jnp.floor(fresh * knobs.choices), 0.0, steps) / steps
    span = jnp.log(LARGEST_STEP / SMALLEST_STEP)
    size = SMALLEST_STEP * jnp.exp(span * jax.random.uniform(size_key, (), u.dtype))
    near = reflected(u + size * jax.random.normal(step_key, u.shape, u.dtype))
    continuous = jnp.where(jax.random.uniform(kind) < FRESH_CHANCE, fresh, near)
    one = jnp.where(chosen, jnp.where(knobs.choices > 0, choice, continuous), u)
    paired = knobs.partner != jnp.arange(u.shape[0])
    exchange = jnp.any(paired) & (jax.random.uniform(swap_key) < EXCHANGE_CHANCE)
    return jnp.where(exchange, u[knobs.partner], one)


def reflected(u: jax.Array) -> jax.Array:
    """Positions folded back into [0, 1] at both stops."""
    return 1.0 - jnp.abs(1.0 - jnp.mod(u, 2.0))


def difference(key: jax.Array, x: jax.Array, others: jax.Array, knobs: Knobs) -> jax.Array:
    """Coordinates moved by a difference of two of `others [k, d]`, k >= 2; symmetric."""
    pair_key, rate_key, mask_key, whole_key, jitter_key = jax.random.split(key, 5)
    first, second = jax.random.choice(pair_key, others.shape[0], (2,), replace=False)
    # A few knobs or all: both the narrow and the wide directions get their turn (Vrugt et al. 2009, DREAM).
    rate = jnp.asarray([0.1, 0.3, 1.0])[jax.random.randint(rate_key, (), 0, 3)]
    mask = (jax.random.uniform(mask_key, x.shape) < rate) & (knobs.smooth > 0)
    count = jnp.maximum(jnp.sum(mask), 1)
    gamma = jnp.where(jax.random.uniform(whole_key) < WHOLE_CHANCE, 1.0, 1.68 / jnp.sqrt(1.0 * count))
    jitter = JITTER * jax.random.normal(jitter_key, x.shape, x.dtype)
    return x + jnp.where(mask, gamma * (others[first] - others[second]) + jitter, 0.0)


def log_swap(loss: jax.Array, other: jax.Array, temperature: jax.Array, other_temperature: jax.Array):
    """Log of the ratio by which two temperatures exchange positions with these losses."""
    return (1.0 / temperature - 1.0 / other_temperature) * (loss - other)


def accepted(key: jax.Array, log_ratio: jax.Array) -> jax.Array:
    """Whether a move with this log ratio is made; one that is NaN is not."""
    chance = jnp.log(jax.random.uniform(key, jnp.shape(log_ratio), minval=1e-30))
    return jnp.isfinite(log_ratio) & (chance < log_ratio) | (log_ratio == jnp.inf)
