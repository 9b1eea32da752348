"""What is observed and what may be done, as data: shapes, bounds, places in a flat vector, kinds of actions.

    spec = env.observation                      ObservationSpec: fields, and which of them networks read how
    flatten(obs, spec.fields)                   one vector of everything
    spec = env.action                           ActionSpec: how an action looks, as a pytree

Every action has `d` numbers in [-1, 1]. They fall into groups, of which one is acted on at a time; with one
group that is all of them. A mask `[d]` says which numbers count. Two kinds of actions are here, and a new one
is a class with the same face:

    Vector(d)                                   [d]                                one group
    Selector(groups, group_of_number)           {"module": int, "delta": [d]}      a group and its numbers
"""

import math
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import jax
import jax.numpy as jnp
import numpy as np

Observation = dict[str, jax.Array]
Action = Any
_BARRED = -1e9  # finite, so that a selector with nothing unlocked still picks something


class Field(NamedTuple):
    """One entry of an observation.

    Attributes:
        name: key in the dict.
        shape: of its array.
        low: smallest value.
        high: largest value.
        start: place of its first number in the flat view.
    """

    name: str
    shape: tuple[int, ...]
    low: float
    high: float
    start: int

    @property
    def size(self) -> int:
        """Numbers in it."""
        return math.prod(self.shape)

    @property
    def span(self) -> slice:
        """Its part of the flat view."""
        return slice(self.start, self.start + self.size)


def fields_of(entries: tuple[tuple[str, tuple[int, ...], float, float], ...]) -> tuple[Field, ...]:
    """Fields with their flat places, from names, shapes, lowest and highest values in order."""
    fields, start = [], 0
    for name, shape, low, high in entries:
        fields.append(Field(name, shape, low, high, start))
        start += fields[-1].size
    return tuple(fields)


def flatten(obs: Observation, fields: tuple[Field, ...]) -> jax.Array:
    """One vector of everything, in the fields' order; leading axes are kept."""
    parts = [jnp.reshape(obs[f.name], (*obs[f.name].shape[: -len(f.shape)], f.size)) for f in fields]
    return jnp.concatenate(parts, axis=-1)


def unflatten(flat: jax.Array, fields: tuple[Field, ...]) -> Observation:
    """The dict behind a flat view."""
    return {f.name: jnp.reshape(flat[..., f.span], (*flat.shape[:-1], *f.shape)) for f in fields}


def bounds(fields: tuple[Field, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Lowest and highest values of the flat view, float32 each."""
    low = np.concatenate([np.full(f.size, f.low, np.float32) for f in fields])
    high = np.concatenate([np.full(f.size, f.high, np.float32) for f in fields])
    return low, high


@dataclass(frozen=True)
class ObservationSpec:
    """What is observed, and what networks are to read of it; hashable.

    Attributes:
        fields: everything, in order.
        vectors: names of the vectors to read, in the order in which they are read.
        pictures: names of two pictures `[bands, frames]` of one shape, what is and what is asked for; None
            where there are none.
        clock: name of the share of the episode that is gone, `[1]`; None where nobody tells. It is read only
            where the time limit is a part of the task.
        guess: name of a guess at where an action leads best, `[2 d]` with its deviations, and of the numbers
            as they are, `[d]`; None without a guess. Both are among `vectors`.
    """

    fields: tuple[Field, ...]
    vectors: tuple[str, ...]
    pictures: tuple[str, str] | None = None
    clock: str | None = None
    guess: tuple[str, str] | None = None


@dataclass(frozen=True)
class Part:
    """A leaf of an action.

    Attributes:
        shape: of its array.
        choices: how many whole numbers from 0 it may be; 0 for numbers in [-1, 1].
    """

    shape: tuple[int, ...] = ()
    choices: int = 0


class ActionSpec(Protocol):
    """The face of all kinds of actions, each of which names it as its base; hashable.

    Attributes:
        size: numbers of an action, d.
        groups: how many groups the numbers fall into.
        group_of_number: index of each number's group, `d` of them.
        parts: the action's pytree with a `Part` for every leaf.
        flat_size: length of the flat view.
    """

    size: int
    groups: int
    group_of_number: tuple[int, ...]
    parts: Any
    flat_size: int

    def compose(self, group: jax.Array, numbers: jax.Array) -> Action:
        """The action that takes the numbers `[d]` for a group, scalar int; leading axes are kept."""
        ...

    def split(self, action: Action) -> tuple[jax.Array, jax.Array]:
        """Group and numbers of an action: what `compose` was given."""
        ...

    def from_flat(self, flat: jax.Array, mask: jax.Array) -> Action:
        """The action of a vector `[flat_size]` with values in [-1, 1], under a mask `[d]`."""
        ...


@dataclass(frozen=True)
class Vector(ActionSpec):
    """`d` numbers, all acted on at once.

    Attributes:
        size: d.
    """

    size: int

    @property
    def groups(self) -> int:
        """One."""
        return 1

    @property
    def group_of_number(self) -> tuple[int, ...]:
        """All of the first."""
        return (0,) * self.size

    @property
    def parts(self) -> Part:
        """One array."""
        return Part((self.size,))

    @property
    def flat_size(self) -> int:
        """The numbers alone."""
        return self.size

    def compose(self, group: jax.Array, numbers: jax.Array) -> Action:
        """The numbers."""
        del group
        return numbers

    def split(self, action: Action) -> tuple[jax.Array, jax.Array]:
        """The first group, and the action."""
        return jnp.zeros(action.shape[:-1], jnp.int32), action

    def from_flat(self, flat: jax.Array, mask: jax.Array) -> Action:
        """The vector."""
        del mask
        return flat


@dataclass(frozen=True)
class Selector(ActionSpec):
    """A module, and the deltas of that module's knobs; modules partition the `d` knobs.

    Attributes:
        groups: modules. One without knobs is a purely discrete action.
        group_of_number: index of each knob's module, `d` of them.
    """

    groups: int
    group_of_number: tuple[int, ...]

    @property
    def size(self) -> int:
        """Number of knobs, d."""
        return len(self.group_of_number)

    @property
    def parts(self) -> dict[str, Part]:
        """A choice, and a delta for every knob."""
        return {"module": Part(choices=self.groups), "delta": Part((self.size,))}

    @property
    def flat_size(self) -> int:
        """A logit for every module, then the deltas."""
        return self.groups + self.size

    def compose(self, group: jax.Array, numbers: jax.Array) -> Action:
        """Both by name."""
        return {"module": group, "delta": numbers}

    def split(self, action: Action) -> tuple[jax.Array, jax.Array]:
        """Both."""
        return action["module"], action["delta"]

    def from_flat(self, flat: jax.Array, mask: jax.Array) -> Action:
        """The module with the highest logit among those with something unlocked, and the deltas."""
        belongs = np.arange(self.groups)[:, None] == np.array(self.group_of_number, int)[None, :]
        unlocked = jnp.max(jnp.where(belongs, mask[None, :], 0.0), axis=1)
        logits = jnp.where(unlocked > 0, flat[: self.groups], _BARRED)
        return self.compose(jnp.argmax(logits), flat[self.groups :])
