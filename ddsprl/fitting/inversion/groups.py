"""Groups of targets: made ready, searched for side by side, judged; what every batch inversion repeats.

    prepare_group ──▶ TargetGroup ──▶ search_group ──▶ Inversion

Preparing (library, pitches, analysis) and searching are apart, so that the next group can be made ready while
one is searched for; `ddsprl.fitting.findings` says more about such a group. A group is always filled up to
`group_size()` with copies of its last target, so that one program serves all groups of a length; what is
found for a target depends on its own key only.
"""

from functools import cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ddsprl.fitting.core.archive import BAD_LOSS, Members
from ddsprl.fitting.core.budget import Progress
from ddsprl.fitting.core.programs import group_size
from ddsprl.fitting.core.solve import check_budget, solve
from ddsprl.fitting.core.solver import Solver
from ddsprl.fitting.inversion.inverter import FINAL_KEYS, Inverter
from ddsprl.fitting.inversion.methods import Method, usable_start
from ddsprl.fitting.inversion.records import Cost, Inversion, Knobs, Sounds, TargetGroup, Task
from ddsprl.fitting.solvers.registry import make_solver
from ddsprl.fitting.starts.registry import StartRequest, make_starts
from synth_jax import Note


def prepare_group(inverter: Inverter, method: Method, sounds: Sounds, knobs: Knobs) -> TargetGroup:
    """Analyse up to `group_size()` targets and find where their searches begin.

    Args:
        inverter: of their rate and length.
        method: to be used.
        sounds: the targets.
        knobs: of all.
    """
    count, synth = len(sounds.audio), inverter.problem.instrument
    index = np.minimum(np.arange(group_size()), count - 1)
    note = Note(*(np.asarray(x, np.float32) for x in sounds.note))
    free, locked = (np.broadcast_to(x, (len(index), len(x))) for x in (knobs.free, knobs.locked))
    chosen = Note(*(x[index] for x in note))
    targets = inverter.prepare(sounds.audio[index], chosen, free, locked, sounds.window[index])
    used = [usable_start(method.start, synth, float(midi)) for midi in note.midi]
    starts, library = [], []
    for i in range(count):
        before = inverter.library.renders
        starts.append(_starts(inverter, method, sounds, knobs, i, used[i][0]))
        library.append(inverter.library.renders - before)
    task = Task(
        note, np.broadcast_to(knobs.free, (count, len(knobs.free))), *map(texts, zip(*used, strict=True))
    )
    streams = jax.tree.map(lambda x: x[index], sounds.streams)
    return TargetGroup(targets, np.stack(starts)[index], streams, knobs, task, np.array(library))


def texts(values: Any) -> np.ndarray:
    """Texts, of which some may be None, as an array that a tree map can cut and join."""
    array = np.empty(len(values), object)
    array[:] = list(values)
    return array


def _starts(
    inverter: Inverter, method: Method, sounds: Sounds, knobs: Knobs, i: int, start: str
) -> np.ndarray:
    """Where the search for a target begins, `[k, d]`."""
    given = None if sounds.given is None else sounds.given[i]
    request = StartRequest(
        instrument=inverter.problem.instrument,
        audio=sounds.audio[i],
        note=Note(*(np.float32(x[i]) for x in sounds.note)),
        count=method.starts if given is None else len(given),
        key=sounds.streams.start[i],
        library=inverter.library,
        bank=knobs.bank if len(knobs.bank) else None,
        given=given,
    )
    return make_starts(start, request)[0]


def search_group(
    inverter: Inverter, method: Method, group: TargetGroup, *, budget: int, progress: Progress | None = None
) -> Inversion:
    """Search for the targets of a group and judge what was found with fresh noise keys.

    A `KeyboardInterrupt` ends the search and the best so far is judged; before there is any, it is passed on.

    Raises:
        ValueError: the budget does not pay for the starts.
    """
    check_budget(budget, group.starts.shape[1])
    problem, solver, keys = inverter.problem, _made(method.name), group.streams.search
    found = solve(problem, solver, group.targets, group.starts, keys, budget=budget, progress=progress)
    archive = Members(jnp.asarray(found.archive.u), jnp.asarray(found.archive.loss))
    verdict: Any = jax.tree.map(np.asarray, inverter.judge(archive, group.targets, group.streams.judge))
    finalists, handed = verdict.finalists, found.handed
    spread = taken(*finalists)
    if handed is not None:
        # The best before the others, as many as these.
        spread = np.concatenate([finalists.u[:, :1], taken(*handed)[:, :-1]], axis=1)
    judged = (archive.u.shape[1] + 1) * FINAL_KEYS
    renders, gradients, judgement = (
        np.full(group.count, x) for x in (found.renders, found.gradients, judged)
    )
    whole = Inversion(
        verdict=verdict,
        spread=spread,
        course=found.course,
        cost=Cost(renders, gradients, judgement, group.library),
        task=group.task,
        interrupted=np.full(group.count, found.interrupted),
    )
    # What fills up the group is no finding.
    return jax.tree.map(lambda x: x[: group.count], whole)


def taken(members: Any, loss: Any) -> np.ndarray:
    """Members `[..., k, d]`, the first one in places that are not taken by their loss `[..., k]`."""
    members = np.asarray(members)
    return np.where((np.asarray(loss) < BAD_LOSS)[..., None], members, members[..., :1, :])


@cache
def _made(name: str) -> Solver:
    return make_solver(name)
