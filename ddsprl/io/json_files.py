"""JSON files that hold one object: read at the door, compared field by field, written with flat leaves."""

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ddsprl.io.errors import UserError
from ddsprl.io.output import replacing

LONGEST_SHOWN = 80


def read_object(path: Path, *, remedy: str) -> dict[str, Any]:
    """The object that a JSON file holds.

    Args:
        path: of the file.
        remedy: what can be done about a file that cannot be used; ends the message.

    Raises:
        UserError: it cannot be read, is not JSON, or holds something else than an object.
    """
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise UserError(f"{path}: cannot be read ({error}); {remedy}") from error
    if not isinstance(found, dict):
        raise UserError(f"{path}: is not an object; {remedy}")
    return found


def as_stored(record: Mapping[str, Any]) -> dict[str, Any]:
    """A record as a JSON file would give it back: tuples are lists, names are texts."""
    return json.loads(json.dumps(record))


def first_difference(earlier: Any, wanted: Any, where: str = "") -> tuple[str, str, str] | None:
    """The first field in which two records differ: its name, and both values; None if they agree."""
    if isinstance(earlier, dict) and isinstance(wanted, dict):
        for name in [*wanted, *(key for key in earlier if key not in wanted)]:
            inside = f"{where}.{name}" if where else name
            found = first_difference(earlier.get(name), wanted.get(name), inside)
            if found is not None:
                return found
        return None
    if isinstance(earlier, list) and isinstance(wanted, list) and len(earlier) == len(wanted):
        for i, (a, b) in enumerate(zip(earlier, wanted, strict=True)):
            found = first_difference(a, b, f"{where}[{i}]")
            if found is not None:
                return found
        return None
    return None if earlier == wanted else (where, _short(earlier), _short(wanted))


def write_flat_leaves(path: Path, obj: Mapping[str, Any]) -> None:
    """Write an object, whole or not at all; an object without further objects, or in a list, on one line.

    For files that are mostly rows of numbers, where a line a number would be most of the file.

    Args:
        path: of the file; replaced if it exists.
        obj: of plain Python types, names being texts.

    Raises:
        ValueError: a number is NaN or infinite, which JSON cannot hold.
        UserError: the file cannot be written.
    """
    text = _flat(obj, "")
    with replacing(path) as temporary:
        temporary.write_text(text + "\n", encoding="utf-8")


def rounded(value: float, digits: int) -> float | int:
    """A number to some significant digits; a whole one as an integer, so that no `.0` is written."""
    near = float(f"{value:.{digits}g}") if math.isfinite(value) else value
    return int(near) if near.is_integer() else near


def rounded_tree(value: Any, digits: int) -> Any:
    """Numbers of a tree of plain types to some significant digits; whole ones stay as they are."""
    if isinstance(value, float):
        return float(f"{value:.{digits}g}") if math.isfinite(value) else value
    if isinstance(value, Mapping):
        return {name: rounded_tree(x, digits) for name, x in value.items()}
    if isinstance(value, list | tuple):
        return [rounded_tree(x, digits) for x in value]
    return value


def _is_table(value: Any) -> bool:
    return isinstance(value, list) and any(isinstance(x, Mapping) for x in value)


def _line(value: Any) -> str:
    return json.dumps(value, sort_keys=True, allow_nan=False, ensure_ascii=False)


def _flat(value: Any, indent: str) -> str:
    if _is_table(value):
        return "[\n" + ",\n".join(f"{indent}  {_line(x)}" for x in value) + f"\n{indent}]"
    if not isinstance(value, Mapping):
        return _line(value)
    if not any(isinstance(x, Mapping) or _is_table(x) for x in value.values()):
        return _line(value)
    inner = indent + "  "
    rows = [f"{inner}{json.dumps(k, ensure_ascii=False)}: {_flat(value[k], inner)}" for k in sorted(value)]
    return "{\n" + ",\n".join(rows) + f"\n{indent}}}"


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= LONGEST_SHOWN else text[: LONGEST_SHOWN - 3] + "..."
