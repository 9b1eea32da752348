"""The driver: any solver, one target, a budget spent to the last render.

    starts ─ score ─▶ init ─▶ [ ask ─▶ score, differentiate ─▶ tell ]* ─▶ finalists heard again ─▶ Outcome

On a software plant the loop is compiled, a segment of iterations at a time, so that progress can be shown, a
run can be stopped, and every budget uses the same program. A search of several legs (`budget.py`) has a
program for each, and goes on from the archive. Everything is evaluated as a preset sounds (discrete knobs
snapped; their gradient is straight through) and with one noise key, so that losses compare; a leg may ask for
fresh noise at every iteration, and then begins with an archive of its own.

What is left at the end and does not pay for an iteration is spent on hearing the finalists with other noise
keys: a budget of N renders is N renders.
"""

from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

import jax
import jax.numpy as jnp

from ddsprl.fitting.core.archive import BAD_LOSS, Members, empty_members, keep_distinct
from ddsprl.fitting.core.budget import Stretch
from ddsprl.fitting.core.solver import Answer, Query, Solver, Space, Start, hears_fresh_noise
from ddsprl.fitting.core.streams import named

FINALISTS = 8
SEGMENT = 32


class Plantlike(Protocol):
    """What the driver needs of a problem; `ddsprl.fitting.core.problem.Problem` is one."""

    def space(self, target: Any) -> Space:
        """The knobs as a solver sees them."""
        ...

    def snap(self, u: jax.Array) -> jax.Array:
        """Positions `[..., d]` with discrete knobs at their nearest choice."""
        ...

    def scores(self, u: jax.Array, target: Any, key: jax.Array) -> jax.Array:
        """Losses of positions `[m, d]`, `[m]`."""
        ...

    def gradients(self, u: jax.Array, target: Any, key: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Losses `[m]` and gradients `[m, d]`."""
        ...


class Run(NamedTuple):
    """A search under way, for one target; a pytree.

    Attributes:
        state: of the solver.
        archive: the best distinct presets met so far, snapped, best first, `FINALISTS` of them.
        failures: evaluations that were not finite, scalar.
        iteration: iterations done, scalar.
    """

    state: Any
    archive: Members
    failures: jax.Array
    iteration: jax.Array


class Keys(NamedTuple):
    """Randomness of one run.

    Attributes:
        noise: of the plant, the same for every candidate unless a leg asks for fresh noise.
        solver: of everything that the solver draws.
        judge: of the plant when finalists are heard again.
    """

    noise: jax.Array
    solver: jax.Array
    judge: jax.Array


class Segment(NamedTuple):
    """Curves of some iterations; rows from `count` on are not written.

    Attributes:
        best: best loss so far, `[SEGMENT]`.
        trace: of the solver, leaves `[SEGMENT]`.
    """

    best: jax.Array
    trace: dict[str, jax.Array]


def keys_of(key: jax.Array) -> Keys:
    """All the randomness of a run from one key."""
    return Keys(*named(key, *Keys._fields))


def begin(problem: Plantlike, solver: Solver, target: Any, starts: jax.Array, keys: Keys) -> Run:
    """Score the starting points `[k, d]` (k renders) and make the solver's first state."""
    space = problem.space(target)
    starts = problem.snap(space.admit(starts))
    return first_run(solver, starts, problem.scores(starts, target, keys.noise), space, keys)


def first_run(solver: Solver, starts: jax.Array, raw: jax.Array, space: Space, keys: Keys) -> Run:
    """The run that begins at presets `[k, d]` with measured losses `[k]`."""
    loss = _finite(raw)
    order = jnp.argsort(loss)
    start = Start(starts[order], loss[order])
    state = solver.init(jax.random.fold_in(keys.solver, 0), start, space)
    zero = jnp.zeros((), jnp.int32)
    return Run(state, with_heard(empty_archive(starts.shape[1]), start.u, start.loss), _failures(raw), zero)


def handed_over(solver: Solver, run: Run, space: Space, keys: Keys) -> Run:
    """The run as another solver goes on with it, from the archive.

    Losses under the shared noise key, which the search has fitted, and under fresh ones do not compare: where
    the solver hears fresh noise, what was found before counts again only when it is heard again.
    """
    key = jax.random.fold_in(jax.random.fold_in(keys.solver, 0), run.iteration)
    state = solver.init(key, Start(*run.archive), space)
    archive = empty_archive(run.archive.u.shape[1]) if hears_fresh_noise(solver) else run.archive
    return run._replace(state=state, archive=archive)


def advance(
    problem: Plantlike,
    solver: Solver,
    run: Run,
    target: Any,
    keys: Keys,
    count: jax.Array,
    stretch: Stretch,
) -> tuple[Run, Segment]:
    """Do `count` iterations (at most `SEGMENT`) of a leg."""
    trace = jax.eval_shape(solver.trace, run.state)
    blank = Segment(
        jnp.full((SEGMENT,), jnp.nan, run.archive.loss.dtype),
        jax.tree.map(lambda x: jnp.zeros((SEGMENT, *x.shape), x.dtype), trace),
    )

    def body(i: jax.Array, carry: tuple[Run, Segment]) -> tuple[Run, Segment]:
        run, curves = carry
        run = iterate(problem, solver, run, target, keys, stretch)
        rows = Segment(run.archive.loss[0], solver.trace(run.state))
        return run, jax.tree.map(lambda curve, row: curve.at[i].set(row), curves, rows)

    return jax.lax.fori_loop(0, count, body, (run, blank))


def iterate(problem: Plantlike, solver: Solver, run: Run, target: Any, keys: Keys, stretch: Stretch) -> Run:
    """One turn of the loop: ask, evaluate, tell."""
    query, run = asked(solver, run, keys, stretch)
    fresh = hears_fresh_noise(solver)
    noise = jax.random.fold_in(keys.noise, run.iteration) if fresh else keys.noise
    heard, answer = answer_query(problem, query, target, noise)
    return told(solver, run, query, heard, answer, keys)


def asked(solver: Solver, run: Run, keys: Keys, stretch: Stretch) -> tuple[Query, Run]:
    """What the solver wants to know next."""
    key, _ = _turn(run, keys)
    done = (run.iteration - stretch.first) / jnp.maximum(stretch.iterations, 1)
    progress = stretch.since + (stretch.until - stretch.since) * done
    query, state = solver.ask(key, run.state, progress)
    return query, run._replace(state=state)


def told(solver: Solver, run: Run, query: Query, heard: Query, answer: Answer, keys: Keys) -> Run:
    """The run after the answer to a query; `heard` are the presets that were evaluated for it."""
    _, key = _turn(run, keys)
    state = solver.tell(key, run.state, query, answer)
    archive = with_heard(
        run.archive,
        jnp.concatenate([heard.score, heard.slope]),
        jnp.concatenate([answer.score, answer.loss]),
    )
    # A loss counts as what it is; without a slope, the evaluation has failed all the same.
    sloped = jnp.where(jnp.all(jnp.isfinite(answer.slope), axis=1), answer.loss, BAD_LOSS)
    failures = _failures(jnp.concatenate([answer.score, sloped]))
    return Run(state, archive, run.failures + failures, run.iteration + 1)


def presets_of(query: Query, space: Space, snap: Callable[[jax.Array], jax.Array]) -> Query:
    """A query as it is heard: within bounds, locked knobs in place, discrete knobs snapped."""
    return Query(*(snap(space.admit(u)) for u in query))


def answer_query(problem: Plantlike, query: Query, target: Any, key: jax.Array) -> tuple[Query, Answer]:
    """Evaluate a query; also returns the presets that were heard."""
    space = problem.space(target)
    heard = presets_of(query, space, problem.snap)
    none = jnp.zeros((0,), query.score.dtype)
    score = problem.scores(heard.score, target, key) if query.score.shape[0] else none
    loss, slope = none, query.slope
    if query.slope.shape[0]:
        loss, slope = problem.gradients(heard.slope, target, key)
        slope = jnp.where(space.free > 0, slope, 0.0)
    return heard, Answer(score, loss, slope)


def hear_again(
    problem: Plantlike, run: Run, target: Any, keys: Keys, left: jax.Array, *, most: int
) -> Members:
    """Spend `left` renders (at most `most`, static) on the finalists with other noise keys; best first."""
    archive = run.archive
    if most == 0:
        return archive
    turns = [jax.random.fold_in(keys.judge, t) for t in range(-(-most // FINALISTS))]
    loss = jnp.concatenate([problem.scores(archive.u, target, key) for key in turns])
    return averaged(archive, loss[:most], left)


def averaged(archive: Members, loss: jax.Array, left: jax.Array) -> Members:
    """Finalists ranked by their mean over all hearings.

    Args:
        archive: the finalists.
        loss: further ones, of finalist 0, 1, ..., `FINALISTS` - 1, 0, ... in turn, `[most]`.
        left: how many of these count.
    """
    place = jnp.arange(loss.shape[0])
    rank = place % FINALISTS
    counted = (place < left) & (archive.loss[rank] < BAD_LOSS)
    heard = jnp.where(counted, _finite(loss), 0.0)
    none = jnp.zeros_like(archive.loss)
    total, count = none.at[rank].add(heard), none.at[rank].add(counted)
    # A finalist was chosen for its first loss, which is therefore lucky. One that was heard less often than
    # the others is credited with what luck was worth to them, or it would win by being unheard.
    luck = jnp.sum(heard - jnp.where(counted, archive.loss[rank], 0.0)) / jnp.maximum(jnp.sum(count), 1.0)
    most = jnp.max(count)
    total = archive.loss + total + (most - count) * (archive.loss + luck)
    mean = jnp.where(archive.loss < BAD_LOSS, total / (1.0 + most), archive.loss)
    order = jnp.argsort(mean)
    return Members(archive.u[order], mean[order])


def empty_archive(d: int) -> Members:
    """An archive of presets `[FINALISTS, d]`, none of them taken."""
    return empty_members(FINALISTS, d)


def with_heard(archive: Members, u: jax.Array, loss: jax.Array) -> Members:
    """The archive after some more presets `[m, d]` were heard, with losses `[m]` as measured."""
    pool = Members(jnp.concatenate([archive.u, u]), jnp.concatenate([archive.loss, _finite(loss)]))
    return keep_distinct(pool, FINALISTS)


def _turn(run: Run, keys: Keys) -> tuple[jax.Array, jax.Array]:
    """Keys for asking and telling in this iteration."""
    asking, telling = jax.random.split(jax.random.fold_in(keys.solver, run.iteration + 1))
    return asking, telling


def _finite(loss: jax.Array) -> jax.Array:
    return jnp.where(jnp.isfinite(loss), jnp.minimum(loss, BAD_LOSS), BAD_LOSS)


def _failures(loss: jax.Array) -> jax.Array:
    return jnp.sum(~jnp.isfinite(loss) | (loss >= BAD_LOSS)).astype(jnp.int32)
