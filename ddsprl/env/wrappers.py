"""Many episodes side by side, with automatic reset.

    many = AutoReset(env, n_envs=64)
    obs, state = many.reset(key, params)
    obs, state, reward, terminated, truncated, info = many.step(key, state, action, params)

An episode that ended is followed, within the same step, by a new one with a fresh target: `obs` is the new
episode's first observation, `info["final_obs"]` the last one of the old. Only what ended is rendered anew, a
few at a time, so a step in which nothing ends costs nothing extra. Gradients flow through the step and stop
where an episode begins.
"""

from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from ddsprl.env.contract import Environment, State, Timestep
from ddsprl.env.specs import Action, Observation
from ddsprl.plant import in_chunks

# New episodes made together, as a part of all: about as many as end at a step when they end one by one.
_RESET_SHARE, _FEWEST_RESETS = 1 / 32, 2
# Episodes stepped together on a CPU, whose caches a larger batch leaves.
CPU_CHUNK = 64


def default_chunk() -> int | None:
    """Episodes to step together on this machine: all of them on an accelerator."""
    return CPU_CHUNK if jax.default_backend() == "cpu" else None


class ManyState(NamedTuple):
    """Many episodes.

    Attributes:
        env: their states, leaves `[n, ...]`.
        returns: `[n]`, sum of the rewards of each running episode.
        lengths: int `[n]`, its steps.
    """

    env: State
    returns: jax.Array
    lengths: jax.Array


@dataclass(frozen=True)
class AutoReset:
    """`n_envs` episodes with automatic reset.

    Attributes:
        env: the environment.
        n_envs: episodes side by side.
        chunk: most episodes stepped together; the rest wait their turn (see `plant.in_chunks`). None steps
            all at once.
        cut: probability that a step is an episode's last, as if by the time limit. With it episodes are
            shorter and more targets are heard, while late states are still met.
    """

    env: Environment
    n_envs: int
    chunk: int | None = None
    cut: float = 0.0

    def reset(self, key: jax.Array, params: Any) -> tuple[Observation, ManyState]:
        """As many new episodes."""
        keys = jax.random.split(key, self.n_envs)
        obs, state = in_chunks(lambda k: self.env.reset(k, params), self.chunk or self.n_envs, keys)
        return obs, ManyState(state, jnp.zeros(self.n_envs), jnp.zeros(self.n_envs, jnp.int32))

    def step(self, key: jax.Array, state: ManyState, action: Action, params: Any) -> Timestep:
        """One edit in every episode.

        Args:
            key: feeds the new episodes, and the cuts.
            state: from `reset` or `step`.
            action: leaves `[n, ...]`.
            params: shared by all.

        Returns:
            As the raw step, with leading axes. `info` has besides `final_obs`, `final`, `final_score`,
            `episode_return` and `episode_length`: of every row, to be read where the row ended.
        """
        found = self._raw(key, state.env, action, params)
        returns, lengths = state.returns + found.reward, state.lengths + 1
        if self.cut > 0:
            cut = jax.random.bernoulli(jax.random.fold_in(key, 2), self.cut, (self.n_envs,))
            found = found._replace(truncated=found.truncated | (cut & ~found.terminated))
        done = found.terminated | found.truncated
        obs, after = self._renew(key, done, found, params)
        extra = {
            "final_obs": found.obs,
            "final": jax.vmap(self.env.final)(found.state),
            "final_score": jax.vmap(self.env.score)(found.state),
            "episode_return": returns,
            "episode_length": lengths,
        }
        kept = ManyState(after, jnp.where(done, 0.0, returns), jnp.where(done, 0, lengths))
        return found._replace(obs=obs, state=kept, info=found.info | extra)

    def _raw(self, key: jax.Array, state: State, action: Action, params: Any) -> Timestep:
        """The raw step of all, without copying what does not change."""

        def one(state, action):
            found = self.env.step(key, state, action, params)
            return found._replace(state=found.state._replace(episode=None))

        if self.chunk is None or self.chunk >= self.n_envs:
            found = jax.vmap(one)(state, action)
        else:
            found = in_chunks(one, self.chunk, state, action)
        return found._replace(state=found.state._replace(episode=state.episode))

    def _renew(
        self, key: jax.Array, done: jax.Array, found: Timestep, params: Any
    ) -> tuple[Observation, Any]:
        """Observations and states with the ended episodes replaced."""
        params, current = jax.lax.stop_gradient((params, (found.obs, found.state)))
        episode, fresh = self._fresh(key, done, current, params)

        def choose(new, old):
            return jnp.where(jnp.reshape(done, (-1,) + (1,) * (old.ndim - 1)), new, old)

        moving = found.state._replace(episode=None)
        obs, state = jax.tree.map(choose, fresh, (found.obs, moving))
        return obs, state._replace(episode=episode)

    def _fresh(
        self, key: jax.Array, done: jax.Array, current: tuple[Observation, Any], params: Any
    ) -> tuple[Any, tuple[Observation, Any]]:
        """New episodes in the rows that ended, a chunk at a time; other rows stay.

        The episodes are written in place: they are by far the largest part of the state.
        """
        n = self.n_envs
        chunk = min(n, max(_FEWEST_RESETS, round(_RESET_SHARE * n)))
        count = jnp.sum(done)
        order = jnp.concatenate([jnp.argsort(~done, stable=True), jnp.full(chunk, n)])
        # Not the stream of `reset`: whoever gives both the same key still gets other episodes.
        keys = jax.random.split(jax.random.fold_in(key, 1), n)

        def more(carry):
            return carry[0] < count

        def renew(carry):
            first, *rest = carry
            rows = jax.lax.dynamic_slice(order, (first,), (chunk,))
            # A row beyond the last is dropped on writing.
            rows = jnp.where(first + jnp.arange(chunk) < count, rows, n)
            obs, state = jax.vmap(lambda k: self.env.reset(k, params))(keys[rows])
            new = [state.episode, (obs, state._replace(episode=None))]
            rest = jax.tree.map(lambda old, x: old.at[rows].set(x, mode="drop"), rest, new)
            return first + chunk, *rest

        obs, state = current
        begin = (jnp.zeros((), count.dtype), state.episode, (obs, state._replace(episode=None)))
        _, episode, fresh = jax.lax.while_loop(more, renew, begin)
        return episode, fresh
