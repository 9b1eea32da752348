"""Whole episodes under a policy: for evaluations, for the curriculum's promotion, and for scripted policies.

    results = evaluate(env, policy, key, params, count=64)     # one episode for each of the first 64 targets

A policy is a pure function of a key, an observation and the state; an agent leaves the state alone, a script
may look into it. An episode that ended is frozen, so its return is that of a raw episode.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from ddsprl.env.contract import Environment
from ddsprl.env.specs import Action, Observation
from ddsprl.plant import in_chunks

Policy = Callable[[jax.Array, Observation, Any], Action]
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


def episode(env: Environment, policy: Policy, key: jax.Array, params: Any, index: jax.Array) -> Results:
    """One episode with the task at `index`; pure, batch with `vmap`."""
    start_key, act_key = jax.random.split(key)
    obs, state = env.reset_at(start_key, params, index)
    first = env.score(state)

    def advance(carry, key):
        obs, state, ended, total, solved = carry
        policy_key, step_key = jax.random.split(key)
        found = env.step(step_key, state, policy(policy_key, obs, state), params)
        frozen = found.state._replace(episode=state.episode)
        keep = jax.tree.map(
            lambda new, old: jnp.where(ended, old, new),
            (found.obs, frozen._replace(episode=None)),
            (obs, state._replace(episode=None)),
        )
        total = total + jnp.where(ended, 0.0, found.reward)
        solved = solved | (~ended & env.score(found.state).solved)
        ended = ended | found.terminated | found.truncated
        return (keep[0], keep[1]._replace(episode=state.episode), ended, total, solved), None

    no = jnp.zeros((), bool)
    carry = (obs, state, no, jnp.zeros_like(first.loss), no)
    keys = jax.random.split(act_key, env.steps)
    (_, last, _, total, solved), _ = jax.lax.scan(advance, carry, keys)
    score = env.score(last)
    return Results(total, first.loss, score.best, score.loss, solved, last.t, last)


def evaluate(env: Environment, policy: Policy, key: jax.Array, params: Any, *, count: int) -> Results:
    """Episodes for the first `count` tasks, one each, `[count]`; jit outside.

    Args:
        env: the environment.
        policy: pure.
        key: feeds the noise and the policy.
        params: with tasks that nobody was trained on.
        count: episodes.
    """
    keys = jax.random.split(key, count)
    return in_chunks(lambda k, index: episode(env, policy, k, params, index), CHUNK, keys, jnp.arange(count))
