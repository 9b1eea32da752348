"""The network behind a guess: from a clip's features to a mixture of truncated normals over the knobs.

A mixture-density network (Bishop 1994, "Mixture Density Networks", Aston University NCRG/94/004): several
knob settings may sound alike, so it answers with a distribution. Frames of a picture share their first
layers, which is what lets some ten thousands of examples teach it; everything is for one example.
"""

from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.scipy.stats import norm

from ddsprl.fitting.guess.features import GuessFeatures

# Of the logarithm of a component's width in knob units. The widest is as good as uniform.
NARROWEST, WIDEST, FIRST_WIDTH = -5.0, 1.0, -1.5
TINY = 1e-6
INPUT_NOISE = 0.1  # standard deviation of what is added to standardized features while training


class Mixture(NamedTuple):
    """A distribution over knob positions in [0, 1]^d; independent knobs within a component.

    Attributes:
        log_weight: of the components, `[K]`.
        mean: of the normals before truncation, in (0, 1), `[K, d]`.
        scale: their standard deviations, `[K, d]`.
    """

    log_weight: jax.Array
    mean: jax.Array
    scale: jax.Array

    def ordered(self) -> "Mixture":
        """The same with the heaviest component first."""
        order = jnp.argsort(-self.log_weight)
        return Mixture(self.log_weight[order], self.mean[order], self.scale[order])

    def log_density(self, u: jax.Array) -> jax.Array:
        """Log density at knob positions `[d]`, scalar."""
        z = (u - self.mean) / self.scale
        mass = norm.cdf((1.0 - self.mean) / self.scale) - norm.cdf(-self.mean / self.scale)
        each = norm.logpdf(z) - jnp.log(self.scale) - jnp.log(mass + TINY)
        return jax.nn.logsumexp(self.log_weight + each.sum(axis=-1))

    def centres(self) -> jax.Array:
        """Means of the components after truncation, `[K, d]`: 0.5 for a knob that it cannot tell."""
        low, high = -self.mean / self.scale, (1.0 - self.mean) / self.scale
        mass = norm.cdf(high) - norm.cdf(low)
        return jnp.clip(self.mean + self.scale * (norm.pdf(low) - norm.pdf(high)) / (mass + TINY), 0.0, 1.0)

    def sample(self, key: jax.Array, count: int) -> jax.Array:
        """Draws, `[count, d]`."""
        pick, draw = jax.random.split(key)
        which = jax.random.categorical(pick, self.log_weight, shape=(count,))
        mean, scale = self.mean[which], self.scale[which]
        z = jax.random.truncated_normal(draw, -mean / scale, (1.0 - mean) / scale, mean.shape)
        return jnp.clip(mean + scale * z, 0.0, 1.0)


class GuessNetwork(nn.Module):
    """Features to a mixture.

    Attributes:
        knobs: number of knobs, d.
        components: of the mixture, K.
        hidden: width of the layers that see everything.
        shared: width of the layers that the frames of a picture share.
        dropout: share of hidden values left out while training.
    """

    knobs: int
    components: int = 16
    hidden: int = 512
    shared: int = 32
    dropout: float = 0.0

    @nn.compact
    def __call__(self, features: GuessFeatures, train: bool = False) -> Mixture:
        """Mixture for one clip's standardized features; `train` needs an rng named `dropout`."""
        if train:
            noise = [jax.random.normal(self.make_rng("dropout"), x.shape) for x in features]
            features = GuessFeatures(*(x + INPUT_NOISE * n for x, n in zip(features, noise, strict=True)))
        h = self._read(features)
        h = self._drop(_unit(nn.silu(nn.Dense(self.hidden, name="first")(h))), train)
        h = _unit(h + nn.silu(nn.Dense(self.hidden, name="second")(h)))
        h = self._drop(_unit(h + nn.silu(nn.Dense(self.hidden, name="third")(h))), train)
        small = nn.initializers.variance_scaling(0.1, "fan_in", "normal")
        out = nn.Dense(self.components * (1 + 2 * self.knobs), kernel_init=small, name="mixture")(h)
        out = out.reshape(self.components, 1 + 2 * self.knobs)
        # Components that began alike would stay alike: each begins at a height of its own.
        apart = 0.5 * jnp.linspace(-1.0, 1.0, self.components)[:, None]
        mean = nn.sigmoid(out[:, 1 : 1 + self.knobs] + apart)
        scale = jnp.exp(jnp.clip(out[:, 1 + self.knobs :] + FIRST_WIDTH, NARROWEST, WIDEST))
        return Mixture(jax.nn.log_softmax(out[:, 0]), mean, scale)

    def _read(self, features: GuessFeatures) -> jax.Array:
        """Pictures through layers that their frames share, everything in one row."""
        mel = nn.silu(nn.Conv(2 * self.shared, (3,), name="mel_frames")(features.mel))
        mel = nn.silu(nn.Dense(self.shared, name="mel_summary")(mel))
        relative = nn.silu(nn.Dense(2 * self.shared, name="relative_frames")(features.relative))
        relative = nn.silu(nn.Dense(self.shared, name="relative_summary")(relative))
        slopes = nn.silu(nn.Conv(8, (4,), strides=(2,), name="level_slopes")(features.level[:, None]))
        rows = (mel, relative, slopes, features.level, features.numbers)
        return jnp.concatenate([x.reshape(-1) for x in rows])

    def _drop(self, h: jax.Array, train: bool) -> jax.Array:
        return nn.Dropout(self.dropout, deterministic=not train)(h)


def _unit(h: jax.Array) -> jax.Array:
    """Root mean square taken to 1."""
    return h * jax.lax.rsqrt(jnp.mean(jnp.square(h)) + TINY)
