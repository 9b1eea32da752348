"""The kernel of the posterior: what all chains of one target do in a cycle.

R temperatures, C chains, d knobs; all chains of all temperatures are one batch for the plant.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from ddsprl.fitting.core.archive import BAD_LOSS
from ddsprl.fitting.core.driver import Plantlike
from ddsprl.fitting.posterior import moves
from ddsprl.fitting.posterior.moves import Knobs
from ddsprl.fitting.posterior.priors import UniformPrior

# Of accepted drifts: the best rate for many independent knobs (Roberts and Rosenthal 1998).
WANTED_RATE = 0.574
FORGET = 0.9  # of the sensitivity, a cycle of the warm-up
SEGMENT = 8


@dataclass(frozen=True)
class PosteriorConfig:
    """How a posterior is sampled; hashable.

    Attributes:
        temperatures: T of the ladder in units of the loss, rising; the first one is what is reported. The
            default is what benchmarks/posterior.py found for most presets, each from the others, with the
            default objective and this much sampling.
        chains: at every temperature, even.
        jumps: Metropolis jumps of every chain in a cycle, half of them redraws, half differences.
        drifts: moves of the law in a cycle.
        warm: cycles thrown away, in which step and preconditioner are set.
        cycles: recorded.
        adapt: False keeps the preconditioner at 1 (the step is always adapted).
    """

    temperatures: tuple[float, ...] = (0.08, 0.125, 0.2, 0.32, 0.5)
    chains: int = 6
    jumps: int = 16
    drifts: int = 1
    warm: int = 48
    cycles: int = 40
    adapt: bool = True

    def __post_init__(self) -> None:
        """Refuse settings that are no sampler.

        Raises:
            ValueError: the setting, its value and what is allowed.
        """
        ladder = self.temperatures
        if not ladder or ladder[0] <= 0.0 or any(b <= a for a, b in zip(ladder, ladder[1:], strict=False)):
            raise ValueError(f"temperatures are {ladder}; they must be above 0 and rise")
        if self.chains < 4 or self.chains % 2:
            raise ValueError(f"chains is {self.chains}; allowed are even numbers from 4")
        if self.cycles < 4 or self.warm < 0:
            raise ValueError(f"cycles is {self.cycles} and warm {self.warm}; at least 4 and 0")
        if self.drifts < 0 or self.jumps < 0 or not self.drifts + self.jumps:
            raise ValueError(f"drifts is {self.drifts} and jumps {self.jumps}; nothing would move")

    @property
    def scores(self) -> int:
        """Renders of a whole run without gradients."""
        return len(self.temperatures) * self.chains * (1 + (self.warm + self.cycles) * self.jumps)

    @property
    def gradients(self) -> int:
        """Gradients of a whole run."""
        per_cycle = self.drifts + 1 if self.drifts else 0
        return len(self.temperatures) * self.chains * (self.warm + self.cycles) * per_cycle


class Chains(NamedTuple):
    """All chains of one target; R temperatures, C chains.

    Attributes:
        x: coordinates, `[R, C, d]`.
        loss: there, `[R, C]`.
        log_alpha: logarithm of the step, `[R]`.
        strength: running mean of |drift| / T, `[R, d]`; its inverse square is the preconditioner.
        cycle: cycles done, scalar.
    """

    x: jax.Array
    loss: jax.Array
    log_alpha: jax.Array
    strength: jax.Array
    cycle: jax.Array


class Record(NamedTuple):
    """What a cycle leaves; `[SEGMENT, ...]` when stacked.

    Attributes:
        u: positions, `[R, C, d]`.
        loss: there, `[R, C]`.
        drifts: share of drifts accepted, `[R]`.
        jumps: share of redraws and of differences accepted, `[2, R]`.
        swaps: share of swaps with the next temperature accepted, NaN where none was tried, `[R - 1]`.
    """

    u: jax.Array
    loss: jax.Array
    drifts: jax.Array
    jumps: jax.Array
    swaps: jax.Array


class Sampler(NamedTuple):
    """What all moves of a target need; `problem` and `config` are static and bound outside.

    Attributes:
        target: of the problem.
        noise: key of the plant.
        knobs: which move.
        prior: density over presets.
        temperatures: `[R]`.
    """

    target: Any
    noise: jax.Array
    knobs: Knobs
    prior: Any
    temperatures: jax.Array


def begin(
    problem: Plantlike,
    config: PosteriorConfig,
    target: Any,
    starts: jax.Array,
    key: jax.Array,
    prior,
    partner,
) -> tuple[Sampler, Chains]:
    """Chains of one target at its starts `[k, d]`, in turn."""
    space = problem.space(target)
    d, rungs = starts.shape[1], len(config.temperatures)
    # Knobs change places only where both may move.
    both = (space.free > 0) & (space.free[partner] > 0) & (space.choices == space.choices[partner])
    smooth = jnp.where(space.choices > 0, 0.0, space.free)
    knobs = Knobs(smooth, space.free, space.choices, jnp.where(both, partner, jnp.arange(d)))
    noise = jax.random.fold_in(key, 0)
    sampler = Sampler(target, noise, knobs, prior, jnp.asarray(config.temperatures, starts.dtype))
    u = problem.snap(space.admit(starts))[jnp.arange(config.chains) % starts.shape[0]]
    loss = _finite(problem.scores(u, target, noise))
    x = jax.vmap(moves.to_coordinates, (0, None))(u, knobs)
    # A step of about 1 / d^(1/3) in units of the preconditioner: h = 2 alpha T.
    first = jnp.log(0.5 * d ** (-1.0 / 3.0) / sampler.temperatures)
    return sampler, Chains(
        jnp.broadcast_to(x, (rungs, *x.shape)),
        jnp.broadcast_to(loss, (rungs, *loss.shape)),
        first,
        jnp.ones((rungs, d), starts.dtype),
        jnp.zeros((), jnp.int32),
    )


def advance(
    problem: Plantlike,
    config: PosteriorConfig,
    sampler: Sampler,
    chains: Chains,
    key: jax.Array,
    count: jax.Array,
    adapt: jax.Array,
) -> tuple[Chains, Record]:
    """Do `count` cycles (at most `SEGMENT`); step and preconditioner move if `adapt` is 1."""
    step = partial(one_cycle, problem, config, sampler)
    shapes = jax.eval_shape(step, chains, key, adapt)[1]
    blank = jax.tree.map(lambda x: jnp.zeros((SEGMENT, *x.shape), x.dtype), shapes)

    def body(i: jax.Array, carry: tuple[Chains, Record]) -> tuple[Chains, Record]:
        chains, records = carry
        chains, row = step(chains, jax.random.fold_in(key, chains.cycle + 1), adapt)
        return chains, jax.tree.map(lambda table, x: table.at[i].set(x), records, row)

    return jax.lax.fori_loop(0, count, body, (chains, blank))


def one_cycle(
    problem: Plantlike, config: PosteriorConfig, sampler: Sampler, chains: Chains, key: jax.Array, adapt
) -> tuple[Chains, Record]:
    """Jumps, drifts, a swap, a record."""
    jump_key, drift_key, swap_key = jax.random.split(key, 3)
    jumps, drifts = jnp.zeros((2, *chains.log_alpha.shape)), jnp.zeros_like(chains.log_alpha)
    if config.jumps:
        chains, jumps = _jump(problem, config, sampler, chains, jump_key)
    if config.drifts:
        chains, drifts = _drift(problem, config, sampler, chains, drift_key, adapt)
    chains, swaps = swap_neighbours(chains, sampler.temperatures, swap_key)
    u = _over_chains(lambda x: moves.to_positions(x, sampler.knobs))(chains.x)
    return chains._replace(cycle=chains.cycle + 1), Record(u, chains.loss, drifts, jumps, swaps)


def _over_chains(function: Callable) -> Callable:
    """`vmap` of a function of one chain over temperatures and chains."""
    return jax.vmap(jax.vmap(function))


def _jump(problem, config: PosteriorConfig, sampler: Sampler, chains: Chains, key: jax.Array):
    """Jumps of all chains: in turn, one half by differences of the other half, which redraws meanwhile."""
    knobs, half = sampler.knobs, config.chains // 2

    def turn(carry, key):
        x, loss, odd = carry
        # The half to move by differences first; the other stands still for it, and its own moves ask nobody.
        x, loss = jnp.roll(x, -half * odd, axis=1), jnp.roll(loss, -half * odd, axis=1)
        move_key, accept_key = jax.random.split(key)
        keys = jax.random.split(move_key, loss.shape)
        moved = jax.vmap(
            lambda k, x, rest: jax.vmap(moves.difference, (0, 0, None, None))(k, x, rest, knobs)
        )(keys[:, :half], x[:, :half], x[:, half:])
        u = _over_chains(lambda x: moves.to_positions(x, knobs))(x)
        redrawn = _over_chains(lambda k, u: moves.redraw(k, u, knobs))(keys[:, half:], u[:, half:])
        fresh = _over_chains(lambda u: moves.to_coordinates(u, knobs))(redrawn)
        fresh = jnp.where(redrawn == u[:, half:], x[:, half:], fresh)
        to = jnp.concatenate([moved, fresh], axis=1)
        gain = _prior_of(to, sampler) - _prior_of(x, sampler)
        # A redraw is symmetric in u, not in z: the Jacobian has to be left out.
        flat = _jacobian(fresh, sampler) - _jacobian(x[:, half:], sampler)
        gain = gain.at[:, half:].add(-flat)
        new = _losses(problem, sampler, to)
        ratio = (loss - new) / sampler.temperatures[:, None] + gain
        yes = moves.accepted(accept_key, ratio)
        x, loss = jnp.where(yes[..., None], to, x), jnp.where(yes, new, loss)
        x, loss = jnp.roll(x, half * odd, axis=1), jnp.roll(loss, half * odd, axis=1)
        share = jnp.stack([jnp.mean(yes[:, half:], axis=1), jnp.mean(yes[:, :half], axis=1)])
        return (x, loss, 1 - odd), share

    # By turns over cycles too, should a cycle have one jump only.
    start = (chains.x, chains.loss, config.jumps * chains.cycle % 2)
    (x, loss, _), shares = jax.lax.scan(turn, start, jax.random.split(key, config.jumps))
    return chains._replace(x=x, loss=loss), jnp.mean(shares, axis=0)


def _drift(problem, config: PosteriorConfig, sampler: Sampler, chains: Chains, key: jax.Array, adapt):
    """Moves of the law. The first turn goes nowhere: it asks for the gradient where the chains are."""
    knobs, hot = sampler.knobs, sampler.temperatures[:, None]

    def drifts_at(x, slope):
        one = partial(moves.drift_of, knobs=knobs, prior=sampler.prior)
        return jax.vmap(jax.vmap(one, (0, 0, None)))(x, slope, sampler.temperatures)

    def turn(carry, key):
        chains, drift, first = carry
        move_key, accept_key = jax.random.split(key)
        alpha = jnp.exp(chains.log_alpha)
        scale = 1.0 / jnp.square(chains.strength * np.sqrt(0.5 * np.pi) + 1e-2)
        scale = scale if config.adapt else jnp.ones_like(scale)

        def law(function, *args):
            inner = jax.vmap(function, (0,) * len(args) + (None, None, None, None))
            return jax.vmap(inner, (0,) * len(args) + (0, 0, 0, None))(
                *args, alpha, scale, sampler.temperatures, knobs
            )

        moved = law(moves.drift_move, jax.random.split(move_key, chains.loss.shape), chains.x, drift)
        to = jnp.where(first, chains.x, moved)
        loss, slope = _slopes(problem, sampler, to)
        back = drifts_at(to, slope)
        ratio = (chains.loss - loss) / hot + _prior_of(to, sampler) - _prior_of(chains.x, sampler)
        ratio += law(moves.log_drift_density, chains.x, to, back)
        ratio -= law(moves.log_drift_density, to, chains.x, drift)
        yes = first | moves.accepted(accept_key, ratio)
        x, drift = jnp.where(yes[..., None], to, chains.x), jnp.where(yes[..., None], back, drift)
        kept = chains._replace(x=x, loss=jnp.where(yes & ~first, loss, chains.loss))
        share = jnp.mean(yes, axis=1)
        return (_adapted(kept, drift / hot[..., None], share, adapt, first), drift, jnp.asarray(False)), share

    keys = jax.random.split(key, config.drifts + 1)
    (chains, _, _), shares = jax.lax.scan(turn, (chains, jnp.zeros_like(chains.x), jnp.asarray(True)), keys)
    return chains, jnp.mean(shares[1:], axis=0)


def _adapted(chains: Chains, drift: jax.Array, share: jax.Array, adapt, first: jax.Array) -> Chains:
    """Step and preconditioner after one turn of the warm-up; `drift` is divided by T."""
    size = jnp.mean(jnp.abs(drift), axis=1)
    keep = jnp.where(chains.cycle == 0, 0.0, FORGET)
    strength = jnp.where(adapt > 0, keep * chains.strength + (1.0 - keep) * size, chains.strength)
    pace = jnp.where(first, 0.0, adapt) * 3.0 / (3.0 + chains.cycle) ** 0.6
    return chains._replace(log_alpha=chains.log_alpha + pace * (share - WANTED_RATE), strength=strength)


def swap_neighbours(chains: Chains, temperatures: jax.Array, key: jax.Array) -> tuple[Chains, jax.Array]:
    """Swaps of temperatures 0-1, 2-3, ... or 1-2, 3-4, ... in turn, chain by chain; and the shares."""
    rungs = temperatures.shape[0]
    if rungs == 1:
        return chains, jnp.zeros((0,))
    place = jnp.arange(rungs)
    mate = place + jnp.where((place + chains.cycle) % 2 == 0, 1, -1)
    mate = jnp.where((mate < 0) | (mate >= rungs), place, mate)
    ratio = moves.log_swap(chains.loss, chains.loss[mate], temperatures[:, None], temperatures[mate][:, None])
    # Both of a pair look at the chance of the lower one.
    yes = moves.accepted(key, ratio)[jnp.minimum(place, mate)]
    x = jnp.where(yes[..., None], chains.x[mate], chains.x)
    tried = (mate == place + 1)[:-1]
    share = jnp.where(tried, jnp.mean(yes[:-1], axis=1), jnp.nan)
    return chains._replace(x=x, loss=jnp.where(yes, chains.loss[mate], chains.loss)), share


def _prior_of(x: jax.Array, sampler: Sampler) -> jax.Array:
    return _over_chains(lambda x: moves.log_prior(x, sampler.knobs, sampler.prior))(x)


def _jacobian(x: jax.Array, sampler: Sampler) -> jax.Array:
    return _over_chains(lambda x: moves.log_prior(x, sampler.knobs, UniformPrior()))(x)


def _presets(problem, sampler: Sampler, x: jax.Array) -> jax.Array:
    u = _over_chains(lambda x: moves.to_positions(x, sampler.knobs))(x).reshape(-1, x.shape[-1])
    return problem.snap(problem.space(sampler.target).admit(u))


def _losses(problem, sampler: Sampler, x: jax.Array) -> jax.Array:
    loss = problem.scores(_presets(problem, sampler, x), sampler.target, sampler.noise)
    return _finite(loss).reshape(x.shape[:-1])


def _slopes(problem, sampler: Sampler, x: jax.Array) -> tuple[jax.Array, jax.Array]:
    loss, slope = problem.gradients(_presets(problem, sampler, x), sampler.target, sampler.noise)
    slope = jnp.where(jnp.isfinite(slope), slope, 0.0)
    return _finite(loss).reshape(x.shape[:-1]), slope.reshape(x.shape)


def _finite(loss: jax.Array) -> jax.Array:
    return jnp.where(jnp.isfinite(loss), loss, BAD_LOSS)
