"""What a run is: on the device `Loop`, a pytree of arrays, and on the host `RunNotes`, plain values.

Both together are checkpointed whole. With `seeds: S` every leaf of `Loop` has a leading axis S.
"""

from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from ddsprl.agents import Replay, SacState
from ddsprl.env import CurriculumState, ManyState
from ddsprl.env.match.types import Observation
from ddsprl.training.snapshots import Extremes


class Tally(NamedTuple):
    """Sums since the host last took them, float32 scalars.

    Attributes:
        episodes: that ended.
        solved: of these, that terminated.
        returns: of these.
        best_loss: of these.
        lengths: of these.
        first_loss: of the episodes that began in their places, as many.
        actions: choices of a module that the policy made among several.
        off_mode: of these, that were not its likeliest module.
    """

    episodes: jax.Array
    solved: jax.Array
    returns: jax.Array
    best_loss: jax.Array
    lengths: jax.Array
    first_loss: jax.Array
    actions: jax.Array
    off_mode: jax.Array


def new_tally() -> Tally:
    """Nothing counted."""
    return Tally(*(jnp.zeros(()) for _ in Tally._fields))


class Loop(NamedTuple):
    """Everything that a run is on the device.

    Attributes:
        agent: networks, optimizers, temperatures.
        replay: experience.
        demos: demonstrations, mixed into batches and never overwritten; None without.
        envs: the running episodes, leaves `[n_envs, ...]`.
        obs: their observations.
        tally: sums for the log.
        extremes: the best and the worst episode since the last snapshot.
        key: from which every iteration draws.
        steps: int32 scalar, iterations done.
        choices: int32 scalar, of these, those in which the policy had several modules to choose from.
    """

    agent: SacState
    replay: Replay
    demos: Replay | None
    envs: ManyState
    obs: Observation
    tally: Tally
    extremes: Extremes
    key: jax.Array
    steps: jax.Array
    choices: jax.Array


@dataclass
class RunNotes:
    """What the host knows beside the arrays; JSON-ready by `record`.

    Attributes:
        iteration: done.
        curriculum: of every seed.
        log_bytes: of log.jsonl when the checkpoint was made.
        wall_s: seconds of training so far.
        evaluations: so far, of every seed.
        evaluated_at: iteration of the last of them.
    """

    iteration: int
    curriculum: list[CurriculumState]
    log_bytes: int = 0
    wall_s: float = 0.0
    evaluations: int = 0
    evaluated_at: int = -1

    def record(self) -> dict[str, Any]:
        """As JSON holds it."""
        return asdict(self) | {"curriculum": [list(state) for state in self.curriculum]}

    @classmethod
    def from_record(cls, record: dict[str, Any]) -> "RunNotes":
        """From what `record` gave."""
        states = [CurriculumState(*state) for state in record["curriculum"]]
        return cls(**{**record, "curriculum": states})
