"""What a run is: on the device `Loop`, a pytree of arrays, and on the host `RunNotes`, plain values.

Both together are checkpointed whole. With `seeds: S` every leaf of `Loop` has a leading axis S.
"""

import math
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from ddsprl.agents import Agent, Choice, Share
from ddsprl.env import CurriculumState, ManyState, Observation, Results
from ddsprl.training.snapshots import Extremes


class Tally(NamedTuple):
    """Sums since the host last took them, float32 scalars.

    Attributes:
        episodes: that ended.
        solved: of these, that were solved.
        returns: of these.
        best_loss: of these.
        lengths: of these.
        first_loss: of the episodes that began in their places, as many.
        shares: of the agent's choices, by name.
    """

    episodes: jax.Array
    solved: jax.Array
    returns: jax.Array
    best_loss: jax.Array
    lengths: jax.Array
    first_loss: jax.Array
    shares: dict[str, Share]

    def plus(self, choice: Choice, found: Any, first_loss: jax.Array) -> "Tally":
        """With one step of all episodes.

        Args:
            choice: what the agent did.
            found: `Timestep` behind an automatic reset.
            first_loss: of the present episodes, `[n]`; it counts where one has just begun.
        """
        done, score = found.terminated | found.truncated, found.info["final_score"]

        def of_ended(x):
            return jnp.sum(jnp.where(done, x, 0.0))

        step = Tally(
            episodes=jnp.sum(done).astype(jnp.float32),
            solved=jnp.sum(done & score.solved).astype(jnp.float32),
            returns=of_ended(found.info["episode_return"]),
            best_loss=of_ended(score.best),
            lengths=of_ended(found.info["episode_length"]).astype(jnp.float32),
            first_loss=of_ended(first_loss),
            shares=jax.tree.map(jnp.sum, choice.shares),
        )
        return jax.tree.map(jnp.add, self, step)

    def figures(self) -> dict[str, float | None]:
        """Means by name, of scalars; None where nothing was counted."""

        def of(total: Any, count: Any) -> float | None:
            return float(total) / float(count) if float(count) else None

        sums = ("success_rate", self.solved), ("return", self.returns), ("best_loss", self.best_loss)
        sums += ("first_loss", self.first_loss), ("length", self.lengths)
        found: dict[str, float | None] = {"episodes": float(self.episodes)}
        found |= {name: of(total, self.episodes) for name, total in sums}
        return found | {name: of(share.part, share.whole) for name, share in self.shares.items()}


def new_tally(agent: Agent) -> Tally:
    """Nothing counted."""
    shares = {name: Share(jnp.zeros(()), jnp.zeros(())) for name in agent.shares}
    zeros = {name: jnp.zeros(()) for name in Tally._fields if name != "shares"}
    return Tally(**zeros, shares=shares)


class Loop(NamedTuple):
    """Everything that a run is on the device.

    Attributes:
        agent: what it has learnt.
        experience: what it keeps.
        envs: the running episodes, leaves `[n_envs, ...]`.
        obs: their observations.
        memory: what the agent carries in each of them.
        tally: sums for the log.
        extremes: the best and the worst episode since the last snapshot.
        key: from which every iteration draws.
        steps: int32 scalar, iterations done.
    """

    agent: Any
    experience: Any
    envs: ManyState
    obs: Observation
    memory: Any
    tally: Tally
    extremes: Extremes
    key: jax.Array
    steps: jax.Array

    @property
    def items(self) -> dict[str, Any]:
        """What a checkpoint holds: the agent apart, so that it can be read alone."""
        return {"agent": self.agent, "rest": self._replace(agent=None)}


def loop_of(items: dict[str, Any]) -> Loop:
    """The loop of a checkpoint's items."""
    return items["rest"]._replace(agent=items["agent"])


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


def finite(figures: dict[str, float]) -> dict[str, float | None]:
    """The figures, with None for what is no number: before the first update there are no metrics."""
    return {name: value if math.isfinite(value) else None for name, value in figures.items()}


def summary(results: Results, floor: np.ndarray | float = 0.0) -> dict[str, Any]:
    """The figures of an evaluation.

    Args:
        results: of its episodes.
        floor: of each episode, `[n]`: a loss that nobody can be below. A gap is a loss above it.
    """
    best, first = np.asarray(results.best_loss), np.asarray(results.first_loss)
    return {
        "episodes": int(best.size),
        "median_loss": float(np.median(best)),
        "lower_quartile_loss": float(np.quantile(best, 0.25)),
        "upper_quartile_loss": float(np.quantile(best, 0.75)),
        "median_first_loss": float(np.median(first)),
        "median_gap": float(np.median(best - floor)),
        "median_first_gap": float(np.median(first - floor)),
        "success_rate": float(np.mean(results.solved)),
        "median_length": float(np.median(results.length)),
        "mean_return": float(np.mean(results.returns)),
    }
