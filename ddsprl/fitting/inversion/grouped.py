"""Groups of targets: made ready, searched for side by side, judged; what every batch inversion repeats.

    prepare_group ──▶ Prepared ──▶ search_group ──▶ Inversion

Preparing (library, pitches, analysis) and searching are apart, so that the next group can be made ready while
one is searched for; `ddsprl.fitting.findings` says more about such a group. A
group is always filled up to `group_size()` with copies of its last target, so that one program serves all
groups of a length; what is found for a target depends on its own key only.
"""

from collections.abc import Mapping
from functools import cache
from types import MappingProxyType
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from ddsprl.fitting.core.archive import BAD_LOSS, Members
from ddsprl.fitting.core.budget import Progress
from ddsprl.fitting.core.problem import Target
from ddsprl.fitting.core.programs import group_size
from ddsprl.fitting.core.solve import check_budget, solve
from ddsprl.fitting.core.solver import Solver
from ddsprl.fitting.inversion.inverter import FINAL_KEYS, Final, Inverter
from ddsprl.fitting.inversion.methods import Method, usable_start
from ddsprl.fitting.solvers.monitor_trace import MonitorTrace, monitor_trace
from ddsprl.fitting.solvers.registry import make_solver
from ddsprl.fitting.starts.registry import make_starts
from synth_jax import Note

# Fields of an `Inversion` that are of the search which found a target's preset.
PER_TARGET = ("u", "loss", "relaxed_loss", "yardstick", "audio", "spread", "curve")


class Inversion(NamedTuple):
    """What an inversion finds; leading axis is the target.

    Attributes:
        u: knob positions of the best preset, snapped, `[B, d]`.
        loss: its loss as the preset sounds, mean over fresh noise keys, `[B]`.
        relaxed_loss: best loss before the discrete knobs were snapped, `[B]`; of a solver, which hears
            nothing but snapped presets, the best in the search's own noise.
        yardstick: outside judge's value, mean over fresh noise keys, `[B]`.
        terms: weighted loss terms, each `[B]`.
        audio: sound of the best preset, `[B, n]`.
        members: all finalists, snapped, `[B, k, d]`: of one search distinct ones first, each part best first;
            of several pooled searches best first.
        member_loss: their losses, `[B, k]`.
        spread: presets far apart, to begin anew from, snapped, `[B, k, d]`: the best, and those at which a
            search stood side by side before it went on alone; the finalists where it never did.
        curve: best loss after each evaluation step, `[B, points]`.
        curve_renders: renders (gradients charged) spent at those, `[points]`.
        curve_snapped: whether discrete knobs were snapped then, `[points]`.
        renders: forward renders a target.
        gradients: value-and-gradient evaluations a target.
        library_renders: renders spent on the library in this call, all targets together.
        midi: notes at which the presets were played, `[B]`.
        gate_s: their gates, `[B]`.
        free: 1 for knobs that could move, `[d]`.
        names: of the knobs, in the order of `u`.
        judge_renders: renders a target for the judgement that are not among `renders`.
        interrupted: whether Ctrl-C ended the search early.
        start: what each search began at, B names.
        start_note: why that is not what was asked for, each; None where it is.
        monitor: what the monitor said during each search, B of them; None where the method has none.
        counts: what the solver counted in each search, by name, `[B]`: `failures`, evaluations that were not
            finite, and those of `ddsprl.fitting.core.solver.COUNTS` that it has.
    """

    u: np.ndarray
    loss: np.ndarray
    relaxed_loss: np.ndarray
    yardstick: np.ndarray
    terms: dict[str, np.ndarray]
    audio: np.ndarray
    members: np.ndarray
    member_loss: np.ndarray
    spread: np.ndarray
    curve: np.ndarray
    curve_renders: np.ndarray
    curve_snapped: np.ndarray
    renders: int
    gradients: int
    library_renders: int
    midi: np.ndarray
    gate_s: np.ndarray
    free: np.ndarray
    names: tuple[str, ...]
    judge_renders: int = 0
    interrupted: bool = False
    start: tuple[str, ...] = ()
    start_note: tuple[str | None, ...] = ()
    monitor: tuple[MonitorTrace | None, ...] = ()
    counts: Mapping[str, np.ndarray] = MappingProxyType({})


