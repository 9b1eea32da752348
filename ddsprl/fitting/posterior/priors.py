"""What is known of a preset before its sound is heard: densities over knob positions.

Densities are with respect to the positions u in [0, 1]^d of continuous knobs, and masses for discrete ones;
constants do not matter. A prior is hashable where it is static (`UniformPrior`) or a pytree of arrays
(`BankPrior`), and is called for one preset.
"""

from typing import NamedTuple, Protocol

import jax
import jax.numpy as jnp
import numpy as np

from synth_jax.numerics import safe_log
from synth_jax.params import nearest_hint

# By name: every position of the table alike, or near presets made by hand.
PRIORS = ("table", "bank")
# Share of a knob's kernel that is spread over all of its range, so that no preset is impossible.
SPREAD_SHARE = 0.1
# Scott's rule (Scott 1992, eq. 6.42) makes kernels as wide as this at least.
LEAST_WIDTH = 0.05


class Prior(Protocol):
    """A density over presets."""

    def log_density(self, u: jax.Array) -> jax.Array:
        """Logarithm of the density at one preset `[d]`, up to a constant; differentiable."""
        ...

    def widths(self, choices: np.ndarray, level: float) -> np.ndarray:
        """Width of each knob's central interval that holds `level` of the prior, `[d]`."""
        ...


class UniformPrior(NamedTuple):
    """Every position of every knob is as likely as any other: the table of the instrument and no more."""

    def log_density(self, u: jax.Array) -> jax.Array:
        """Zero everywhere."""
        return 0.0 * jnp.sum(u)

    def widths(self, choices: np.ndarray, level: float) -> np.ndarray:
        """`level` for a continuous knob; whole choices for a discrete one."""
        tail = 0.5 * (1.0 - level)
        steps = np.maximum(choices - 1, 1)
        # The choice at which the running share first reaches a tail, as numpy's "inverted_cdf" has it.
        low, high = (np.ceil(share * choices - 1e-9) - 1 for share in (tail, 1.0 - tail))
        return np.where(choices > 0, (high - low) / steps, level)


class BankPrior(NamedTuple):
    """A kernel density of presets made by hand.

    A mixture of one product of kernels a preset: for a continuous knob a normal one, cut off at the stops and
    renormalized, mixed with the uniform density; for a discrete knob the preset's own choice, mixed with all.

    Attributes:
        centre: the presets, snapped, `[b, d]`.
        width: of the kernels, knob units, `[d]`.
        choices: of each knob, 0 for a continuous one, `[d]`.
    """

    centre: jax.Array
    width: jax.Array
    choices: jax.Array

    def log_density(self, u: jax.Array) -> jax.Array:
        """Logarithm of the mixture."""
        cdf = jax.scipy.stats.norm.cdf
        inside = cdf((1.0 - self.centre) / self.width) - cdf(-self.centre / self.width)
        normal = jax.scipy.stats.norm.pdf((u - self.centre) / self.width) / (self.width * inside)
        continuous = (1.0 - SPREAD_SHARE) * normal + SPREAD_SHARE
        same = jnp.abs(u - self.centre) * jnp.maximum(self.choices - 1.0, 1.0) < 0.5
        discrete = (1.0 - SPREAD_SHARE) * same + SPREAD_SHARE / jnp.maximum(self.choices, 1.0)
        kernel = safe_log(jnp.where(self.choices > 0, discrete, continuous))
        return jax.scipy.special.logsumexp(jnp.sum(kernel, axis=1)) - jnp.log(1.0 * self.centre.shape[0])

    def widths(self, choices: np.ndarray, level: float) -> np.ndarray:
        """Width of the interval of each knob's marginal, by summing it on a grid."""
        grid = np.linspace(0.0, 1.0, 2001)
        centre, width = np.asarray(self.centre, float), np.asarray(self.width, float)
        tail, found = 0.5 * (1.0 - level), []
        for i, count in enumerate(np.asarray(choices)):
            points = np.linspace(0.0, 1.0, int(count)) if count else grid
            kernel = np.exp(-0.5 * np.square((points[:, None] - centre[:, i]) / width[i]))
            if count:
                kernel = 1.0 * (np.abs(points[:, None] - centre[:, i]) * (count - 1) < 0.5)
            kernel = (1.0 - SPREAD_SHARE) * kernel / kernel.sum(axis=0) + SPREAD_SHARE / len(points)
            running = np.cumsum(kernel.mean(axis=1))
            low, high = (points[np.searchsorted(running, share - 1e-9)] for share in (tail, 1.0 - tail))
            found.append(high - low)
        return np.array(found)


def make_prior(name: str, *, bank: np.ndarray, choices: np.ndarray) -> Prior:
    """A prior by name.

    Args:
        name: of `PRIORS`.
        bank: presets made by hand, `[b, d]`; not looked at for `table`.
        choices: of each knob, 0 for a continuous one, `[d]`.

    Raises:
        ValueError: no such prior, with the nearest name; or a bank of fewer than two presets.
    """
    if name not in PRIORS:
        raise ValueError(
            f"no prior {name!r}{nearest_hint(name, list(PRIORS))}; allowed are {', '.join(PRIORS)}"
        )
    return UniformPrior() if name == "table" else bank_prior(bank, choices)


def bank_prior(bank: np.ndarray, choices: np.ndarray) -> BankPrior:
    """The kernel density of a bank `[b, d]`, with Scott's widths.

    Raises:
        ValueError: fewer than two presets.
    """
    bank = np.asarray(bank, np.float32)
    if bank.ndim != 2 or len(bank) < 2:
        raise ValueError(f"bank is {bank.shape}; a kernel density needs two presets or more, [b, d]")
    count, d = bank.shape
    width = np.maximum(bank.std(axis=0, ddof=1) * count ** (-1.0 / (d + 4)), LEAST_WIDTH)
    return BankPrior(*(jnp.asarray(x, jnp.float32) for x in (bank, width, choices)))
