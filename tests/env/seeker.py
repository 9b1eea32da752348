"""A third environment, with nothing of a synthesizer: a point seeks a place that it sees.

Actions are a plain vector. It has no stages, no teacher and no sounds, and states with no more in them than
the contract asks for. The best policy is known: straight to the place, at full speed while it is far.
"""

from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp

from ddsprl.env import Environment, EnvironmentConfig, ObservationSpec, Score, Timestep, Vector, fields_of
from ddsprl.env.domain import Domain, Draw

# A step at full speed, and how near is near enough.
SPEED, NEAR = 0.25, 0.1


@dataclass(frozen=True, kw_only=True)
class SeekerConfig(EnvironmentConfig):
    """Settings.

    Attributes:
        dimensions: of the space, whose sides go from -1 to 1.
    """

    name: str = "seeker"
    steps: int = 10
    dimensions: int = 2


class Places(NamedTuple):
    """Tasks: `where [n, d]`."""

    where: jax.Array


class SeekerState(NamedTuple):
    """The place sought, where the point is, the steps taken, and the smallest distance so far."""

    episode: jax.Array
    at: jax.Array
    t: jax.Array
    best: jax.Array


@dataclass(frozen=True)
class Seeker(Environment):
    """Starts in the middle; paid minus the distance after every step."""

    config: SeekerConfig

    @property
    def steps(self) -> int:
        return self.config.steps

    @property
    def observation(self) -> ObservationSpec:
        d = self.config.dimensions
        fields = fields_of((("at", (d,), -4.0, 4.0), ("away", (d,), -4.0, 4.0), ("time", (1,), 0.0, 1.0)))
        return ObservationSpec(fields, ("at", "away"), clock="time")

    @property
    def action(self) -> Vector:
        return Vector(self.config.dimensions)

    def count(self, params: Places) -> int:
        return params.where.shape[0]

    def reset(self, key, params: Places):
        return self.reset_at(key, params, jax.random.randint(key, (), 0, self.count(params)))

    def reset_at(self, key, params: Places, index):
        del key
        where = params.where[index]
        state = SeekerState(where, jnp.zeros_like(where), jnp.zeros((), jnp.int32), jnp.linalg.norm(where))
        return self._observe(state), state

    def step(self, key, state: SeekerState, action, params: Places) -> Timestep:
        del key, params
        at = state.at + SPEED * jnp.clip(action, -1.0, 1.0)
        state = SeekerState(state.episode, at, state.t + 1, state.best)
        loss = self.score(state).loss
        state = state._replace(best=jnp.minimum(state.best, loss))
        ended = loss < NEAR
        late = (state.t >= self.steps) & ~ended
        return Timestep(self._observe(state), state, -loss, ended, late, {"loss": loss})

    def score(self, state: SeekerState) -> Score:
        loss = jnp.sqrt(jnp.sum(jnp.square(state.episode - state.at)) + 1e-12)
        return Score(loss, state.best, loss < NEAR)

    def _observe(self, state: SeekerState):
        time = jnp.reshape(state.t / self.steps, (1,)).astype(jnp.float32)
        return {"at": state.at, "away": state.episode - state.at, "time": time}


def places(env: Seeker, draw: Draw) -> Places:
    """Uniform in the space."""
    key = jax.random.fold_in(jax.random.key(draw.seed), draw.split == "train")
    return Places(jax.random.uniform(key, (draw.count or 64, env.config.dimensions), minval=-1.0))


SEEKER = Domain(
    settings=SeekerConfig(),
    make=Seeker,
    params=places,
    example=lambda env: Places(jnp.zeros((1, env.config.dimensions))),
)
