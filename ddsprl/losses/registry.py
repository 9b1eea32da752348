"""All losses by name: `(audio, target_audio, sample_rate) -> scalar`.

A term of the objective is found here as the objective computes it, on its own and unweighted; the
laws in the tests run over this table, so a new term is tested on arrival.
"""

from collections.abc import Callable

import jax

from ddsprl.losses.matching import matched_yardstick
from ddsprl.losses.objective import TERMS, Objective, ObjectiveConfig

Loss = Callable[[jax.Array, jax.Array, int], jax.Array]


def _term(name: str) -> Loss:
    config = ObjectiveConfig(terms=(name,))

    def loss(audio: jax.Array, target: jax.Array, sample_rate: int) -> jax.Array:
        objective = Objective(config, sample_rate)
        return objective(audio, objective.prepare(target)).raw[name]

    return loss


def _total(audio: jax.Array, target: jax.Array, sample_rate: int) -> jax.Array:
    objective = Objective(ObjectiveConfig(), sample_rate)
    return objective(audio, objective.prepare(target)).total


LOSSES: dict[str, Loss] = {name: _term(name) for name in TERMS}
LOSSES["total"] = _total
LOSSES["yardstick"] = matched_yardstick
