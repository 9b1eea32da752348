"""What is said about the presets that a search has found, target by target.

    analyses = analyse(inverter, group, found, top=3)               # some hundred renders a target
    analyses = with_posteriors(analyses, inverter, group, found)    # slow: tens of thousands of renders

Both take a group as it was searched for, so that each program is compiled once for a length.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from ddsprl.fitting.core.budget import GRADIENT_COST
from ddsprl.fitting.core.driver import FINALISTS
from ddsprl.fitting.core.streams import named
from ddsprl.fitting.findings.references import RandomReference, references
from ddsprl.fitting.findings.sensitivity import sensitivities
from ddsprl.fitting.findings.topk import MemberSounds, distinct_indices, least_sound, sounds_of_members
from ddsprl.fitting.inversion.groups import taken
from ddsprl.fitting.inversion.inverter import Inverter
from ddsprl.fitting.inversion.records import Inversion, TargetGroup
from ddsprl.fitting.posterior.chains import PosteriorConfig
from ddsprl.fitting.posterior.priors import Prior
from ddsprl.fitting.posterior.sampling import KnobNames, sample_posterior
from ddsprl.fitting.posterior.summary import Posterior

# Random presets of which the best is a match's reference.
RANDOM_REFERENCE = 512


class Analysis(NamedTuple):
    """About one target and what was found for it.

    Attributes:
        random: the best of some random presets.
        rises: mean rise of the loss when a knob is moved, by knob.
        places: of the finalists that are distinct, best first.
        least_sound: distance in sound from which finalists counted as distinct, dB; None if only one was
            wanted.
        renders: spent on rises and places.
        posterior: presets that explain the sound, where they were sampled.
    """

    random: RandomReference
    rises: dict[str, float]
    places: list[int]
    least_sound: float | None
    renders: int
    posterior: Posterior | None = None


def analyse(inverter: Inverter, group: TargetGroup, found: Inversion, *, top: int = 1) -> list[Analysis]:
    """Random reference, sensitivities and distinct finalists of every target of a group.

    Args:
        inverter: of the group's length.
        group: as it was searched for.
        found: by the search.
        top: distinct presets wanted.
    """
    random = references(inverter, group, count=RANDOM_REFERENCE)
    keys = group.streams.analysis
    knob_keys, sound_keys = jax.vmap(lambda key: named(key, "knobs", "sounds"))(keys)
    felt = sensitivities(inverter.problem, group.targets, group.filled(found.u), knob_keys)
    names = [spec.name for spec in inverter.problem.instrument.table]
    renders, finalists, sounds = 2 * len(names) + 1, found.verdict.finalists, None
    if top > 1:
        sounds = _sounds(inverter, group, group.filled(taken(*finalists)), sound_keys)
        renders += sounds.renders
    analyses = []
    for i in range(group.count):
        places, least = [0], None
        if sounds is not None:
            least = least_sound(float(sounds.floor[i]))
            places = distinct_indices(
                np.asarray(finalists.loss[i]),
                np.asarray(finalists.u[i]),
                sounds.sounds[i],
                count=top,
                least_sound=least,
            )
        rises = dict(zip(names, felt.increase[i].tolist(), strict=True))
        # Where not even the best has a loss that is one, it is still what was found.
        analyses.append(Analysis(random[i], rises, places or [0], least, renders))
    return analyses


def with_posteriors(
    analyses: list[Analysis],
    inverter: Inverter,
    group: TargetGroup,
    found: Inversion,
    *,
    prior: Prior | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> list[Analysis]:
    """The analyses with samples of the presets that explain each target.

    Chains begin where the search stood side by side (`Inversion.spread`), since finalists of one descent
    would all say the same.

    Args:
        analyses: of `analyse`.
        inverter: of the group's length.
        group: as it was searched for.
        found: by the search.
        prior: over presets; uniform if None.
        progress: called with cycles done and cycles in all; what it raises is passed on.
    """
    synth = inverter.problem.instrument
    sampled = sample_posterior(
        inverter.problem,
        group.targets,
        jnp.asarray(group.filled(found.spread)),
        group.streams.posterior,
        KnobNames(tuple(spec.name for spec in synth.table), synth.knowledge.partners(synth.table)),
        prior=prior,
        progress=progress,
    )
    return [x._replace(posterior=posterior) for x, posterior in zip(analyses, sampled, strict=False)]


def posterior_renders() -> int:
    """Renders behind the posterior of one target, a gradient counted as several."""
    config = PosteriorConfig()
    return config.scores + GRADIENT_COST * config.gradients


def _sounds(inverter: Inverter, group: TargetGroup, members: np.ndarray, keys: jax.Array) -> MemberSounds:
    """Finalists of one search or several, `[G, k, d]`, as many at a time as one search has."""
    parts = [
        sounds_of_members(inverter.problem, group.targets, members[:, first : first + FINALISTS], keys)
        for first in range(0, members.shape[1], FINALISTS)
    ]
    sounds = np.concatenate([part.sounds for part in parts], axis=1)
    return MemberSounds(sounds, parts[0].floor, sum(part.renders for part in parts))
