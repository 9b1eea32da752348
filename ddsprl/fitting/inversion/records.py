"""What an inversion is asked for and what it finds; the leading axis of every leaf is the target.

    Sounds, Knobs ─ prepare_group ─▶ TargetGroup ─ search ─▶ Inversion
                                                              ├─ verdict   finalists, and the best in detail
                                                              ├─ spread    presets far apart
                                                              ├─ course    curves and counts
                                                              ├─ cost      renders and gradients
                                                              └─ task      notes, knobs, starts

As every leaf has the target first, findings are cut and joined by one tree map.
"""

from typing import Any, NamedTuple

import jax
import numpy as np

from ddsprl.fitting.core.archive import Members
from ddsprl.fitting.core.problem import Target
from ddsprl.fitting.core.solve import Course
from ddsprl.fitting.core.streams import Streams
from synth_jax import Note


class Sounds(NamedTuple):
    """Targets of one length, m of them.

    Attributes:
        audio: each from its onset, `[m, n]`.
        note: at which each is played, fields `[m]`.
        window: gain over time of target and candidates alike, 0 where a recording was cut off, `[m, n]`.
        streams: keys by purpose, each `[m]`.
        given: positions that the caller has, `[m, k, d]`; needed by the start `given`.
    """

    audio: np.ndarray
    note: Note
    window: np.ndarray
    streams: Streams
    given: np.ndarray | None = None


class Knobs(NamedTuple):
    """What may be turned, the same for all targets, and presets made by hand.

    Attributes:
        free: 1 for knobs that may move, `[d]`.
        locked: values of the others, `[d]`.
        bank: `[b, d]`, which may be none.
    """

    free: np.ndarray
    locked: np.ndarray
    bank: np.ndarray


class Task(NamedTuple):
    """What was searched for, for B targets.

    Attributes:
        note: at which the presets were played, fields `[B]`.
        free: 1 for knobs that could move, `[B, d]`.
        start: what each search began at, by name, `[B]`.
        start_note: why that is not what was asked for, None where it is, `[B]`.
    """

    note: Note
    free: np.ndarray
    start: np.ndarray
    start_note: np.ndarray


class TargetGroup(NamedTuple):
    """Targets ready to be searched for side by side, filled up with copies of the last to the group's size G.

    Attributes:
        targets: analysed, leaves `[G, ...]`.
        starts: `[G, k, d]`.
        streams: keys by purpose, each `[G]`.
        knobs: of all.
        task: of the targets without the filling.
        library: renders spent on pages of the library, `[B]`.
    """

    targets: Target
    starts: np.ndarray
    streams: Streams
    knobs: Knobs
    task: Task
    library: np.ndarray

    @property
    def count(self) -> int:
        """Targets without the filling, B."""
        return len(self.task.start)

    def filled(self, tree: Any) -> Any:
        """Leaves `[B, ...]` filled up to the group's size, as the targets are."""
        index = np.minimum(np.arange(len(self.starts)), self.count - 1)
        return jax.tree.map(lambda x: x[index], tree)


class Verdict(NamedTuple):
    """Judgement with fresh noise keys.

    Attributes:
        finalists: snapped, with their mean losses, `[B, k, d]`: of one search distinct ones first, each part
            best first; of several pooled searches best first.
        yardstick: outside judge's value of the best, `[B]`.
        terms: its weighted loss terms, each `[B]`.
        audio: its sound, `[B, n]`.
    """

    finalists: Members
    yardstick: Any
    terms: dict[str, Any]
    audio: Any


class Cost(NamedTuple):
    """What was spent on each target, `[B]`.

    Attributes:
        renders: forward renders of the search.
        gradients: its values with their gradients.
        judgement: renders of the judgement, beside the search's.
        library: renders of pages of the library that were not there before.
    """

    renders: np.ndarray
    gradients: np.ndarray
    judgement: np.ndarray
    library: np.ndarray


class Inversion(NamedTuple):
    """What an inversion finds for B targets, NumPy's.

    Attributes:
        verdict: finalists, and the best in detail.
        spread: presets far apart, to begin anew from, snapped, `[B, k, d]`: the best, and those at which a
            search stood side by side before it went on alone; the finalists where it never did.
        course: of the search that found the best.
        cost: of all searches.
        task: what was searched for.
        interrupted: whether Ctrl-C ended the search early, `[B]`.
    """

    verdict: Verdict
    spread: np.ndarray
    course: Course
    cost: Cost
    task: Task
    interrupted: np.ndarray

    @property
    def u(self) -> np.ndarray:
        """The best preset, snapped, `[B, d]`."""
        return np.asarray(self.verdict.finalists.u[:, 0])

    @property
    def loss(self) -> np.ndarray:
        """Its loss as it sounds, mean over fresh noise keys, `[B]`."""
        return np.asarray(self.verdict.finalists.loss[:, 0])

    @property
    def audio(self) -> np.ndarray:
        """Its sound, `[B, n]`."""
        return self.verdict.audio

    @property
    def members(self) -> np.ndarray:
        """All finalists, best first, `[B, k, d]`."""
        return np.asarray(self.verdict.finalists.u)


def joined(parts: list[Inversion]) -> Inversion:
    """Several groups as one."""
    points = max(part.course.loss.shape[1] for part in parts)
    # Where a group was interrupted its curves are short: nothing got better in what it did not do.
    whole = [part._replace(course=_lengthened(part.course, points)) for part in parts]
    return jax.tree.map(lambda *x: np.concatenate(x), *whole)


def _lengthened(course: Course, points: int) -> Course:
    def held(curve: np.ndarray, to: int) -> np.ndarray:
        return np.pad(curve, ((0, 0), (0, to - curve.shape[1])), mode="edge") if curve.size else curve

    traces = {name: held(curve, points - 1) for name, curve in course.traces.items()}
    return course._replace(
        renders=held(course.renders, points), loss=held(course.loss, points), traces=traces
    )


def pooled(parts: list[Inversion]) -> Inversion:
    """Searches for the same targets as one: the best of them for every target, the finalists of all.

    Counts and costs are sums; the course is that of the best search.
    """
    if len(parts) == 1:
        return parts[0]
    # What Ctrl-C cut short has another curve, and little to offer.
    whole = [part for part in parts if part.course.loss.shape == parts[0].course.loss.shape]
    best = np.argmin([part.loss for part in whole], axis=0)
    rows = np.arange(len(best))
    chosen = jax.tree.map(lambda *x: np.stack(x)[best, rows], *whole)
    u, loss = (np.concatenate([part.verdict.finalists[i] for part in whole], axis=1) for i in range(2))
    order = np.argsort(loss, axis=1, kind="stable")
    finalists = Members(
        np.take_along_axis(u, order[..., None], axis=1),  # pyright: ignore[reportArgumentType]
        np.take_along_axis(loss, order, axis=1),  # pyright: ignore[reportArgumentType]
    )
    counts = jax.tree.map(lambda *x: np.sum(x, axis=0), *[part.course.counts for part in parts])
    spent = jax.tree.map(lambda *x: np.sum(x, axis=0), *[part.cost for part in parts])
    return chosen._replace(
        verdict=chosen.verdict._replace(finalists=finalists),
        course=chosen.course._replace(counts=counts),
        # The library's pages were made once, before the first search.
        cost=spent._replace(library=parts[0].cost.library),
        interrupted=np.any([part.interrupted for part in parts], axis=0),
    )
