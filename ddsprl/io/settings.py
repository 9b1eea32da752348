"""Settings from files: YAML that holds a mapping, laid by dotted names over nested frozen dataclasses.

    read_yaml(path, expected="fields and their values")
    names(RunConfig())                                  "env.steps", "agent.network.width", ...
    override(RunConfig(), {"loop": {"n_envs": 32}, "agent.batch": 128}, where="configs/quick.yaml")

Values must be of the kind that stands there; every mistake names the field and, if it is unknown, the
nearest one.
"""

import dataclasses
import types
import typing
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

import yaml

from ddsprl.io.checks import known_names
from ddsprl.io.errors import UserError

Settings = TypeVar("Settings")


def read_yaml(path: Path, *, expected: str) -> dict[str, Any]:
    """The mapping that a YAML file holds; an empty file holds an empty one.

    Args:
        path: of the file.
        expected: what it must hold, for the message.

    Raises:
        UserError: it cannot be read, or holds something else.
    """
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: cannot be read ({getattr(error, 'strerror', None) or error})") from error
    except yaml.YAMLError as error:
        raise UserError(f"{path}: is not YAML ({' '.join(str(error).split())})") from error
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise UserError(f"{path}: must hold {expected}")
    return content


def names(settings: Any) -> tuple[str, ...]:
    """Dotted names of all fields that hold values."""
    return tuple(name for name, _ in _leaves(settings, ""))


def _leaves(settings: Any, above: str) -> Iterator[tuple[str, Any]]:
    for field in dataclasses.fields(settings):
        name, value = f"{above}{field.name}", getattr(settings, field.name)
        if dataclasses.is_dataclass(value):
            yield from _leaves(value, f"{name}.")
        else:
            yield name, value


def nested(settings: Any) -> dict[str, Any]:
    """As JSON holds it: objects and lists."""

    def plain(value: Any) -> Any:
        if isinstance(value, dict):
            return {name: plain(item) for name, item in value.items()}
        return [plain(item) for item in value] if isinstance(value, tuple | list) else value

    return plain(dataclasses.asdict(settings))


def override(settings: Settings, given: Mapping[str, Any], *, where: str) -> Settings:
    """The settings with other values.

    Args:
        settings: a frozen dataclass, possibly of others.
        given: values by dotted names or nested, or both.
        where: named in errors.

    Raises:
        UserError: an unknown field, or a value of another kind.
    """
    known, tree = names(settings), {}
    for name, value in _flat(given, "", known):
        known_names(where, "field", [name], known)
        *groups, field = name.split(".")
        place = tree
        for group in groups:
            place = place.setdefault(group, {})
        place[field] = value
    return _replaced(settings, tree, f"{where}: ")


def _flat(given: Mapping[str, Any], above: str, known: tuple[str, ...]) -> Iterator[tuple[str, Any]]:
    for name, value in given.items():
        inside = f"{above}{name}"
        is_group = any(field.startswith(f"{inside}.") for field in known)
        if isinstance(value, Mapping) and (is_group or inside not in known) and value:
            yield from _flat(value, f"{inside}.", known)
        else:
            yield inside, value


def _replaced(settings: Any, tree: Mapping[str, Any], where: str) -> Any:
    """The settings with other values; each record is made once, for some check themselves when made."""
    kinds, values = typing.get_type_hints(type(settings)), {}
    for name, value in tree.items():
        old = getattr(settings, name)
        if dataclasses.is_dataclass(old):
            values[name] = _replaced(old, value, f"{where}{name}.")
        else:
            values[name] = of_kind(value, kinds[name], f"{where}{name}")
    try:
        return dataclasses.replace(settings, **values)
    except ValueError as error:
        raise UserError(f"{where}{error}") from None


def of_kind(value: Any, kind: Any, where: str) -> Any:
    """The value as a field of this kind holds it.

    Args:
        value: of a file.
        kind: type of the field: a number, a text, a truth value, a tuple of one of these, or one of them
            or None.
        where: the field, named in errors.

    Raises:
        UserError: it is of another kind.
    """
    options = typing.get_args(kind) if isinstance(kind, types.UnionType) else (kind,)
    if value is None and types.NoneType in options:
        return None
    wanted = next(option for option in options if option is not types.NoneType)
    if typing.get_origin(wanted) is tuple:
        items = value if isinstance(value, list | tuple) else (value,)
        return tuple(of_kind(item, typing.get_args(wanted)[0], where) for item in items)
    if wanted is float:
        return _number(value, where)
    if not isinstance(value, wanted) or (isinstance(value, bool) and wanted is not bool):
        raise UserError(f"{where} is {value!r}, allowed is {_KINDS.get(wanted, wanted.__name__)}")
    return value


_KINDS = {int: "a whole number", bool: "true or false", str: "a text"}


def _number(value: Any, where: str) -> float:
    """A number; YAML reads 3e-4 as a text."""
    try:
        if isinstance(value, bool):
            raise ValueError
        return float(value)
    except (TypeError, ValueError):
        raise UserError(f"{where} is {value!r}, allowed is a number") from None
