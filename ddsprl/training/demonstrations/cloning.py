"""Behaviour cloning: an actor that does what a demonstrator did, before it learns by itself.

The loss is that of `ddsprl.agents.imitation`, on demonstrations that were recorded before. The critics and
all optimizers of the agent stay as they were.
"""

import functools
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from ddsprl.agents import Allowed, Seen
from ddsprl.agents.contract import Imitator
from ddsprl.agents.imitation import Score, score
from ddsprl.agents.replay import Rows, restored
from ddsprl.agents.types import Labels, Params
from ddsprl.io import UserError
from ddsprl.plant import in_chunks
from ddsprl.training.demonstrations.recording import Demonstrations

# The held-out loss is looked at so many times on the way; the best actor of these is kept.
LOOKS = 10
GRADIENT_NORM = 10.0
_CHUNK = 64


class Examples(NamedTuple):
    """Observations and choices; leaves `[n, ...]`.

    Attributes:
        rest: float32 `[r]`.
        target: as a replay stores it, uint8 `[bands, frames]`, or None.
        away: likewise, int8.
        labels: the demonstrator's choices.
    """

    rest: jax.Array
    target: jax.Array | None
    away: jax.Array | None
    labels: Labels

    @property
    def seen(self) -> Seen:
        """The observations; leading axes are kept."""
        return restored(self.rest, self.target, self.away)


def mean_score(
    agent: Imitator,
    actor: Params,
    examples: Examples,
    allowed: Allowed,
    *,
    every_module: bool = False,
    chunk: int | None = None,
) -> Score:
    """Mean over examples `[n, ...]`, at most `chunk` of them computed together; scalars."""

    def one(example: Examples) -> Score:
        policy = agent.policy(actor, example.seen, allowed)
        return score(policy, example.labels, agent.actions, allowed, every_module=every_module)

    found = jax.vmap(one)(examples) if chunk is None else in_chunks(one, chunk, examples)
    return jax.tree.map(jnp.mean, found)


def split(demos: Demonstrations, held_out: float) -> tuple[Examples, Examples]:
    """Examples to learn from and to judge by; whole episodes, the last ones, are held out.

    Raises:
        UserError: fewer than two episodes, of which one must be left on either side.
    """
    episodes = demos.about.episodes
    if episodes < 2:
        raise UserError(f"demonstrations: {episodes} episode; cloning holds some out and needs 2 or more")
    kept = episodes - min(max(1, round(held_out * episodes)), episodes - 1)
    rows: Rows = demos.rows
    whole = Examples(rows.rest, rows.target, rows.away, demos.labels)
    border = int(np.searchsorted(demos.episode, kept))
    train = jax.tree.map(lambda x: jnp.asarray(x[:border]), whole)
    return train, jax.tree.map(lambda x: jnp.asarray(x[border:]), whole)


@dataclass(frozen=True)
class Lessons:
    """How cloning goes; hashable.

    Attributes:
        steps: gradient steps.
        batch: examples of each.
        rate: learning rate of Adam, falling to a tenth along a cosine.
        held_out: share of the episodes that are not learnt from.
        every_module: see `score`.
    """

    steps: int
    batch: int
    rate: float
    held_out: float = 0.1
    every_module: bool = False


