"""Analysis by synthesis as inference: all the presets that explain a sound, not only the best one.

    p(u | sound)  ~  exp(-loss(u) / T)  prior(u)

Chains at several temperatures follow the hybrid's law as a sampler, with jumps between (the moves and their
corrections: `ddsprl.fitting.posterior.moves`):

    cycle = [ jump ]* ── gradient ── [ drift ]* ── swap of neighbouring temperatures ── record

All chains of all temperatures are one batch. During the warm-up, which is thrown away, the step of each
temperature is set for a good rate of acceptance and the diagonal preconditioner from the mean size of the
drift (inverse sensitivity); then both are frozen, and the chains are exact. One noise key holds for all.
A discrete knob keeps its choice in a drift and changes it by Metropolis jumps of whole choices, so every
sample is a preset as it sounds.

T says how much loss is no difference. It is a setting, fixed beforehand on targets whose presets are known:
`ddsprl.fitting.posterior.summary.calibrate_temperature`.

    found = sample_posterior(problem, targets, archive_u, keys, KnobNames(names))[0]
    found.low, found.high, found.untellable
"""

from collections.abc import Callable
from functools import lru_cache, partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from ddsprl.fitting.core.driver import Plantlike
from ddsprl.fitting.core.programs import over_targets
from ddsprl.fitting.posterior.chains import SEGMENT, PosteriorConfig, Record, advance, begin
from ddsprl.fitting.posterior.priors import Prior, UniformPrior
from ddsprl.fitting.posterior.summary import Posterior, SummarySetup, summarize


class KnobNames(NamedTuple):
    """Knobs as a posterior tells of them.

    Attributes:
        names: d of them.
        partner: index of the knob that each may change places with, as `Knowledge.partners` says, `[d]`; None
            for none.
    """

    names: tuple[str, ...]
    partner: np.ndarray | None = None


def sample_posterior(
    problem: Plantlike,
    targets: Any,
    starts: np.ndarray | jax.Array,
    keys: jax.Array,
    knobs: KnobNames,
    *,
    config: PosteriorConfig | None = None,
    prior: Prior | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> list[Posterior]:
    """Sample the posteriors of G targets.

    Args:
        problem: hashable.
        targets: pytree with leaves `[G, ...]`.
        starts: positions that the chains begin at in turn, such as a solver's archive, `[G, k, d]`.
        keys: one PRNG key a target, `[G]`.
        knobs: of the plant.
        config: of the sampler; the defaults if None.
        prior: over presets; uniform if None.
        progress: called with cycles done and cycles in all; a `KeyboardInterrupt` is passed on.
    """
    config = PosteriorConfig() if config is None else config
    density: Prior = UniformPrior() if prior is None else prior
    pairs = jnp.arange(len(knobs.names)) if knobs.partner is None else jnp.asarray(knobs.partner)
    begin, advance = _programs(problem, config)
    sampler, chains = begin(targets, jnp.asarray(starts, jnp.float32), keys, density, pairs)
    total, done, kept = config.warm + config.cycles, 0, []
    while done < total:
        # A segment lies wholly in the warm-up or wholly behind it.
        end = config.warm if done < config.warm else total
        count = min(SEGMENT, end - done)
        chains, record = advance(sampler, chains, keys, np.int32(count), np.float32(done < config.warm))
        if done >= config.warm:
            kept.append(jax.tree.map(lambda x, n=count: np.asarray(x)[:, :n], record))
        done += count
        if progress is not None:
            progress(done, total)
    whole = jax.tree.map(lambda *parts: np.concatenate(parts, axis=1), *kept)
    choices, free = np.asarray(sampler.knobs.choices), np.asarray(sampler.knobs.free)
    return [
        summarize(
            Record(*(leaf[g] for leaf in whole)),
            SummarySetup(
                knobs.names,
                config.temperatures,
                choices[g],
                free[g],
                lambda level, g=g: density.widths(choices[g], level),
            ),
        )
        for g in range(len(free))
    ]


@lru_cache(maxsize=8)
def _programs(problem: Plantlike, config: PosteriorConfig) -> tuple[Callable, Callable]:
    """Beginning and advancing, over targets."""
    axes = (0, 0, 0, None, None)
    return over_targets(partial(begin, problem, config), axes), over_targets(
        partial(advance, problem, config), axes
    )
