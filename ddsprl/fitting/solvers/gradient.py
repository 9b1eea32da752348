"""Plain gradient descent from several starts: the baseline of everything that calls itself hybrid.

No dither, no exchange, no restarts: each member follows Adam downhill in logit coordinates, at a learning
rate that falls geometrically as the budget is spent. The best preset that any of them visited is in the
driver's archive.
"""

from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax

from ddsprl.fitting.core.archive import BAD_LOSS
from ddsprl.fitting.core.solver import Answer, Query, Space, Start, no_query
from ddsprl.fitting.solvers.coordinates import to_bounded, to_unbounded
from ddsprl.fitting.solvers.proposals import distinct_members

# How far apart members begin that share a start, in knob units.
APART = 0.1


class DescentState(NamedTuple):
    """Members on their way.

    Attributes:
        z: logits of the positions, `[members, d]`.
        adam: of these, a pytree.
        rate: learning rate of the iteration under way, scalar.
        space: of the knobs.
    """

    z: jax.Array
    adam: optax.OptState
    rate: jax.Array
    space: Space


@dataclass(frozen=True)
class MultiStartAdam:
    """Adam (Kingma and Ba, 2015) on several members that do not know of one another.

    Attributes:
        members: positions differentiated in one iteration, from the best distinct starts.
        first_rate: learning rate in logit coordinates when nothing is spent yet.
        last_rate: when all is spent; geometric between.
        b1: decay of the mean of gradients.
        b2: decay of the mean of their squares.
    """

    members: int = 16
    first_rate: float = 0.12
    last_rate: float = 0.01
    b1: float = 0.8
    b2: float = 0.95

    def __post_init__(self) -> None:
        """Refuse settings with which nothing would move.

        Raises:
            ValueError: the setting, its value and what is allowed.
        """
        if self.members < 1:
            raise ValueError(f"members is {self.members}; allowed are 1 and more")
        if not (self.first_rate > 0.0 and self.last_rate > 0.0):
            raise ValueError(f"rates are {self.first_rate} and {self.last_rate}; both must be above 0")

    @property
    def scores(self) -> int:
        """None; a gradient brings its loss along."""
        return 0

    @property
    def gradients(self) -> int:
        """One a member."""
        return self.members

    def init(self, key: jax.Array, start: Start, space: Space) -> DescentState:
        """Members at the best distinct starts."""
        z = to_unbounded(distinct_members(key, start, space, self.members, step=APART).u)
        return DescentState(z, self._adam.init(z), jnp.asarray(self.first_rate, z.dtype), space)

    def ask(self, key: jax.Array, state: DescentState, progress: jax.Array) -> tuple[Query, DescentState]:
        """Where the members are."""
        del key
        u = state.space.admit(to_bounded(state.z))
        rate = self.first_rate * (self.last_rate / self.first_rate) ** progress
        return Query(no_query(u.shape[1], u.dtype), u), state._replace(rate=rate.astype(u.dtype))

    def tell(self, key: jax.Array, state: DescentState, query: Query, answer: Answer) -> DescentState:
        """One step downhill; a member whose loss or gradient is not finite coasts."""
        del key
        sound = jnp.isfinite(answer.loss) & (answer.loss < BAD_LOSS)
        slope = jnp.where(sound[:, None] & jnp.isfinite(answer.slope), answer.slope, 0.0)
        # The slope of the sigmoid; not from the query, where locked knobs are at their values.
        u = to_bounded(state.z)
        update, adam = self._adam.update(slope * state.space.free * u * (1.0 - u), state.adam)
        step = jax.tree.map(lambda x: -state.rate * x, update)
        return state._replace(z=optax.apply_updates(state.z, step), adam=adam)

    def trace(self, state: DescentState) -> dict[str, jax.Array]:
        """The learning rate."""
        return {"rate": state.rate}

    @property
    def _adam(self) -> optax.GradientTransformation:
        return optax.scale_by_adam(self.b1, self.b2)
