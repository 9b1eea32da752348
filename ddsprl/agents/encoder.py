"""From an observation to one vector: a patch encoder for the pictures, one layer for the rest.

Current, target and how far one is from the other are cut into patches of 8 x 8; every patch passes the same
layer, with a place of its own added, and is summed up in a few numbers. The distance is on a scale that is
linear near 0 and logarithmic far from it: a plain difference would be nothing new to a linear layer that has
both, and near the goal it is lost beside what it is far from it. This is one matrix product where a plain
convolution needs many, which counts on a CPU. Patches side by side with learned places are those of
Dosovitskiy et al. 2021, "An Image is Worth 16x16 Words" (arXiv:2010.11929), section 3.1, without attention.
"""

from dataclasses import dataclass

import flax.linen as nn
import jax
import jax.numpy as jnp

from ddsprl.agents.types import Allowed, Seen

# Where the scale of distances turns from linear to logarithmic (0.5 dB), and what makes large ones about 1.
NEAR, FAR = 0.01, 4.0


@dataclass(frozen=True, kw_only=True)
class NetworkConfig:
    """Sizes of actor and critic; hashable.

    Attributes:
        width: of the vectors between layers.
        blocks: residual blocks of a trunk.
        patch: bands and frames of a patch.
        patch_features: numbers that a patch is read into.
        patch_summary: numbers that are left of a patch.
        lowest_log_std: of the policy's normals.
        highest_log_std: likewise.
    """

    width: int = 128
    blocks: int = 2
    patch: int = 8
    patch_features: int = 32
    patch_summary: int = 8
    lowest_log_std: float = -5.0
    highest_log_std: float = 1.0


def patches(picture: jax.Array, patch: int) -> jax.Array:
    """Cut into squares: `[bands, frames, c]` to `[patches, patch * patch * c]`, bands outermost.

    What does not fill the last square is padded with the edge's value.
    """
    bands, frames, channels = picture.shape
    rows, columns = -(-bands // patch), -(-frames // patch)
    padding = ((0, rows * patch - bands), (0, columns * patch - frames), (0, 0))
    whole = jnp.pad(picture, padding, mode="edge")
    cut = whole.reshape(rows, patch, columns, patch, channels).transpose(0, 2, 1, 3, 4)
    return cut.reshape(rows * columns, -1)


class PatchEncoder(nn.Module):
    """Two log-mels `[bands, frames]` to a vector `[width]`.

    Attributes:
        config: sizes.
    """

    config: NetworkConfig

    @nn.compact
    def __call__(self, current: jax.Array, target: jax.Array) -> jax.Array:
        """One vector of both pictures and their distance."""
        away = jnp.arcsinh((current - target) / NEAR) / FAR
        x = patches(jnp.stack([current, target, away], axis=-1), self.config.patch)
        h = nn.Dense(self.config.patch_features, name="read")(x)
        place = nn.initializers.normal(0.02)
        h = nn.silu(h + self.param("place", place, h.shape))
        h = nn.silu(nn.Dense(self.config.patch_summary, name="summary")(h))
        return nn.Dense(self.config.width, name="join")(h.reshape(-1))


class Encoder(nn.Module):
    """An observation and what is allowed, to a vector `[width]`.

    Attributes:
        config: sizes.
    """

    config: NetworkConfig

    @nn.compact
    def __call__(self, seen: Seen, allowed: Allowed) -> jax.Array:
        """One vector of everything."""
        # Losses may be large: arcsinh is the identity near 0 and a logarithm far from it.
        rest = jnp.concatenate([jnp.arcsinh(seen.rest), allowed.modules, allowed.knobs])
        h = nn.Dense(self.config.width, name="rest")(rest)
        if seen.current is not None and seen.target is not None:
            h = h + PatchEncoder(self.config, name="pictures")(seen.current, seen.target)
        return nn.Dense(self.config.width, name="join")(nn.silu(nn.LayerNorm()(h)))
