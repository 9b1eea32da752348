"""The policy's two distributions: a masked categorical and a normal squashed by tanh.

Both are exact and safe to differentiate. A squashed draw keeps the normal variable from which it came, so
that its log density never needs atanh, which is infinite at the ends that tanh reaches in float32.

They are written out here, and distrax is the reference that tests hold them to. What is needed of it are the
two formulas below; what it has not are the mask, an entropy in which barred entries are exactly 0, and a
squashed value that keeps its normal variable. And importing it brings TensorFlow Probability: more than a
second at the start of every process, and warnings about parts of its dependencies that are going away.
"""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp

# Finite, so that a row with everything barred stays finite too; exp of it is exactly 0.
_BARRED = -1e9
_LOG_2, _HALF_LOG_2PI = math.log(2.0), 0.5 * math.log(2.0 * math.pi)


def masked_log_softmax(logits: jax.Array, mask: jax.Array) -> jax.Array:
    """Log probabilities among the allowed, `[m]`; about -1e9 for the others, whose probability is 0.

    Args:
        logits: `[m]`.
        mask: 1 where allowed, `[m]`; with nothing allowed the result is uniform.
    """
    return jax.nn.log_softmax(jnp.where(mask > 0, logits, _BARRED))


def categorical_entropy(log_p: jax.Array, mask: jax.Array) -> jax.Array:
    """Entropy in nats of a masked categorical, scalar; barred entries add 0.

    Args:
        log_p: from `masked_log_softmax`, `[m]`.
        mask: likewise.
    """
    return -jnp.sum(jnp.where(mask > 0, jnp.exp(log_p) * log_p, 0.0))


def log_one_minus_tanh_squared(x: jax.Array) -> jax.Array:
    """log(1 - tanh(x)^2), exact where tanh rounds to 1.

    With 1 - tanh(x)^2 = 4 / (e^x + e^-x)^2 its logarithm is 2 (log 2 - x - softplus(-2 x)).
    """
    return 2.0 * (_LOG_2 - x - jax.nn.softplus(-2.0 * x))


class Squashed(NamedTuple):
    """A draw of `TanhNormal`.

    Attributes:
        value: tanh of `raw`, in [-1, 1], `[d]`.
        raw: the normal variable, `[d]`.
        log_prob: log density of `value`, a term for every knob, `[d]`.
    """

    value: jax.Array
    raw: jax.Array
    log_prob: jax.Array


class TanhNormal(NamedTuple):
    """tanh of independent normals.

    Attributes:
        mean: of the normals, `[d]`.
        log_std: `[d]`.
    """

    mean: jax.Array
    log_std: jax.Array

    def log_prob_of_raw(self, raw: jax.Array) -> jax.Array:
        """Log density of tanh(raw), `[d]`: Haarnoja et al. 2018 (arXiv:1801.01290), appendix C.

        By the change of variables, log N(raw; mean, std) - log(1 - tanh(raw)^2).
        """
        z = (raw - self.mean) * jnp.exp(-self.log_std)
        return -0.5 * jnp.square(z) - self.log_std - _HALF_LOG_2PI - log_one_minus_tanh_squared(raw)

    def sample(self, key: jax.Array) -> Squashed:
        """A draw through which gradients pass to mean and log_std."""
        noise = jax.random.normal(key, self.mean.shape, self.mean.dtype)
        raw = self.mean + jnp.exp(self.log_std) * noise
        return Squashed(jnp.tanh(raw), raw, self.log_prob_of_raw(raw))

    def centre(self) -> jax.Array:
        """The median, tanh(mean), `[d]`: what a policy does without noise."""
        return jnp.tanh(self.mean)
