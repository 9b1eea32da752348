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

Deltas are bounded, a = tanh(x), and tanh has no slope left where a policy pushes hard: a knob that was once
sent to its stop would stay there, whatever the reward says later. So of its slope (1 - a)(1 + a) only the
factor is kept that closes the end towards which the reward rises, as in Hausknecht and Stone 2016, "Deep
Reinforcement Learning in Parameterized Action Space" (arXiv:1511.04143, section 5, inverting gradients):

    slope of x = dr/da (1 - a)  where dr/da > 0,   dr/da (1 + a)  where it is not

As a loss it is - slope . x, with x = g_theta(s, noise) the normal variable behind the deltas.
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
        slope: of the reward with respect to the normal variables behind the deltas, `[d]`, see `usable`.
    """

    key: jax.Array
    seen: Seen
    allowed: Allowed
    module: jax.Array
    slope: jax.Array


def usable(slope: jax.Array, delta: jax.Array, drawn: jax.Array) -> jax.Array:
    """Slopes of the normal variables `[n, d]` to learn from: finite, and zero where `drawn [n]` is 0.

    Args:
        slope: of the reward with respect to the deltas, `[n, d]`; scaled down to a norm of `STEEPEST`.
        delta: as played, `[n, d]`.
        drawn: 1 where the action was drawn from the policy.
    """
    finite = jnp.all(jnp.isfinite(slope), axis=-1, keepdims=True)
    slope = jnp.where(finite & (drawn[:, None] > 0), slope, 0.0)
    norm = jnp.sqrt(jnp.sum(jnp.square(slope), axis=-1, keepdims=True) + 1e-20)
    room = jnp.where(slope > 0, 1.0 - delta, 1.0 + delta)
    return slope * jnp.minimum(1.0, STEEPEST / norm) * room


def ascent_loss(policy: Callable[[Seen, Allowed], Policy], played: Ascent, actions: ActionSpec) -> jax.Array:
    """The mean of - slope . x, scalar; only its gradient has a meaning.

    Args:
        policy: the actor at an observation, through which gradients pass.
        played: leaves `[n, ...]`.
        actions: modules and knobs.
    """

    def one(step: Ascent) -> jax.Array:
        drawn = policy(step.seen, step.allowed).delta.sample(step.key).raw
        return -jnp.sum(step.slope * actions.shown(drawn, step.allowed)[step.module])

    return jnp.mean(jax.vmap(one)(played))
