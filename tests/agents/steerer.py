"""Another agent than those of the registry, to show that the contract has room for it.

It keeps no ring, carries a recurrent state (a running mean of what it saw), and learns by the gradient of the
return through the environment's steps: every `HORIZON` steps it rolls out by itself from where the episodes
stand, and climbs.
"""

from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from ddsprl.agents import Agent, AgentConfig, Choice, Share, View
from ddsprl.agents.contract import Entry
from ddsprl.env import Environment
from tests.env.seeker import SEEKER

HORIZON, KEEPS = 5, 0.5


@dataclass(frozen=True, kw_only=True)
class SteererConfig(AgentConfig):
    """Settings."""

    name: str = "steerer"
    rate: float = 0.05


class Gains(NamedTuple):
    """What is learnt: how far to follow what is seen and what was seen, and the gradient steps."""

    now: jax.Array
    before: jax.Array
    updates: jax.Array


class Rollout(NamedTuple):
    """Where a rollout may begin, with what memory, and how many steps ago the last one did."""

    begun: Any
    memory: jax.Array
    steps: jax.Array


@dataclass(frozen=True)
class Steerer(Agent):
    """Goes along the last vector that is observed, `away`."""

    config: SteererConfig
    env: Environment
    n_envs: int

    @property
    def shares(self) -> tuple[str, ...]:
        return ("full_speed",)

    def init(self, key) -> Gains:
        start = 0.01 * jax.random.normal(key, (2,))
        return Gains(start[0], start[1], jnp.zeros((), jnp.int32))

    def memory(self):
        return jnp.zeros(self.env.action.size)

    def new_experience(self) -> Rollout:
        keys = jax.random.split(jax.random.key(0), self.n_envs)
        state = jax.eval_shape(jax.vmap(self.env.reset, (0, None)), keys, SEEKER.example(self.env))[1]
        blank = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), state)
        return Rollout(blank, jnp.zeros((self.n_envs, self.env.action.size)), jnp.zeros((), jnp.int32))

    def _policy(self, gains: Gains, obs, memory):
        memory = KEEPS * memory + (1 - KEEPS) * obs["away"]
        return jnp.tanh(gains.now * obs["away"] + gains.before * memory), memory

    def act(self, key, state: Gains, view: View):
        del key
        return self._policy(state, view.obs, view.memory)

    def explore(self, key, state: Gains, experience: Rollout, views: View) -> Choice:
        del key, experience
        action, memory = self._policy(state, views.obs, views.memory)
        fast = (jnp.abs(action).max(axis=-1) > 0.9).astype(jnp.float32)
        return Choice(action, {"full_speed": Share(fast, jnp.ones_like(fast))}, memory=memory)

    def remember(self, experience: Rollout, step) -> Rollout:
        steps = (experience.steps + 1) % HORIZON
        return Rollout(step.found.state.env, jnp.zeros_like(step.choice.memory), steps)

    def learn(self, key, state: Gains, experience: Rollout, step, mask):
        del mask

        def paid(gains):
            def one(begun, memory):
                obs, total = {"away": begun.episode - begun.at}, 0.0
                for _ in range(HORIZON):
                    action, memory = self._policy(gains, obs, memory)
                    found = self.env.step(key, begun, action, step.params)
                    obs, begun, total = found.obs, found.state, total + found.reward
                return total

            return jnp.mean(jax.vmap(one)(experience.begun, experience.memory))

        value, slope = jax.value_and_grad(paid, allow_int=True)(state)
        due = experience.steps == 0
        now, before = (
            jnp.where(due, x + self.config.rate * jnp.clip(g, -10.0, 10.0), x)
            for x, g in ((state.now, slope.now), (state.before, slope.before))
        )
        state = Gains(now, before, state.updates + due.astype(jnp.int32))
        return state, {"rollout_return": jnp.where(due, value, jnp.nan)}

    def work(self, state: Gains):
        return state.updates, HORIZON * self.n_envs


STEERER = Entry(
    SteererConfig,
    lambda config, env, loop, cloned: Steerer(config, env, loop.n_envs),
    {"rate": (0.0, 1.0)},
    lambda config, loop: None,
)
