"""What is said about the presets that a search has found.

Of every target which knobs matter and which finalists differ; on request what the sound does not tell.

    extras = analyse(inverter, group, found, keys, top=3)           # a few renders, all targets side by side
    posteriors = posteriors_of(inverter, group, found, keys)        # slow: tens of thousands of renders

Both take a group as it was searched for, so that each program is compiled once for a length.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from ddsprl.fitting.core.budget import GRADIENT_COST
from ddsprl.fitting.core.driver import FINALISTS
from ddsprl.fitting.findings.sensitivity import sensitivities
from ddsprl.fitting.findings.topk import Heard, distinct_indices, hear_members, least_sound
from ddsprl.fitting.inversion.grouped import Inversion, Prepared, taken
from ddsprl.fitting.inversion.inverter import Inverter
from ddsprl.fitting.posterior.chains import PosteriorConfig
from ddsprl.fitting.posterior.priors import Prior
from ddsprl.fitting.posterior.sampling import sample_posterior
from ddsprl.fitting.posterior.summary import Posterior


class Extras(NamedTuple):
    """About one target.

    Attributes:
        rises: mean rise of the loss when a knob is moved, by knob.
        places: of the finalists that are distinct, best first.
        least_sound: distance in sound from which finalists counted as distinct, dB; None if only one was
            wanted.
        renders: spent on all of this.
    """

    rises: dict[str, float]
    places: list[int]
    least_sound: float | None
    renders: int


def analyse(
    inverter: Inverter, group: Prepared, found: Inversion, keys: jax.Array, *, top: int = 1
) -> list[Extras]:
    """Sensitivities and distinct finalists of every target of a group.

    Args:
        inverter: of the group's length.
        group: as it was searched for.
        found: by the search.
        keys: one a target, without the filling, `[m]`.
        top: distinct presets wanted.
    """
    index = np.minimum(np.arange(len(group.starts)), len(found.u) - 1)
    felt_keys, heard_keys = jax.vmap(jax.random.split, out_axes=1)(keys[index])
    felt = sensitivities(inverter.problem, group.targets, found.u[index], felt_keys)
    renders = 2 * found.u.shape[1] + 1
    heard = None
    if top > 1:
        heard = _heard(inverter, group, taken(found.members, found.member_loss)[index], heard_keys)
        renders += heard.renders
    extras = []
    for i in range(len(found.u)):
        rises = dict(zip(found.names, felt.increase[i].tolist(), strict=True))
        places, least = [0], None
        if heard is not None:
            least = least_sound(float(heard.floor[i]))
            places = distinct_indices(
                found.member_loss[i], found.members[i], heard.sounds[i], count=top, least_sound=least
            )
        # Where not even the best has a loss that is one, it is still what was found.
        extras.append(Extras(rises, places or [0], least, renders))
    return extras


def posteriors_of(
    inverter: Inverter,
    group: Prepared,
    found: Inversion,
    keys: jax.Array,
    *,
    config: PosteriorConfig | None = None,
    prior: Prior | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> list[Posterior]:
    """Samples of the presets that explain each target of a group; arguments as of `analyse`.

    Args:
        inverter: of the group's length.
        group: as it was searched for.
        found: by the search; chains begin where it stood side by side (`Inversion.spread`), since finalists
            of one descent would all say the same.
        keys: one a target, `[m]`.
        config: of the sampler; the defaults if None.
        prior: over presets; uniform if None.
        progress: called with cycles done and cycles in all; what it raises is passed on.
    """
    count, synth = len(found.u), inverter.problem.instrument
    index = np.minimum(np.arange(len(group.starts)), count - 1)
    return sample_posterior(
        inverter.problem,
        group.targets,
        jnp.asarray(found.spread[index]),
        keys[index],
        names=found.names,
        config=config,
        prior=prior,
        partner=synth.knowledge.partners(synth.table),
        progress=progress,
    )[:count]


def posterior_renders(config: PosteriorConfig | None = None) -> int:
    """Renders behind the posterior of one target, a gradient counted as several."""
    config = PosteriorConfig() if config is None else config
    return config.scores + GRADIENT_COST * config.gradients


def _heard(inverter: Inverter, group: Prepared, members: np.ndarray, keys: jax.Array) -> Heard:
    """Finalists of one search or several, `[G, k, d]`, as many at a time as one search has."""
    size = FINALISTS
    parts = [
        hear_members(inverter.problem, group.targets, members[:, first : first + size], keys)
        for first in range(0, members.shape[1], size)
    ]
    sounds = np.concatenate([part.sounds for part in parts], axis=1)
    return Heard(sounds, parts[0].floor, sum(part.renders for part in parts))