class Prepared(NamedTuple):
    """A group ready to be searched for; leading axis is the target, filled up to the group's size.

    Attributes:
        targets: analysed.
        starts: `[G, k, d]`.
        keys: one a target, `[G]`.
        note: of each target, without the filling.
        free: 1 for knobs that may move, `[d]`.
        locked: values of the others, `[d]`.
        library_renders: spent on pages of the library.
        start: what `starts` are, of each target without the filling.
        start_note: why that is not what was asked for, each; None where it is.
    """

    targets: Target
    starts: np.ndarray
    keys: jax.Array
    note: Note
    free: np.ndarray
    locked: np.ndarray
    library_renders: int
    start: tuple[str, ...]
    start_note: tuple[str | None, ...]


def prepare_group(
    inverter: Inverter,
    method: Method,
    audio: np.ndarray,
    note: Note,
    keys: jax.Array,
    *,
    window: np.ndarray,
    bank: np.ndarray,
    free: np.ndarray,
    locked: np.ndarray,
    given: np.ndarray | None = None,
) -> Prepared:
    """Analyse up to `group_size()` targets and find where their searches begin.

    Args:
        inverter: of their rate and length.
        method: to be used.
        audio: `[m, n]`.
        note: each field `[m]`.
        keys: one a target, `[m]`.
        window: `[m, n]`.
        bank: presets made by hand, `[b, d]`, which may be none.
        free: `[d]`.
        locked: `[d]`.
        given: positions that each target's caller has, `[m, k, d]`; needed by the start `given`.
    """
    before, count = inverter.library.renders, len(audio)
    index = np.minimum(np.arange(group_size()), count - 1)
    note = Note(*(np.asarray(x, np.float32) for x in note))
    wide_free, wide_locked = (np.broadcast_to(x, (len(index), len(x))) for x in (free, locked))
    chosen = Note(*(x[index] for x in note))
    targets = inverter.prepare(audio[index], chosen, wide_free, wide_locked, window[index])
    each = [Note(*(x[i] for x in note)) for i in range(count)]
    synth = inverter.problem.instrument
    used = [usable_start(method.start, synth, float(midi)) for midi in note.midi]
    own = [None] * count if given is None else given
    rows = zip(audio, each, keys, used, own, strict=True)
    starts = np.stack(
        [_starts(inverter, method, x, to, bank, key, name, mine) for x, to, key, (name, _), mine in rows]
    )
    spent = inverter.library.renders - before
    start, why = tuple(name for name, _ in used), tuple(reason for _, reason in used)
    return Prepared(targets, starts[index], keys[index], note, free, locked, spent, start, why)


def _starts(
    inverter: Inverter,
    method: Method,
    audio: np.ndarray,
    note: Note,
    bank: np.ndarray,
    key: jax.Array,
    start: str,
    given: np.ndarray | None,
) -> np.ndarray:
    points, _ = make_starts(
        start,
        audio,
        note,
        instrument=inverter.problem.instrument,
        count=method.starts if given is None else len(given),
        key=jax.random.split(key, 3)[0],
        library=inverter.library,
        bank=bank if len(bank) else None,
        given=given,
    )
    return points


def search_group(
    inverter: Inverter, method: Method, group: Prepared, *, budget: int, progress: Progress | None = None
) -> Inversion:
    """Search for the targets of a group and judge what was found with fresh noise keys.

    A `KeyboardInterrupt` ends the search and the best so far is judged; before there is any, it is passed on.

    Raises:
        ValueError: the budget does not pay for the starts.
    """
    found = _searched(inverter, method, group, budget, progress)
    count = len(group.note.midi)
    cut = {name: getattr(found, name)[:count] for name in (*PER_TARGET, "members", "member_loss")}
    cut |= {name: {key: x[:count] for key, x in getattr(found, name).items()} for name in ("terms", "counts")}
    return found._replace(**cut)


