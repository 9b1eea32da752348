"""The gradient steps of one iteration, on batches mixed from experience and demonstrations."""

import jax
import jax.numpy as jnp

from ddsprl.agents.ascent import Ascent
from ddsprl.agents.contract import LoopConfig, Metrics
from ddsprl.agents.replay import Replay, sample
from ddsprl.agents.sac.agent import Sac
from ddsprl.agents.sac.records import Experience, SacState
from ddsprl.agents.types import Allowed, Transition


def mixed_batch(
    key: jax.Array, replay: Replay, demos: Replay | None, *, size: int, share: float
) -> Transition:
    """`size` transitions, a fixed part of them demonstrations.

    Args:
        key: of the draws.
        replay: experience, not empty.
        demos: demonstrations, not empty; None takes all from experience.
        size: of the batch.
        share: demonstrations in it.
    """
    count = 0 if demos is None else round(share * size)
    if demos is None or count == 0:
        return sample(key, replay, size)
    own, given = jax.random.split(key)
    batches = sample(own, replay, size - count), sample(given, demos, count)
    return jax.tree.map(lambda *x: jnp.concatenate(x), *batches)


def learn(
    agent: Sac,
    key: jax.Array,
    state: SacState,
    experience: Experience,
    allowed: Allowed,
    *,
    loop: LoopConfig,
    played: Ascent | None = None,
) -> tuple[SacState, Metrics]:
    """The gradient steps that belong to one iteration; metrics are those of the last.

    Args:
        agent: networks and losses.
        key: of batches and draws.
        state: of the agent.
        experience: with at least one transition.
        allowed: what actions may be at present.
        loop: `demo_share` of a batch, and `critic_first`: gradient steps of a run after which the critics
            lead the actor, and the temperatures begin to learn. Before them the actor has a teacher to learn
            from, if any.
        played: the iteration's actions with the reward's gradient, if that is to be learnt from.
    """
    replay, demos, config = experience.replay, experience.demos, agent.config
    demo_share, critic_first = loop.demo_share, loop.critic_first

    def one(state, key):
        pick, draw, read = jax.random.split(key, 3)
        batch = mixed_batch(pick, replay, demos, size=config.batch, share=demo_share)
        lessons = None
        if config.teaching.asked and config.teaching.batch:
            lessons = mixed_batch(read, replay, demos, size=config.teaching.batch, share=demo_share)
        lead = (state.updates >= critic_first).astype(jnp.float32)
        after, metrics = agent.update(draw, state, batch, allowed, lessons=lessons, lead=lead, played=played)
        if critic_first:
            after = _untouched(state, after, state.updates < critic_first)
        return after, metrics

    state, metrics = jax.lax.scan(one, state, jax.random.split(key, config.updates_per_step))
    return state, jax.tree.map(lambda x: x[-1], metrics)


def _untouched(before: SacState, after: SacState, still: jax.Array) -> SacState:
    """The new state, where `still` with the temperatures as they were."""

    def choose(old, new):
        return jax.tree.map(lambda a, b: jnp.where(still, a, b), old, new)

    held = ("temperatures", "temperature_optimizer")
    return after._replace(**{name: choose(getattr(before, name), getattr(after, name)) for name in held})
