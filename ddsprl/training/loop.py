"""The training loop on the device: act, step, remember, learn, count; one compiled call is a chunk of that.

    training = Training(config, env, agent)
    loop = training.init(keys [S], params)               # params: of every seed, leaves [S, ...]
    loop, metrics = training.advance(loop, params)       # consumes `loop`

Between two calls nothing on the device is touched but by the host's reading of the tally and, now and then,
an evaluation. Every iteration draws from `loop.key` alone, so a stored loop goes on as if never stopped.
Environment and agent are known by their contracts only.
"""

import functools
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp

from ddsprl.agents import AGENTS, Agent, Choice, Step, View
from ddsprl.agents.contract import Metrics
from ddsprl.agents.playing import policy_of
from ddsprl.env import Action, AutoReset, Environment, ManyState, Results, Timestep, default_chunk, evaluate
from ddsprl.training.config import RunConfig
from ddsprl.training.records import Loop, new_tally
from ddsprl.training.snapshots import no_extremes, update_extremes


def make_agent(config: RunConfig, env: Environment) -> Agent:
    """The agent of a run.

    Raises:
        ValueError: it needs what the environment does not have.
    """
    agent = AGENTS[config.agent.name].make(config.agent, env, config.loop, config.warm.clone_steps > 0)
    if agent.taught and config.domain.teacher is None:
        raise ValueError(f"agent: has a teacher, and nobody knows better in env.name {config.env.name}")
    if agent.pupil is None and config.warm.demonstrations:
        raise ValueError(f"warm.demonstrations: agent.name {config.agent.name} does not learn from them")
    return agent


