"""`ParamSpec`, the only description of a knob, and the maps between knob positions and physical values.

A knob position is a number `u` in [0, 1]; the synthesizer works in physical units. The map is one of

    lin:   x = low + (high - low) * u
    log:   x = low * (high / low) ** u            (low > 0)

and integer knobs are `lin` knobs that snap to whole numbers. Ranges, labels, the JSON schema, curriculum
masks and the documentation are all derived from the table of specs: nothing else may state a range.

Tables are static tuples of specs; knob vectors are arrays `[..., d]` in table order.
"""

import difflib
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np

Scale = Literal["lin", "log"]


@dataclass(frozen=True, kw_only=True)
class ParamSpec:
    """One knob.

    Attributes:
        name: unique identifier, as in preset files.
        low: smallest physical value (at u = 0).
        high: largest physical value (at u = 1).
        default: physical value of the neutral patch.
        unit: physical unit for labels; empty for pure numbers.
        scale: `lin` or `log`.
        integer: whether only whole numbers are allowed in a preset.
        module: a word for what an agent selects before it turns the knob, such as `FILTER`.
        group: the panel section that the knob stands in, for documentation and UIs.
        help: one line for people.
    """

    name: str
    low: float
    high: float
    default: float
    unit: str = ""
    scale: Scale = "lin"
    integer: bool = False
    module: str = "MAIN"
    group: str = ""
    help: str = ""

    def __post_init__(self) -> None:
        """Reject a spec that cannot be mapped."""
        if not self.low < self.high:
            raise ValueError(f"{self.name}: low {self.low} must be under high {self.high}")
        if self.scale == "log" and self.low <= 0.0:
            raise ValueError(f"{self.name}: a log knob needs low > 0, got {self.low}")
        if not self.low <= self.default <= self.high:
            raise ValueError(f"{self.name}: default {self.default} is outside {self.low} to {self.high}")
        if not self.module.strip():
            raise ValueError(f"{self.name}: module {self.module!r} is no word")

    @property
    def choices(self) -> int:
        """Number of snapped positions; 0 for a continuous knob."""
        return round(self.high - self.low) + 1 if self.integer else 0

    def to_physical(self, u: float) -> float:
        """Knob position in [0, 1] to a physical value, on the host."""
        if self.scale == "log":
            return float(self.low * (self.high / self.low) ** u)
        return float(self.low + (self.high - self.low) * u)

    def to_unit(self, value: float) -> float:
        """Physical value to a knob position, on the host; not clipped."""
        if self.scale == "log":
            return float(np.log(value / self.low) / np.log(self.high / self.low))
        return float((value - self.low) / (self.high - self.low))


Table = tuple[ParamSpec, ...]


def check_table(table: Table) -> Table:
    """Return `table` after checking that names are unique."""
    names = [spec.name for spec in table]
    if len(set(names)) != len(names):
        raise ValueError(f"duplicate knob names in {names}")
    return table


def modules_of(table: Table) -> tuple[str, ...]:
    """The modules of a table, in the order in which it names them first."""
    return tuple(dict.fromkeys(spec.module for spec in table))


def module_of_knob(table: Table) -> np.ndarray:
    """Index into `modules_of(table)` of each knob, int `[d]`."""
    modules = modules_of(table)
    return np.array([modules.index(spec.module) for spec in table])


def table_digest(table: Table) -> str:
    """Digest of what a knob position means: what was learnt or measured of one table fits no other."""
    rows = [(s.name, s.low, s.high, s.scale, s.integer) for s in table]
    return hashlib.sha256(json.dumps(rows).encode()).hexdigest()[:20]


def index_of(table: Table, name: str) -> int:
    """Position of the knob called `name`.

    Raises:
        KeyError: no such knob; the message names the nearest one.
    """
    names = [spec.name for spec in table]
    if name in names:
        return names.index(name)
    raise KeyError(f"no knob {name!r}{nearest_hint(name, names)}")


def nearest_hint(name: str, allowed: Sequence[str]) -> str:
    """`; did you mean 'x'?` for the closest allowed name, or the whole list when none is close."""
    close = difflib.get_close_matches(str(name), list(allowed), n=1, cutoff=0.5)
    return f"; did you mean {close[0]!r}?" if close else f"; allowed: {', '.join(allowed)}"


def default_unit(table: Table) -> np.ndarray:
    """Knob positions of the neutral patch, float32 `[d]`."""
    return np.array([spec.to_unit(spec.default) for spec in table], np.float32)


def to_physical(u: jax.Array, table: Table) -> jax.Array:
    """Knob positions `[..., d]` in [0, 1] to physical values `[..., d]`; positions outside are clipped.

    A log knob is `exp(log(low) + u * log(high / low))`, so the slope is finite at both ends, unlike
    `exp2(log2(u) / curve)`. The clip keeps its slope of 1 at exactly 0 and 1, so that a gradient can
    pull a knob off its stop.
    """
    u = clip_unit(u)
    low = np.array([spec.low for spec in table])
    span = np.array([spec.high - spec.low for spec in table])
    is_log = np.array([spec.scale == "log" for spec in table])
    log_low = np.log(np.where(is_log, low, 1.0))
    log_span = np.where(is_log, np.log(np.where(is_log, (low + span) / np.where(is_log, low, 1.0), 1.0)), 0.0)
    dtype = u.dtype
    linear = jnp.asarray(low, dtype) + jnp.asarray(span, dtype) * u
    logarithmic = jnp.exp(jnp.asarray(log_low, dtype) + jnp.asarray(log_span, dtype) * u)
    return jnp.where(jnp.asarray(is_log), logarithmic, linear)


def clip_unit(u: jax.Array) -> jax.Array:
    """Clip to [0, 1] with slope 1 on the closed interval and 0 outside (jnp.clip halves it at a tie)."""
    u = jnp.asarray(u)
    return jnp.where(u < 0.0, jnp.zeros_like(u), jnp.where(u > 1.0, jnp.ones_like(u), u))


def snap(u: jax.Array, table: Table) -> jax.Array:
    """Knob positions with the discrete knobs at their nearest choice; `[..., d]` in and out.

    The straight-through estimator (Bengio et al. 2013, arXiv 1308.3432): the value is snapped, the gradient
    is that of the clip alone. This is the only rounding of a knob in the house.
    """
    u = clip_unit(u)
    steps = np.array([max(spec.choices - 1, 1) for spec in table])
    discrete = np.array([spec.choices > 0 for spec in table])
    steps = jnp.asarray(steps, u.dtype)
    return _straight_through(u, jnp.where(jnp.asarray(discrete), jnp.round(u * steps) / steps, u))


@jax.custom_jvp
def _straight_through(u: jax.Array, snapped: jax.Array) -> jax.Array:
    """`snapped`, with the gradient of `u`."""
    del u
    return snapped


@_straight_through.defjvp
def _straight_through_jvp(primals, tangents):
    return primals[1], tangents[0]
