"""A record whose fields are the entries of a registry, so that a newcomer there needs no second line here."""

from types import SimpleNamespace
from typing import Any, NoReturn, Self

import jax
from jax.tree_util import GetAttrKey


class Record(SimpleNamespace):
    """Named values, immutable; a pytree whose leaves keep the order in which they were given.

    `record.name` reads one field, `vars(record)` all of them.
    """

    def __init_subclass__(cls) -> None:
        """Make the subclass a pytree."""
        jax.tree_util.register_pytree_with_keys_class(cls)

    def __setattr__(self, name: str, value: Any) -> NoReturn:
        """Refuse.

        Raises:
            AttributeError: always.
        """
        raise AttributeError(f"{name}: a {type(self).__name__} does not change")

    def tree_flatten_with_keys(self) -> tuple[list[tuple[Any, Any]], tuple[str, ...]]:
        """Fields with their keys, and their names."""
        return [(GetAttrKey(name), value) for name, value in vars(self).items()], tuple(vars(self))

    @classmethod
    def tree_unflatten(cls, names: tuple[str, ...], values: Any) -> Self:
        """The record again, of whatever stands in for the values."""
        record = cls.__new__(cls)
        vars(record).update(zip(names, values, strict=True))
        return record
