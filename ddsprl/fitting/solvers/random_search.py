"""Random search: the smallest solver, and what every other one has to beat."""

from dataclasses import dataclass

import jax

from ddsprl.fitting.core.solver import Answer, Query, Space, Start, no_query


@dataclass(frozen=True)
class RandomSearch:
    """Uniform random positions.

    Attributes:
        population: positions scored in one iteration.
    """

    population: int = 64

    @property
    def scores(self) -> int:
        """All of the population."""
        return self.population

    @property
    def gradients(self) -> int:
        """None."""
        return 0

    def init(self, key: jax.Array, start: Start, space: Space) -> Space:
        """Nothing is remembered but the space."""
        del key, start
        return space

    def ask(self, key: jax.Array, state: Space, progress: jax.Array) -> tuple[Query, Space]:
        """A fresh population."""
        del progress
        d = state.free.shape[0]
        u = jax.random.uniform(key, (self.population, d), state.free.dtype)
        return Query(state.admit(u), no_query(d, u.dtype)), state

    def tell(self, key: jax.Array, state: Space, query: Query, answer: Answer) -> Space:
        """Nothing is learnt."""
        del key, query, answer
        return state

    def trace(self, state: Space) -> dict[str, jax.Array]:
        """No curves."""
        del state
        return {}
