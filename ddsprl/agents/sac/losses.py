"""The losses of soft actor-critic with a hybrid action, of one example; numbers in, numbers out.

With pi(m, delta | s) = pi(m | s) pi(delta_m | s, m), the log density is a sum of two, each with a temperature
of its own (Delalleau et al. 2019, "Discrete and Continuous Action Representation for Practical RL in Video
Games", arXiv:1912.11077), and the soft value (Haarnoja et al. 2018, "Soft Actor-Critic Algorithms and
Applications", arXiv:1812.05905, equation 3) becomes

    V(s) = E_m E_delta [ Q_m(s, delta_m) - a_d log pi(m|s) - a_c log pi(delta_m|s,m) ]
         = sum_m pi(m|s) [ Q_m(s, delta_m) - a_d log pi(m|s) - a_c log pi(delta_m|s,m) ],   delta ~ pi

The sum over modules is exact (Christodoulou 2019, "Soft Actor-Critic for Discrete Action Settings",
arXiv:1910.07207, equation 10); only the deltas are drawn. One draw of `[d]` serves every module, since
module m reads no other's deltas. Q is the lower of two critics (Fujimoto et al. 2018, arXiv:1802.09477,
section 4.2). Locked knobs are in none of the sums and barred modules have probability 0.

There is no penalty on large moves here: lambda |move|^2 is a term of the environment's reward
(`RewardWeights.move`), which is its only place.
"""

from typing import NamedTuple

import chex
import jax
import jax.numpy as jnp

from ddsprl.agents.distributions import categorical_entropy
from ddsprl.agents.types import Allowed


class Temperatures(NamedTuple):
    """Logarithms of both temperatures, scalars.

    Attributes:
        log_discrete: log a_d, of the module.
        log_continuous: log a_c, of the deltas.
    """

    log_discrete: jax.Array
    log_continuous: jax.Array


class Entropies(NamedTuple):
    """How random a policy is at one observation, and how random it should be; scalars in nats.

    Attributes:
        discrete: of the module.
        continuous: of the deltas, averaged under pi(m); estimated from one draw.
        discrete_target: what the first is led to.
        continuous_target: what the second is led to.
    """

    discrete: jax.Array
    continuous: jax.Array
    discrete_target: jax.Array
    continuous_target: jax.Array


def soft_value(
    q: jax.Array, log_module: jax.Array, log_delta: jax.Array, temperatures: Temperatures
) -> jax.Array:
    """V(s), scalar, the module summed over exactly: see the module's docstring.

    Args:
        q: values of both critics at the drawn deltas, `[2, m]`; the lower one counts.
        log_module: log pi(m|s), `[m]`.
        log_delta: log pi(delta_m|s,m) of the draw, summed over the unlocked knobs, `[m]`.
        temperatures: both.
    """
    chex.assert_rank([q, log_module, log_delta], [2, 1, 1])
    chex.assert_equal_shape_suffix([q, log_module, log_delta], 1)
    discrete, continuous = jnp.exp(temperatures.log_discrete), jnp.exp(temperatures.log_continuous)
    probability = jnp.exp(log_module)
    # A barred module has log probability -1e9 and probability 0, whose product is 0 as it should be.
    return jnp.sum(probability * (q.min(axis=0) - discrete * log_module - continuous * log_delta))


def td_target(
    r_t: jax.Array, terminated_t: jax.Array, v_t: jax.Array, discount: float | jax.Array
) -> jax.Array:
    """Bootstrapped value: y = r + discount (1 - terminated) V(s'), scalar; arXiv:1812.05905, equation 5.

    A time limit is not a terminal state: an episode that was cut off counts V(s') in full (Pardo et al. 2018,
    "Time Limits in Reinforcement Learning", arXiv:1712.00378, section 3).
    """
    return jax.lax.stop_gradient(r_t + discount * (1.0 - terminated_t) * v_t)


def critic_loss(q: jax.Array, module: jax.Array, y: jax.Array) -> jax.Array:
    """Half the squared errors of both critics, summed, scalar: arXiv:1812.05905, equation 5.

    Args:
        q: values `[2, m]` at the recorded deltas.
        module: the recorded module, scalar int.
        y: from `td_target`.
    """
    chex.assert_rank([q, module, y], [2, 0, 0])
    return 0.5 * jnp.sum(jnp.square(q[:, module] - y))


def actor_loss(
    q: jax.Array, log_module: jax.Array, log_delta: jax.Array, temperatures: Temperatures
) -> jax.Array:
    """-V(s), scalar: arXiv:1812.05905, equation 9, and arXiv:1910.07207, equation 12, joined.

    Gradients reach pi(m|s) through the exact sum, and the deltas' mean and spread through the draw, in which
    q and log_delta are differentiable. The critics' parameters and the temperatures are constants here.
    """
    return -soft_value(q, log_module, log_delta, jax.lax.stop_gradient(temperatures))


def entropies(
    log_module: jax.Array,
    log_delta: jax.Array,
    unlocked: jax.Array,
    allowed: Allowed,
    *,
    discrete_share: float,
    per_knob: float,
) -> Entropies:
    """Entropies of a policy at one observation, and their targets.

    Args:
        log_module: `[m]`.
        log_delta: `[m]`, of the draw.
        unlocked: knobs of each module that are unlocked, n_m, `[m]`.
        allowed: what the action may be.
        discrete_share: the module's target is this share of log(available modules), the largest possible.
        per_knob: c; the deltas' target is -c sum_m pi(m|s) n_m (arXiv:1812.05905, appendix D, has c = 1 and
            one group of knobs).
    """
    probability = jax.lax.stop_gradient(jnp.exp(log_module))
    available = jnp.maximum(jnp.sum(allowed.modules > 0), 1)
    return Entropies(
        discrete=categorical_entropy(log_module, allowed.modules),
        continuous=-jnp.sum(probability * log_delta),
        discrete_target=discrete_share * jnp.log(available.astype(log_module.dtype)),
        continuous_target=-per_knob * jnp.sum(probability * unlocked),
    )


def temperature_loss(temperatures: Temperatures, found: Entropies) -> jax.Array:
    """J = a_d (H_d - target_d) + a_c (H_c - target_c), scalar: arXiv:1812.05905, equation 18.

    Falls by raising a temperature while its entropy is below the target, and by lowering it while above.
    """
    found = jax.lax.stop_gradient(found)
    discrete = jnp.exp(temperatures.log_discrete) * (found.discrete - found.discrete_target)
    return discrete + jnp.exp(temperatures.log_continuous) * (found.continuous - found.continuous_target)


def thaw(old: Temperatures, new: Temperatures, allowed: Allowed) -> Temperatures:
    """The new temperatures, but frozen where there is nothing to choose.

    That of the module while fewer than two are available, that of the deltas while no knob is unlocked.
    """
    several, any_knob = jnp.sum(allowed.modules > 0) > 1, jnp.any(allowed.knobs > 0)
    return Temperatures(
        jnp.where(several, new.log_discrete, old.log_discrete),
        jnp.where(any_knob, new.log_continuous, old.log_continuous),
    )
