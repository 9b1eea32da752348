"""Going uphill on the reward itself: the gradient that a differentiable environment gives for an action.

An actor that draws its deltas as a = f_theta(s, noise) and is paid r(s, a) by an environment that can be
differentiated needs no critic to learn how the next reward depends on what it does:

    d E[r] / d theta = E[ dr/da . d f_theta(s, noise) / d theta ]

(Heess et al. 2015, "Learning Continuous Control Policies by Stochastic Value Gradients", arXiv:1510.09142,
section 4, with a horizon of one step and the environment itself for a model; on such pathwise gradients see
Mohamed et al. 2020, "Monte Carlo Gradient Estimation in Machine Learning", arXiv:1906.10652, section 5.)
What comes after the next reward is the critics' business. `dr/da` is taken at the action that was played, in
the same rendering of the step, so it belongs to the draws of that one policy and is used at once: it is not
stored. Where an iteration has several gradient steps, the later ones use it too, though the policy has moved
a little since.

As a loss it is - slope . f_theta(s, noise), whose gradient is the above with the sign turned.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from ddsprl.agents.networks import Policy
from ddsprl.agents.types import ActionSpec, Allowed, Seen

# Kinks of a plant can be very steep; beyond this norm a slope is scaled down.
STEEPEST = 1.0


class Ascent(NamedTuple):
    """Actions just played, and how the reward rises with them; leaves `[n, ...]`.

    Attributes:
        key: of the draw of the deltas.
        seen: the observation.
        allowed: what the action might be.
        module: int, as played.
        slope: gradient of the reward with respect to the deltas as played, `[d]`, see `usable`.
    """

    key: jax.Array
    seen: Seen
    allowed: Allowed
    module: jax.Array
    slope: jax.Array


def usable(slope: jax.Array, drawn: jax.Array) -> jax.Array:
    """Slopes `[n, d]` to learn from: finite, of norm at most `STEEPEST`, zero where `drawn [n]` is 0.

    Args:
        slope: of the reward.
        drawn: 1 where the action was drawn from the policy.
    """
    finite = jnp.all(jnp.isfinite(slope), axis=-1, keepdims=True)
    slope = jnp.where(finite & (drawn[:, None] > 0), slope, 0.0)
    norm = jnp.sqrt(jnp.sum(jnp.square(slope), axis=-1, keepdims=True) + 1e-20)
    return slope * jnp.minimum(1.0, STEEPEST / norm)


def ascent_loss(policy: Callable[[Seen, Allowed], Policy], played: Ascent, actions: ActionSpec) -> jax.Array:
    """The mean of - slope . delta, scalar; only its gradient has a meaning.

    Args:
        policy: the actor at an observation, through which gradients pass.
        played: leaves `[n, ...]`.
        actions: modules and knobs.
    """

    def one(step: Ascent) -> jax.Array:
        drawn = policy(step.seen, step.allowed).delta.sample(step.key).value
        return -jnp.sum(step.slope * actions.shown(drawn, step.allowed)[step.module])

    return jnp.mean(jax.vmap(one)(played))
