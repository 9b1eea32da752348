"""Imitation: how likely a teacher's choice is to a policy, as a loss.

For an observation s and a teacher's choice of module m and deltas, the loss is the policy's negative log
likelihood,

    L = -log pi(m|s) - sum over the unlocked knobs k of m of log pi(delta_k|s, m)

The first term is exact, a softmax over the modules that are allowed. In the second, two things must be kept
finite. A teacher goes full speed, where tanh^-1(1) is infinite: the normal variable behind a delta is
clipped to +-`MOST_RAW`, that is to deltas of +-0.987. And a density has no upper bound: where the choice can
be foretold the spread would fall without end, and an actor without spread explores nothing. So a label is
taken to be known up to normal noise of standard deviation `BLUR` in the normal variable x, over which the
loss is averaged, in closed form:

    E[-log N(x + noise; mean, std)] = -log N(x; mean, std) + BLUR^2 / (2 std^2)

which is least at std^2 = (x - mean)^2 + BLUR^2, never below BLUR.

With `every_module` the deltas of the modules that were not chosen are learnt too (a teacher says what it
would do in each), as the mean over the allowed modules.

A teacher may also be listened to without being obeyed (`goal_loss`): the same loss on a head of its own that
shares the actor's trunk. The actor learns to hear what the teacher knows, and what it does about it is left
to what leads it: an auxiliary task (Jaderberg et al. 2017, "Reinforcement Learning with Unsupervised
Auxiliary Tasks", arXiv:1611.05397), here a supervised one.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from ddsprl.agents.networks import Policy
from ddsprl.agents.types import ActionSpec, Allowed, Labels

MOST_RAW = 2.5
BLUR = 0.2


class Score(NamedTuple):
    """How likely a choice is to a policy, and how close the policy comes to it; scalars.

    Attributes:
        nll: the loss, module and deltas together.
        module_nll: in nats.
        delta_nll: likewise, of all unlocked knobs of the module.
        module_right: 1 if the likeliest module is the demonstrator's.
        delta_error: mean absolute error of the likeliest deltas over the unlocked knobs of the module.
    """

    nll: jax.Array
    module_nll: jax.Array
    delta_nll: jax.Array
    module_right: jax.Array
    delta_error: jax.Array


def raw_of(delta: jax.Array) -> jax.Array:
    """The normal variable behind a delta, within +-`MOST_RAW`; finite with its gradient."""
    limit = jnp.tanh(jnp.asarray(MOST_RAW, delta.dtype))
    return jnp.arctanh(jnp.clip(delta, -limit, limit))


def score(
    policy: Policy, label: Labels, actions: ActionSpec, allowed: Allowed, *, every_module: bool = False
) -> Score:
    """The loss of one example; see the module.

    Args:
        policy: at the observation.
        label: module scalar and delta `[d]`.
        actions: modules and knobs.
        allowed: what an action may be; the label's module must be.
        every_module: whether the deltas of all allowed modules count.
    """
    blur = 0.5 * BLUR**2 * jnp.exp(-2.0 * policy.delta.log_std)
    each = actions.per_module(blur - policy.delta.log_prob_of_raw(raw_of(label.delta)), allowed)
    knobs = actions.per_module(allowed.knobs, allowed)
    error = actions.per_module(jnp.abs(policy.delta.centre() - label.delta), allowed)
    module_nll, delta_nll = -policy.log_module[label.module], each[label.module]
    counted = jnp.sum(allowed.modules * each) / jnp.maximum(jnp.sum(allowed.modules), 1.0)
    return Score(
        nll=module_nll + (counted if every_module else delta_nll),
        module_nll=module_nll,
        delta_nll=delta_nll,
        module_right=(jnp.argmax(policy.log_module) == label.module).astype(each.dtype),
        delta_error=error[label.module] / jnp.maximum(knobs[label.module], 1.0),
    )


def goal_loss(policy: Policy, label: Labels, actions: ActionSpec, allowed: Allowed) -> jax.Array:
    """How unlikely a teacher's deltas are to the belief about them, scalar, as the mean over the modules.

    Args:
        policy: at the observation; only `goal` counts.
        label: of the teacher.
        actions: modules and knobs.
        allowed: what an action may be.
    """
    found = score(policy._replace(delta=policy.goal), label, actions, allowed, every_module=True)
    return found.nll - found.module_nll
