"""Whole episodes under a policy: for evaluations, for the curriculum's promotion, and for scripted policies.

    results = evaluate(env, policy, key, params, count=64)     # one episode for each of the first 64 targets

A policy is a pure function of a key, an observation and the state; an agent leaves the state alone, a script
may look into it. With a memory it takes what it carries as a fourth argument and gives it back beside the
action. An episode that ended is frozen, so its return is that of a raw episode.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from ddsprl.env.contract import Environment
from ddsprl.plant import in_chunks

# From key, observation and state to an action; with a memory, from these and the memory to both.
Policy = Callable[..., Any]
# Episodes side by side.
CHUNK = 64


class Results(NamedTuple):
    """Episodes; leaves with a leading axis, or scalars for one.

    Attributes:
        returns: sum of rewards.
        first_loss: of the start.
        best_loss: of the best point.
        last_loss: of the last point.
        solved: bool, whether the task was solved at some step.
        length: int, steps until it ended.
        state: the last state.
    """

    returns: jax.Array
    first_loss: jax.Array
    best_loss: jax.Array
    last_loss: jax.Array
    solved: jax.Array
    length: jax.Array
    state: Any


def episode(
    env: Environment, policy: Policy, key: jax.Array, params: Any, index: jax.Array, *, memory: Any = None
) -> Results:
    """One episode with the task at `index`; pure, batch with `vmap`. See `evaluate`."""
    start_key, act_key = jax.random.split(key)
    obs, state = env.reset_at(start_key, params, index)
    first = env.score(state)

    def chosen(key, obs, state, memory):
        return (policy(key, obs, state), None) if memory is None else policy(key, obs, state, memory)

    def advance(carry, key):
        obs, state, memory, ended, total, solved = carry
        policy_key, step_key = jax.random.split(key)
        action, memory = chosen(policy_key, obs, state, memory)
        found = env.step(step_key, state, action, params)
        frozen = found.state._replace(episode=state.episode)
        keep = jax.tree.map(
            lambda new, old: jnp.where(ended, old, new),
            (found.obs, frozen._replace(episode=None)),
            (obs, state._replace(episode=None)),
        )
        total = total + jnp.where(ended, 0.0, found.reward)
        solved = solved | (~ended & env.score(found.state).solved)
        ended = ended | found.terminated | found.truncated
        return (keep[0], keep[1]._replace(episode=state.episode), memory, ended, total, solved), None

    no = jnp.zeros((), bool)
    carry = (obs, state, memory, no, jnp.zeros_like(first.loss), no)
    keys = jax.random.split(act_key, env.steps)
    (_, last, _, _, total, solved), _ = jax.lax.scan(advance, carry, keys)
    score = env.score(last)
    return Results(total, first.loss, score.best, score.loss, solved, last.t, last)


def evaluate(
    env: Environment, policy: Policy, key: jax.Array, params: Any, *, count: int, memory: Any = None
) -> Results:
    """Episodes for the first `count` tasks, one each, `[count]`; jit outside.

    Args:
        env: the environment.
        policy: pure.
        key: feeds the noise and the policy.
        params: with tasks that nobody was trained on.
        count: episodes.
        memory: what the policy carries from step to step, at the beginning of an episode; None for nothing.
    """
    return episodes(env, policy, jax.random.split(key, count), params, memory=memory)


def episodes(
    env: Environment, policy: Policy, keys: jax.Array, params: Any, *, memory: Any = None
) -> Results:
    """Episodes for the first tasks, one for each key `[n]`, whose own it is; see `evaluate`."""

    def one(key, index):
        return episode(env, policy, key, params, index, memory=memory)

    return in_chunks(one, CHUNK, keys, jnp.arange(len(keys)))
