"""What is allowed in options and files: a mistake is one line with the thing, its value, and what is allowed.

within("--seeds", 0, 1, 100)            --seeds is 0, allowed are 1 to 100
one_of("--suite", "preset", SUITES)     --suite is 'preset'; did you mean 'presets'?; allowed are presets, ...
"""

import math
from collections.abc import Collection, Iterable, Sequence

from ddsprl.io.errors import UserError, did_you_mean


def within(
    name: str, value: float, low: float, high: float = math.inf, *, unit: str = "", above: bool = False
) -> None:
    """Refuse a number outside its range; NaN is outside of every range.

    Args:
        name: of the option or field, as it is written.
        value: as given.
        low: least value that is allowed.
        high: most.
        unit: of both.
        above: whether `low` itself is not allowed.

    Raises:
        UserError: it is outside.
    """
    if low <= value <= high and not (above and value == low):
        return
    least, most = number(low), number(high)
    if high == math.inf:
        allowed = f"over {least}" if above else f"{least} or more"
    else:
        allowed = f"over {least}, up to {most}" if above else f"{least} to {most}"
    raise UserError(f"{name} is {number(value)}, allowed are {allowed} {unit}".rstrip())


def one_of(name: str, value: object, allowed: Collection[str]) -> None:
    """Refuse a name that is not among the allowed ones.

    Raises:
        UserError: with the nearest one, and all of them.
    """
    if value not in allowed:
        hint = did_you_mean(str(value), allowed)
        raise UserError(f"{name} is {value!r}{hint}; allowed are {', '.join(allowed)}")


def known_names(where: str, kind: str, given: Iterable[object], allowed: Collection[str]) -> None:
    """Refuse names that mean nothing.

    Args:
        where: they stand.
        kind: of thing that is named, such as `key`.
        given: names.
        allowed: names.

    Raises:
        UserError: one is unknown, with the nearest one, or all of them if none is near.
    """
    for name in given:
        if name not in allowed:
            hint = did_you_mean(str(name), allowed) or f"; allowed are {', '.join(allowed)}"
            raise UserError(f"{where}: no {kind} {name!r}{hint}")


def all_different(name: str, values: Sequence[object]) -> None:
    """Refuse a value that is given twice.

    Raises:
        UserError: with that value.
    """
    for value in values:
        if values.count(value) > 1:
            raise UserError(f"{name} names {value} twice; values must be different")


def plain_name(name: str, value: object) -> None:
    """Refuse what is no plain name.

    Raises:
        UserError: it has other characters than letters, digits, - and _.
    """
    if not isinstance(value, str) or not value.replace("_", "").replace("-", "").isalnum():
        raise UserError(f"{name} is {value!r}; letters, digits, - and _ are allowed")


def number(value: float) -> str:
    """A number as it is written, without digits that say nothing."""
    return f"{value:g}" if isinstance(value, float) else str(value)
