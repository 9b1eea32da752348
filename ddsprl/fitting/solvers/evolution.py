"""Evolution strategies from evosax behind the solver contract.

    starts ──▶ strategy ──▶ z ── fold ──▶ u ── driver ──▶ losses ── quarantine ──▶ strategy
                  ▲                                                                   │
                  └── a new one at the next start ◀── collapsed, stale or not finite ─┘

evosax minimises, knows no bounds and takes what it is told. So the adapter brings what a long unattended
search needs: bounds (`coordinates.py`; a step size stays in knob units), a quarantine for losses that
are not finite (they count as the worst of their generation, so a strategy learns to keep away and does not
turn NaN), and restarts.

A strategy works on all knobs, locked ones too, and is told what it asked for: a locked knob is one that makes
no difference, which evolution paths expect of a knob in no direction that matters. What is evaluated always
has locked knobs at their values.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from ddsprl.fitting.core.archive import BAD_LOSS, Members
from ddsprl.fitting.core.solver import Answer, Query, Space, Start, no_query
from ddsprl.fitting.solvers.coordinates import from_folded, home, to_folded
from ddsprl.fitting.solvers.proposals import distinct_members
from synth_jax.params import nearest_hint

# Restarts go to as many of the other starts before they go to random points.
PLACES = 16
# Spread of a generation (standard deviation, of the most spread knob), in knob units: below the first it has
# settled on one sound, above the second it is anywhere.
COLLAPSED, SCATTERED = 1e-4, 10.0
# What counts as getting better, relative.
GAIN = 1e-3
MAX_SIGMA = 0.5

# Classes of `evosax.algorithms`.
DISTRIBUTIONS = {"cma_es": "CMA_ES", "sep_cma_es": "Sep_CMA_ES", "simple_es": "SimpleES", "snes": "SNES"}
POPULATIONS = {"differential_evolution": "DifferentialEvolution", "pso": "PSO"}
# Inertia and pull as in Clerc and Kennedy (2002); those of evosax lie outside the region where the variance
# of a particle stays bounded, c1 + c2 < 24 (1 - w^2) / (7 - 5 w) (Poli, 2009).
OPTIONS = {"pso": {"inertia_coeff": 0.7298, "cognitive_coeff": 1.4962, "social_coeff": 1.4962}}


class EvolutionState(NamedTuple):
    """A strategy at work.

    Attributes:
        inner: the strategy's own state.
        z: the generation asked for, folded coordinates, `[population, d]`.
        space: of the knobs.
        places: where restarts begin, best first, `[places]` members.
        restarts: so far, scalar.
        best: loss since the last restart, scalar.
        stale: generations since it got better, scalar.
        spread: of the generation, scalar; see `COLLAPSED`.
    """

    inner: Any
    z: jax.Array
    space: Space
    places: Members
    restarts: jax.Array
    best: jax.Array
    stale: jax.Array
    spread: jax.Array


@dataclass(frozen=True)
class Evosax:
    """One strategy of evosax, with bounds, quarantine and restarts.

    Attributes:
        strategy: a name of `DISTRIBUTIONS` or `POPULATIONS`.
        population: positions scored in one iteration.
        sigma: standard deviation around the best start, in knob units. Strategies that keep a population
            instead of a distribution begin with the best distinct starts, and use it where these are few.
        patience: generations without a gain after which a search begins anew.
        random_restarts: begin anew at a random point rather than at the next best start.
        growth: factor of sigma at every restart.
        options: the strategy's own parameters, as (name, value) pairs.
    """

    strategy: str
    population: int = 32
    sigma: float = 0.15
    patience: int = 50
    random_restarts: bool = False
    growth: float = 1.0
    options: tuple[tuple[str, float], ...] = ()

    def __post_init__(self) -> None:
        """Refuse what no strategy can work with.

        Raises:
            ValueError: the setting, its value and what is allowed.
        """
        known = [*DISTRIBUTIONS, *POPULATIONS]
        if self.strategy not in known:
            raise ValueError(f"no strategy {self.strategy!r}{nearest_hint(self.strategy, known)}")
        if self.population < 4:
            raise ValueError(f"population is {self.population}; allowed are 4 and more")
        if not 0.0 < self.sigma <= MAX_SIGMA:
            raise ValueError(f"sigma is {self.sigma}; allowed is above 0 up to {MAX_SIGMA} (knob units)")
        if self.patience < 1:
            raise ValueError(f"patience is {self.patience}; allowed are 1 and more")
        if not self.growth > 0.0:
            raise ValueError(f"growth is {self.growth}; it must be above 0")
        parameters = vars(_strategy(self.strategy, 4, 2)[1])
        for name, _ in self.options:
            if name not in parameters:
                hint = nearest_hint(name, list(parameters))
                raise ValueError(f"{self.strategy} has no option {name!r}{hint}")

    @property
    def scores(self) -> int:
        """All of the population."""
        return self.population

    @property
    def gradients(self) -> int:
        """None."""
        return 0

    def init(self, key: jax.Array, start: Start, space: Space) -> EvolutionState:
        """A distribution around the best start, or a population of the best ones."""
        count = min(PLACES, start.u.shape[0])
        places = distinct_members(key, start, space, count, step=self.sigma)
        if self.strategy in POPULATIONS:
            first = distinct_members(key, start, space, self.population, step=self.sigma)
        else:
            first = Members(places.u[:1], places.loss[:1])
        inner = self._begin(key, first, jnp.asarray(self.sigma, start.u.dtype))
        zero = jnp.zeros((), jnp.int32)
        z = jnp.zeros((self.population, start.u.shape[1]), start.u.dtype)
        unknown = jnp.asarray(BAD_LOSS, start.loss.dtype)
        return EvolutionState(inner, z, space, places, zero, unknown, zero, jnp.asarray(self.sigma, z.dtype))

    def ask(self, key: jax.Array, state: EvolutionState, progress: jax.Array) -> tuple[Query, EvolutionState]:
        """The next generation; of a new search where the old one has come to an end."""
        del progress
        drawing, renewing = jax.random.split(key)
        asked = self._draw(drawing, state)
        # A state that is not finite shows in what it draws, before anything is evaluated.
        usable = jnp.isfinite(asked.spread) & (asked.spread > COLLAPSED) & (asked.spread < SCATTERED)
        state = jax.lax.cond(
            usable & (state.stale < self.patience),
            lambda: asked,
            lambda: self._draw(drawing, self._restart(renewing, state)),
        )
        u = state.space.admit(from_folded(state.z))
        return Query(u, no_query(u.shape[1], u.dtype)), state

    def tell(self, key: jax.Array, state: EvolutionState, query: Query, answer: Answer) -> EvolutionState:
        """The strategy's update; a generation without one finite loss teaches nothing."""
        del query
        sound = jnp.isfinite(answer.score) & (answer.score < BAD_LOSS)
        # In a population a failure must lose every comparison; for a distribution only the ranking counts.
        worst = jnp.max(jnp.where(sound, answer.score, -jnp.inf))
        losses = jnp.where(sound, answer.score, BAD_LOSS if self.strategy in POPULATIONS else worst)
        some = jnp.any(sound)
        algorithm, parameters = self._algorithm(state.z.shape[1])
        told, _ = algorithm.tell(key, state.z, jnp.where(some, losses, 0.0), state.inner, parameters)
        inner = jax.tree.map(lambda new, old: jnp.where(some, new, old), _strong(told), state.inner)
        found = jnp.min(jnp.where(sound, answer.score, BAD_LOSS))
        gained = found < state.best - GAIN * jnp.abs(state.best)
        stale = jnp.where(gained, 0, state.stale + 1)
        return state._replace(inner=inner, best=jnp.minimum(found, state.best), stale=stale)

    def trace(self, state: EvolutionState) -> dict[str, jax.Array]:
        """Restarts so far and the spread of the generation."""
        return {"restarts": state.restarts, "spread": state.spread}

    def _draw(self, key: jax.Array, state: EvolutionState) -> EvolutionState:
        algorithm, parameters = self._algorithm(state.z.shape[1])
        z, inner = algorithm.ask(key, state.inner, parameters)
        # Members that meet again on the other side of a stop must be told that they are close; a distribution
        # would lose its shape by that.
        z = home(z) if self.strategy in POPULATIONS else z
        spread = jnp.max(jnp.where(state.space.free > 0, jnp.std(z, axis=0), 0.0))
        # The maximum of the above passes over a NaN in a locked knob.
        spread = jnp.where(jnp.all(jnp.isfinite(z)), spread, jnp.nan)
        return state._replace(z=z, inner=_strong(inner), spread=spread)

    def _restart(self, key: jax.Array, state: EvolutionState) -> EvolutionState:
        """A new search at the next start, or at a random point when there is none left."""
        restarts = state.restarts + 1
        count, d = state.places.u.shape
        placing, stepping, beginning = jax.random.split(key, 3)
        anywhere = jax.random.uniform(placing, (d,), state.places.u.dtype)
        next_place = state.places.u[jnp.minimum(restarts, count - 1)]
        fresh = jnp.where(self.random_restarts | (restarts >= count), anywhere, next_place)
        sigma = jnp.minimum(self.sigma * self.growth ** restarts.astype(fresh.dtype), MAX_SIGMA)
        steps = jnp.zeros((1, d), fresh.dtype)
        if self.strategy in POPULATIONS:
            steps = jax.random.normal(stepping, (self.population, d), fresh.dtype).at[0].set(0.0)
        u = state.space.admit(fresh + sigma * steps)
        unknown = jnp.full((u.shape[0],), BAD_LOSS, state.best.dtype)
        inner = self._begin(beginning, Members(u, unknown), sigma)
        nothing = jnp.full_like(state.best, BAD_LOSS)
        return state._replace(inner=inner, restarts=restarts, best=nothing, stale=jnp.zeros_like(state.stale))

    def _begin(self, key: jax.Array, members: Members, sigma: jax.Array) -> Any:
        """First state of the strategy at some members: all of them, or the mean that is the only one."""
        algorithm, parameters = self._algorithm(members.u.shape[1])
        z = to_folded(members.u)
        if self.strategy in POPULATIONS:
            return _strong(algorithm.init(key, z, members.loss, parameters))
        return _strong(algorithm.init(key, z[0], parameters.replace(std_init=sigma)))

    def _algorithm(self, d: int) -> tuple[Any, Any]:
        algorithm, parameters = _strategy(self.strategy, self.population, d)
        return algorithm, parameters.replace(**dict(self.options))


@lru_cache(maxsize=64)
def _strategy(name: str, population: int, d: int) -> tuple[Any, Any]:
    """The strategy and its parameters; always the same object, since evosax compiles by identity."""
    # Made outside of whatever is being traced: what it keeps for later must be numbers.
    with jax.ensure_compile_time_eval():
        # Importing evosax computes and so starts JAX's backend, after which `ddsprl.cpu` would be too late.
        import evosax.algorithms

        made = getattr(evosax.algorithms, (DISTRIBUTIONS | POPULATIONS)[name])
        algorithm = made(population, jnp.zeros(d))
        return algorithm, algorithm.default_params.replace(**OPTIONS.get(name, {}))


def _strong(tree: Any) -> Any:
    """Arrays without weak types, so that a state has one type in a loop and in both branches of a choice."""
    return jax.tree.map(lambda x: jax.lax.convert_element_type(x, jnp.result_type(x)), tree)