def clone(
    agent: Imitator, state: Any, demos: Demonstrations, key: jax.Array, *, allowed: Allowed, lessons: Lessons
) -> tuple[Any, dict[str, jax.Array]]:
    """An agent whose actor imitates demonstrations.

    Of the actors at every tenth of the steps, and of the one at the beginning, the one with the lowest
    held-out loss is kept. Pure in `state` and `key`, so that agents may be cloned side by side with `vmap`.

    Args:
        agent: static.
        state: of the agent; only its actor changes.
        demos: two episodes or more.
        key: of the batches.
        allowed: what actions may be.
        lessons: how many, and how.

    Returns:
        The agent and scalars: `first_nll`, `nll` and the other parts of `Score` of the actor that is kept,
        on the held-out episodes; `train_nll` of the last batches; `kept_at`, its gradient steps.

    Raises:
        UserError: too few episodes, or observations of other shapes than the agent's.
    """
    if demos.rows.rest.shape[1:] != (agent.seen.rest,):
        have, want = demos.rows.rest.shape[1:], (agent.seen.rest,)
        raise UserError(f"demonstrations: rest has shape {have}, the agent expects {want}")
    train, test = split(demos, lessons.held_out)
    run = _program(agent, lessons.steps, lessons.batch, lessons.every_module)
    actor, metrics = run(state.actor, train, test, key, allowed, jnp.asarray(lessons.rate, jnp.float32))
    return state._replace(actor=actor), metrics


class _Course(NamedTuple):
    """Cloning under way.

    Attributes:
        actor: parameters.
        optimizer: optax state.
        best: parameters with the lowest held-out loss.
        score: of these.
        kept_at: their gradient steps.
    """

    actor: Params
    optimizer: Any
    best: Params
    score: Score
    kept_at: jax.Array


@functools.lru_cache(maxsize=8)
def _program(agent: Imitator, steps: int, batch: int, every_module: bool) -> Any:
    """Compiled once for an agent, the steps and the shapes of the examples."""
    learnt = functools.partial(mean_score, agent, every_module=every_module)
    judged = functools.partial(learnt, chunk=_CHUNK)

    @jax.jit
    def run(actor, train, test, key, allowed, rate):
        change_of = _optimizer(rate, steps)

        def step(carry, key):
            actor, memory = carry
            where = jax.random.randint(key, (batch,), 0, train.rest.shape[0])
            chosen = jax.tree.map(lambda x: x[where], train)
            loss, slope = jax.value_and_grad(lambda a: learnt(a, chosen, allowed).nll)(actor)
            change, memory = change_of.update(slope, memory, actor)
            return (optax.apply_updates(actor, change), memory), loss

        def part(course, given):
            keys, done = given
            (actor, memory), losses = jax.lax.scan(step, (course.actor, course.optimizer), keys)
            found = judged(actor, test, allowed)
            better = found.nll < course.score.nll
            new, old = (actor, found, done), (course.best, course.score, course.kept_at)
            kept = jax.tree.map(lambda a, b: jnp.where(better, a, b), new, old)
            return _Course(actor, memory, *kept), jnp.mean(losses)

        first = judged(actor, test, allowed)
        course = _Course(actor, change_of.init(actor), actor, first, jnp.zeros((), jnp.int32))
        looks = min(LOOKS, steps)
        if looks == 0:
            return actor, _metrics(first, first, jnp.nan, course.kept_at)
        keys = jax.random.split(key, steps)
        # The steps that do not divide evenly come before the others.
        odd, size = steps % looks, steps // looks
        if odd:
            course, _ = part(course, (keys[:odd], jnp.asarray(odd, jnp.int32)))
        done = odd + size * jnp.arange(1, looks + 1, dtype=jnp.int32)
        course, losses = jax.lax.scan(part, course, (keys[odd:].reshape(looks, size), done))
        return course.best, _metrics(course.score, first, losses[-1], course.kept_at)

    return run


def _optimizer(rate: jax.Array, steps: int) -> optax.GradientTransformation:
    fall = optax.cosine_decay_schedule(1.0, max(steps, 1), alpha=0.1)
    clip = optax.clip_by_global_norm(GRADIENT_NORM)
    return optax.chain(clip, optax.adam(lambda count: rate * fall(count)))


def _metrics(kept: Score, first: Score, train_nll: Any, kept_at: jax.Array) -> dict[str, jax.Array]:
    return kept._asdict() | {"first_nll": first.nll, "train_nll": jnp.asarray(train_nll), "kept_at": kept_at}