def _searched(
    inverter: Inverter, method: Method, group: Prepared, budget: int, progress: Progress | None
) -> Inversion:
    check_budget(budget, group.starts.shape[1])
    _, keys, judge = jax.vmap(lambda key: jax.random.split(key, 3), out_axes=1)(group.keys)
    found = solve(
        inverter.problem,
        _made(method.name),
        group.targets,
        group.starts,
        keys,
        budget=budget,
        progress=progress,
    )
    archive = Members(jnp.asarray(found.archive.u), jnp.asarray(found.archive.loss))
    judged = _inversion(inverter, group, inverter.judge(archive, group.targets, judge))
    handed = found.handed
    return judged._replace(
        spread=judged.spread if handed is None else _with_first(judged.u, taken(handed.u, handed.loss)),
        relaxed_loss=found.curve_loss[:, -1],
        curve=found.curve_loss,
        curve_renders=found.curve_renders,
        curve_snapped=np.ones(len(found.curve_renders), bool),
        renders=found.renders,
        gradients=found.gradients,
        judge_renders=(archive.u.shape[1] + 1) * FINAL_KEYS,
        interrupted=found.interrupted,
        monitor=tuple(monitor_trace(found, i) for i in range(len(group.note.midi))),
        counts={"failures": np.asarray(found.failures), **found.counts},
    )


def _with_first(best: np.ndarray, others: np.ndarray) -> np.ndarray:
    """The best `[G, d]` before others `[G, k, d]`, as many as these."""
    return np.concatenate([best[:, None], others[:, :-1]], axis=1)


def taken(members: Any, loss: Any) -> np.ndarray:
    """Members `[..., k, d]`, the first one in places that are not taken by their loss `[..., k]`."""
    members = np.asarray(members)
    return np.where((np.asarray(loss) < BAD_LOSS)[..., None], members, members[..., :1, :])


@cache
def _made(name: str) -> Solver:
    return make_solver(name)


def _inversion(inverter: Inverter, group: Prepared, final: Final) -> Inversion:
    """The judgement of what was found; curves and counts are still missing."""
    judged: Any = jax.tree.map(np.asarray, final)
    none = np.zeros(0)
    return Inversion(
        u=judged.members.u[:, 0],
        loss=judged.members.loss[:, 0],
        relaxed_loss=none,
        yardstick=judged.yardstick,
        terms=judged.terms,
        audio=judged.audio,
        members=judged.members.u,
        member_loss=judged.members.loss,
        spread=taken(judged.members.u, judged.members.loss),
        curve=none,
        curve_renders=none,
        curve_snapped=none,
        renders=0,
        gradients=0,
        library_renders=group.library_renders,
        midi=group.note.midi,
        gate_s=group.note.gate_s,
        free=group.free,
        names=tuple(spec.name for spec in inverter.problem.instrument.table),
        start=group.start,
        start_note=group.start_note,
        monitor=(None,) * len(group.note.midi),
    )


def joined(parts: list[Inversion]) -> Inversion:
    """Several groups as one; counts are those of the longest search."""
    longest = max(parts, key=lambda part: part.curve.shape[1])
    points = longest.curve.shape[1]

    def rows(name: str) -> np.ndarray:
        return np.concatenate([getattr(part, name) for part in parts])

    # Where a later group was interrupted its curve is short: nothing got better in what it did not do.
    curves = [np.pad(p.curve, ((0, 0), (0, points - p.curve.shape[1])), mode="edge") for p in parts]
    names = (*PER_TARGET, "members", "member_loss", "midi", "gate_s")
    whole = {name: rows(name) for name in names if name != "curve"} | {"curve": np.concatenate(curves)}
    return longest._replace(
        **whole,
        terms={name: np.concatenate([part.terms[name] for part in parts]) for name in longest.terms},
        counts={name: np.concatenate([part.counts[name] for part in parts]) for name in longest.counts},
        library_renders=sum(part.library_renders for part in parts),
        interrupted=any(part.interrupted for part in parts),
        start=tuple(name for part in parts for name in part.start),
        start_note=tuple(note for part in parts for note in part.start_note),
        monitor=tuple(trace for part in parts for trace in part.monitor),
    )
