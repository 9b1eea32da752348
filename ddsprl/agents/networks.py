"""Actor and twin critics over the same kind of encoder and trunk; flax linen, for one example.

The trunk is residual with the normalization inside the branch (pre-LayerNorm: Xiong et al. 2020, "On Layer
Normalization in the Transformer Architecture", arXiv:2002.04745), without attention. LayerNorm in the critic
also bounds how far its values run away on actions that the replay has not seen (Ball et al. 2023, "Efficient
Online Reinforcement Learning with Offline Data", arXiv:2302.02948, section 4.2).

Where the observation has a guess at the target's knobs, the actor has a way to go there, and learns what to
do beside it and how far to trust it: a residual policy (Silver et al. 2018, "Residual Policy Learning",
arXiv:1812.06298) with a gate for every knob. With x the normal variable behind the deltas,

    mean of x = network(s) + gate(s) speed (guess - knobs)

Gates are nearly closed at first: that the guess is worth following is learnt.
"""

from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp

from ddsprl.agents.distributions import TanhNormal, masked_log_softmax
from ddsprl.agents.encoder import Encoder, NetworkConfig
from ddsprl.agents.types import ActionSpec, Allowed, Seen

_SMALL = nn.initializers.variance_scaling(0.01, "fan_in", "truncated_normal")
CRITICS = 2
# Of a knob's pull at the start: an open gate goes all of a short way in one edit of at most 0.3.
FIRST_SPEED, FIRST_GATE = 3.0, -2.0


class Policy(NamedTuple):
    """What the actor says of one observation.

    Attributes:
        log_module: log probabilities of the modules, `[m]`.
        delta: of all modules' knobs, leaves `[d]`; module m's deltas are those of its own unlocked knobs.
        goal: what a teacher is believed to choose, likewise. Nobody acts on it: it is there to be learnt, so
            that the trunk that it shares with `delta` finds out what the sound tells of the knobs.
    """

    log_module: jax.Array
    delta: TanhNormal
    goal: TanhNormal


class Trunk(nn.Module):
    """Residual pre-LayerNorm blocks, and a LayerNorm at the end; `[..., width]` to the same.

    Attributes:
        config: sizes.
    """

    config: NetworkConfig

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """The vectors after all blocks."""
        for i in range(self.config.blocks):
            branch = nn.silu(nn.Dense(self.config.width, name=f"in_{i}")(nn.LayerNorm(name=f"norm_{i}")(x)))
            x = x + nn.Dense(self.config.width, name=f"out_{i}")(branch)
        return nn.LayerNorm(name="last_norm")(x)


class Actor(nn.Module):
    """Observation to policy.

    Attributes:
        spec: of the actions.
        config: sizes.
        guess: where in `rest` a guess at the knobs begins, and where the knobs do; None without a guess.
    """

    spec: ActionSpec
    config: NetworkConfig
    guess: tuple[int, int] | None = None

    @nn.compact
    def __call__(self, seen: Seen, allowed: Allowed) -> Policy:
        """The policy at one observation; near uniform and centred when new."""
        h = Trunk(self.config, name="trunk")(Encoder(self.config, name="encoder")(seen, allowed))
        logits = nn.Dense(self.spec.modules, kernel_init=_SMALL, name="module")(h)
        away = self._away(seen)
        deltas = (self._normals(h, away, name) for name in ("delta", "goal"))
        return Policy(masked_log_softmax(logits, allowed.modules), *deltas)

    def _away(self, seen: Seen) -> jax.Array | None:
        """From the knobs to the guess, `[d]`."""
        if self.guess is None:
            return None
        guess, knobs = (seen.rest[first : first + self.spec.knobs] for first in self.guess)
        return guess - knobs

    def _normals(self, h: jax.Array, away: jax.Array | None, name: str) -> TanhNormal:
        """Squashed normals of all knobs, leaves `[d]`."""
        both = nn.Dense(2 * self.spec.knobs, kernel_init=_SMALL, name=name)(h)
        mean, spread = both[: self.spec.knobs], both[self.spec.knobs :]
        if away is not None:
            first = nn.initializers.constant(FIRST_GATE)
            gate = nn.Dense(self.spec.knobs, kernel_init=_SMALL, bias_init=first, name=f"{name}_gate")
            speed = self.param(f"{name}_speed", nn.initializers.constant(FIRST_SPEED), away.shape)
            mean = mean + nn.sigmoid(gate(h)) * speed * away
        low, high = self.config.lowest_log_std, self.config.highest_log_std
        return TanhNormal(
            mean, low + 0.5 * (high - low) * (jnp.tanh(spread + _first_spread(low, high)) + 1.0)
        )


def _first_spread(low: float, high: float) -> jax.Array:
    """Where the bounded log_std starts: at half, a tanh-normal close to uniform without its corners."""
    share = (jnp.log(0.5) - low) / (high - low)
    return jnp.arctanh(jnp.clip(2.0 * share - 1.0, -0.99, 0.99))


class CriticHead(nn.Module):
    """Encoded observation and deltas to the value of every module, `[m]`.

    Attributes:
        spec: of the actions.
        config: sizes.
    """

    spec: ActionSpec
    config: NetworkConfig

    @nn.compact
    def __call__(self, h: jax.Array, shown: jax.Array) -> jax.Array:
        """Values `[m]` from `h [width]` and what each module sees, `[m, d]`."""
        width, modules = self.config.width, self.spec.modules
        # Modules share no knob, so the shared matrix has rows of its own for each.
        x = nn.Dense(width, use_bias=False, name="delta")(shown) + nn.Dense(width, name="state")(h)
        x = x + self.param("module", nn.initializers.normal(1.0), (modules, width))
        x = Trunk(self.config, name="trunk")(x)
        read = self.param("read", _SMALL, (width, modules))
        return jnp.einsum("mw,wm->m", x, read) + self.param("bias", nn.initializers.zeros, (modules,))


class TwinCritic(nn.Module):
    """Observation and deltas to the values of both critics, `[2, m]`.

    The two have one encoder and apart from that nothing in common: on a CPU the encoder is most of the cost.

    Attributes:
        spec: of the actions.
        config: sizes.
    """

    spec: ActionSpec
    config: NetworkConfig

    @nn.compact
    def __call__(self, seen: Seen, delta: jax.Array, allowed: Allowed) -> jax.Array:
        """Values at one observation; entry m sees the unlocked deltas of module m alone."""
        h = nn.silu(Encoder(self.config, name="encoder")(seen, allowed))
        twins = nn.vmap(
            CriticHead,
            variable_axes={"params": 0},
            split_rngs={"params": True},
            in_axes=None,  # pyright: ignore[reportArgumentType]
            axis_size=CRITICS,
        )
        return twins(self.spec, self.config, name="heads")(h, self.spec.shown(delta, allowed))