@dataclass(frozen=True)
class Training:
    """The programs of a run; static and hashable.

    Attributes:
        config: of the run.
        env: the environment.
        agent: see `make_agent`.
    """

    config: RunConfig
    env: Environment
    agent: Agent

    @property
    def many(self) -> AutoReset:
        """The environment, `n_envs` times."""
        settings = self.config.loop
        return AutoReset(self.env, settings.n_envs, default_chunk(), settings.cut)

    @functools.partial(jax.jit, static_argnums=0)
    def init(self, keys: jax.Array, params: Any) -> Loop:
        """New agents and episodes of all seeds, without demonstrations.

        Args:
            keys: one a seed, `[S]`.
            params: leaves `[S, ...]`.
        """
        return over_seeds(self._init, keys, params)

    def _init(self, key: jax.Array, params: Any) -> Loop:
        agent_key, env_key, loop_key = jax.random.split(key, 3)
        obs, envs = self.many.reset(env_key, params)
        return Loop(
            agent=self.agent.init(agent_key),
            experience=self.agent.new_experience(),
            envs=envs,
            obs=obs,
            memory=self.new_memories(),
            tally=new_tally(self.agent),
            extremes=no_extremes(jax.eval_shape(jax.vmap(self.env.final), envs.env)),
            key=loop_key,
            steps=jnp.zeros((), jnp.int32),
        )

    @functools.partial(jax.jit, static_argnums=0, donate_argnums=1)
    def advance(self, loop: Loop, params: Any) -> tuple[Loop, Metrics]:
        """`loop.chunk` iterations of every seed.

        Returns:
            The loop after them, and the metrics of the last iteration, leaves `[S]`; NaN where nothing was
            learnt in it.
        """
        return over_seeds(self._chunk, loop, params)

    def _chunk(self, loop: Loop, params: Any) -> tuple[Loop, Metrics]:
        def body(loop, _):
            return self.iterate(loop, params)

        loop, metrics = jax.lax.scan(body, loop, None, length=self.config.loop.chunk)
        return loop, jax.tree.map(lambda x: x[-1], metrics)

    def iterate(self, loop: Loop, params: Any) -> tuple[Loop, Metrics]:
        """One iteration of one seed."""
        key, act_key, step_key, learn_key = jax.random.split(loop.key, 4)
        views = self.views(loop)
        choice = self.agent.explore(act_key, loop.agent, loop.experience, views)
        step = self.played(step_key, loop.envs, views, choice, params)
        experience = self.agent.remember(loop.experience, step)
        mask, found = self.env.mask(params), step.found
        agent, metrics = self.agent.learn(learn_key, loop.agent, experience, step, mask)
        done, info = found.terminated | found.truncated, found.info
        memory = jax.tree.map(functools.partial(_where, done), self.new_memories(), choice.memory)
        first_loss = jax.vmap(self.env.score)(found.state.env).loss
        after = loop._replace(
            agent=agent,
            experience=experience,
            envs=found.state,
            obs=found.obs,
            memory=memory,
            tally=loop.tally.plus(choice, found, first_loss),
            extremes=update_extremes(loop.extremes, done, info["final_score"].best, info["final"]),
            key=key,
            steps=loop.steps + 1,
        )
        return after, metrics

    def views(self, loop: Loop) -> View:
        """The running episodes as the agent is shown them, leaves `[n, ...]`."""
        state = loop.envs.env
        return View(loop.obs, jax.vmap(self.env.episode_mask)(state), state.t, memory=loop.memory)

    def new_memories(self) -> Any:
        """What the agent carries at the beginning of episodes, leaves `[n, ...]`."""
        n = self.config.loop.n_envs
        return jax.tree.map(lambda x: jnp.broadcast_to(x, (n, *jnp.shape(x))), self.agent.memory())

    def taught(self, envs: ManyState, params: Any) -> Action:
        """What one would do who knows the tasks, leaves `[n, ...]`."""
        teacher = self.config.domain.teacher
        assert teacher is not None  # checked when the agent was made
        return jax.vmap(lambda state: teacher(self.env, state, params))(envs.env)

    def played(self, key: jax.Array, envs: ManyState, views: View, choice: Choice, params: Any) -> Step:
        """The step of all episodes, with a teacher's actions and the rewards' slopes where wanted."""
        group, numbers = self.env.action.split(choice.action)

        def step(numbers: jax.Array) -> tuple[jax.Array, Timestep]:
            found = self.many.step(key, envs, self.env.action.compose(group, numbers), params)
            return jnp.sum(found.reward), found

        if self.agent.sloped:
            # An episode's reward depends on no other's action, so that the sum has the slopes of all.
            slope, found = jax.grad(step, has_aux=True)(numbers)
        else:
            slope, found = None, step(numbers)[1]
        labels = self.taught(envs, params) if self.agent.taught else None
        return Step(views, choice, found, params, labels, slope)

    @functools.partial(jax.jit, static_argnums=0)
    def new_episodes(self, loop: Loop, keys: jax.Array, params: Any, chosen: jax.Array) -> Loop:
        """Other parameters for the chosen seeds: their episodes begin anew, all else is kept.

        Args:
            loop: of all seeds.
            keys: `[S]`.
            params: the new ones, leaves `[S, ...]`.
            chosen: bool `[S]`.
        """

        def one(parts, key, params, chosen):
            obs, envs = self.many.reset(key, params)
            new = envs, obs, self.new_memories()
            return jax.tree.map(lambda new, old: jnp.where(chosen, new, old), new, parts)

        parts = loop.envs, loop.obs, loop.memory
        envs, obs, memory = over_seeds(one, parts, keys, params, chosen)
        return loop._replace(envs=envs, obs=obs, memory=memory)

    @functools.partial(jax.jit, static_argnums=0)
    def evaluate(self, state: Any, key: jax.Array, params: Any) -> Results:
        """Episodes of one seed's policy on held-out tasks, `[episodes]`."""
        policy = policy_of(self.agent, self.env, state, params)
        count = self.config.curriculum.evaluate_episodes
        return evaluate(self.env, policy, key, params, count=count, memory=self.agent.memory())

    def with_room_for_demos(self, loop: Loop) -> Loop:
        """The loop with room for the demonstrations of all stages, if there are any; leaves `[S, ...]`."""
        capacity, pupil = self.demos_of_stage * len(self.config.stages), self.agent.pupil
        if capacity == 0 or pupil is None:
            return loop
        room = jax.vmap(lambda experience: pupil.with_room(experience, capacity))
        return loop._replace(experience=room(loop.experience))

    @property
    def demos_of_stage(self) -> int:
        """Transitions of one stage's demonstrations that are kept at most: all stages have equal room."""
        wanted, pupil = self.config.warm.demonstrations * self.env.steps, self.agent.pupil
        return 0 if pupil is None else min(wanted, pupil.most_demos // len(self.config.stages))

    def loop_like(self) -> Loop:
        """Shapes of a run's loop; nothing is computed."""

        def make():
            seeds = self.config.seeds
            example = self.config.domain.example(self.env)
            params = jax.tree.map(lambda x: jnp.stack([x] * seeds), example)
            return self.with_room_for_demos(self.init(jax.random.split(jax.random.key(0), seeds), params))

        return jax.eval_shape(make)


def _where(rows: jax.Array, new: jax.Array, old: jax.Array) -> jax.Array:
    """The new leaf in some rows, the old one elsewhere."""
    return jnp.where(jnp.reshape(rows, (-1,) + (1,) * (old.ndim - 1)), new, old)


def over_seeds(function, *arguments):
    """`vmap` over the leading axis of all arguments; an axis of one is taken off instead.

    Not `lax.map`, under which XLA copies the seeds' rings at every iteration where `vmap` writes them in
    place. The price is that under `vmap` both branches of a `cond` are computed.
    """
    if jax.tree.leaves(arguments)[0].shape[0] > 1:
        return jax.vmap(function)(*arguments)
    result = function(*jax.tree.map(lambda x: x[0], arguments))
    return jax.tree.map(lambda x: x[None], result)
