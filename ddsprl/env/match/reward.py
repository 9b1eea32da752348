"""The reward, term by term.

    r_t = - L_t + beta max(0, L_best - L_t) - lambda ||applied move||^2 - dc - clip - overshoot - silence

`L` is the objective without its penalties, averaged over the probes; the penalties are the terms whose
record says so, weighted by the objective's weights, and one for silence. Only a sound better than all before
it earns the bonus, so going to and fro earns nothing. The terms add up to the reward.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from ddsprl.env.match.types import RewardWeights
from ddsprl.losses.objective import LossResult
from ddsprl.losses.registry import TERMS

# A sound 20 LU below the target's is as good as gone, 40 LU below wholly so: a bounded loss would otherwise
# make silence cheaper than an honest wrong sound.
SILENCE_FROM_LU, SILENCE_SPAN_LU = 20.0, 20.0
WORST_LOSS = 100.0  # stands in for a loss that is not finite


class Judgement(NamedTuple):
    """A sound compared with its target.

    Attributes:
        loss: scalar, distances only.
        terms: weighted distances by name; they add up to `loss`.
        penalties: weighted penalties by name, not negative.
    """

    loss: jax.Array
    terms: dict[str, jax.Array]
    penalties: dict[str, jax.Array]


def silence(loudness: jax.Array, target_loudness: jax.Array) -> jax.Array:
    """How far a sound has faded below its target, 0 to 1, mean over the probes `[p]` (LUFS)."""
    below = target_loudness - loudness - SILENCE_FROM_LU
    return jnp.mean(jnp.clip(below / SILENCE_SPAN_LU, 0.0, 1.0))


def judge(
    result: LossResult, loudness: jax.Array, target_loudness: jax.Array, silence_weight: jax.Array
) -> Judgement:
    """Sort an objective's result `[p]` into distances and penalties.

    Args:
        result: of every probe, leaves `[p]`.
        loudness: `[p]`, LUFS.
        target_loudness: `[p]`, LUFS.
        silence_weight: scalar.
    """
    means = {name: jnp.mean(value) for name, value in result.terms.items()}
    terms = {name: value for name, value in means.items() if not TERMS[name].penalty}
    penalties = {name: value for name, value in means.items() if TERMS[name].penalty}
    penalties["silence"] = silence_weight * silence(loudness, target_loudness)
    loss = sum(terms.values(), jnp.zeros_like(penalties["silence"]))
    return Judgement(jnp.where(jnp.isfinite(loss), loss, WORST_LOSS), terms, penalties)


def reward_terms(
    judgement: Judgement, best_loss: jax.Array, applied: jax.Array, weights: RewardWeights
) -> dict[str, jax.Array]:
    """The reward's terms by name, signed: they add up to the reward.

    Args:
        judgement: of the sound after the action.
        best_loss: scalar, the best before it.
        applied: `[d]`, the move that was made.
        weights: of the terms.
    """
    improvement = weights.improvement * jax.nn.relu(best_loss - judgement.loss)
    move = weights.move * jnp.sum(jnp.square(applied))
    named = {"loss": -judgement.loss, "improvement": improvement, "move": -move}
    return named | {name: -value for name, value in judgement.penalties.items()}
