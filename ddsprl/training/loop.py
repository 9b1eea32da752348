"""The training loop on the device: act, step, remember, learn, count; one compiled call is a chunk of that.

    training = Training(config, env, agent)
    loop = training.init(keys [S], params)               # params: of every seed, leaves [S, ...]
    loop, metrics = training.advance(loop, params)       # consumes `loop`

Between two calls nothing on the device is touched but by the host's reading of the tally and, now and then,
an evaluation. Every iteration draws from `loop.key` alone, so a stored loop goes on as if never stopped.
"""

import dataclasses
import functools
from dataclasses import dataclass
from typing import cast

import jax
import jax.numpy as jnp

from ddsprl.agents import (
    Ascent,
    Labels,
    Replay,
    Sac,
    action_spec,
    add,
    parts,
    seen_of,
    seen_spec,
    transition_of,
)
from ddsprl.agents.ascent import usable
from ddsprl.agents.opening import OVER
from ddsprl.env import (
    AutoReset,
    EnvParams,
    ManyState,
    MatchEnv,
    Results,
    Timestep,
    default_chunk,
    evaluate,
)
from ddsprl.training.acting import Choice, at_random, explore, playing
from ddsprl.training.config import RunConfig
from ddsprl.training.demonstrations.planning import edit_towards
from ddsprl.training.learning import Metrics, learn
from ddsprl.training.records import Loop, Tally, new_tally
from ddsprl.training.snapshots import no_extremes, update_extremes


def make_agent(config: RunConfig, env: MatchEnv) -> Sac:
    """The agent of a run."""
    rest = parts(finite_horizon=config.loop.finite_horizon, guess=config.env.guess)
    seen = seen_spec(env.layout, rest)
    if env.config.action == "absolute":
        # Positions, not moves: there is no going towards a guess.
        seen = dataclasses.replace(seen, guess=None)
    return Sac(config.agent, action_spec(env.instrument.table), seen)


@dataclass(frozen=True)
class Training:
    """The programs of a run; static and hashable.

    Attributes:
        config: of the run.
        env: the environment.
        agent: see `make_agent`.
    """

    config: RunConfig
    env: MatchEnv
    agent: Sac

    @property
    def many(self) -> AutoReset:
        """The environment, `n_envs` times."""
        settings = self.config.loop
        return AutoReset(self.env, settings.n_envs, default_chunk(), settings.cut)

    @property
    def rest(self) -> tuple[str, ...]:
        """What is observed beside the pictures."""
        return parts(finite_horizon=self.config.loop.finite_horizon, guess=self.config.env.guess)

    @property
    def cloned(self) -> bool:
        """Whether the actor has learned from demonstrations before training begins."""
        return self.config.warm.clone_steps > 0

    @functools.partial(jax.jit, static_argnums=0)
    def init(self, keys: jax.Array, params: EnvParams) -> Loop:
        """New agents and episodes of all seeds, without demonstrations.

        Args:
            keys: one a seed, `[S]`.
            params: leaves `[S, ...]`.
        """
        return over_seeds(self._init, keys, params)

    def _init(self, key: jax.Array, params: EnvParams) -> Loop:
        agent_key, env_key, loop_key = jax.random.split(key, 3)
        obs, envs = self.many.reset(env_key, params)
        return Loop(
            agent=self.agent.init(agent_key),
            replay=self.agent.new_replay(masked=True),
            demos=None,
            envs=envs,
            obs=obs,
            tally=new_tally(),
            extremes=no_extremes(self.env),
            key=loop_key,
            steps=jnp.zeros((), jnp.int32),
            choices=jnp.zeros((), jnp.int32),
        )

    @functools.partial(jax.jit, static_argnums=0, donate_argnums=1)
    def advance(self, loop: Loop, params: EnvParams) -> tuple[Loop, Metrics]:
        """`loop.chunk` iterations of every seed.

        Returns:
            The loop after them, and the metrics of the last update, leaves `[S]`; NaN before there was one.
        """
        return over_seeds(self._chunk, loop, params)

    def _chunk(self, loop: Loop, params: EnvParams) -> tuple[Loop, Metrics]:
        def body(loop, _):
            return self.iterate(loop, params)

        loop, metrics = jax.lax.scan(body, loop, None, length=self.config.loop.chunk)
        return loop, jax.tree.map(lambda x: x[-1], metrics)

    def iterate(self, loop: Loop, params: EnvParams) -> tuple[Loop, Metrics]:
        """One iteration of one seed."""
        key, act_key, step_key, learn_key = jax.random.split(loop.key, 4)
        choice = self.choose(act_key, loop)
        action = choice.action
        found, played = self._played(step_key, loop, choice, params)
        step = transition_of(loop.obs, action.module, action.delta, found, self.rest)
        labels = self.taught(loop.envs, params) if self.agent.taught else None
        step = step._replace(labels=labels, free=loop.envs.env.episode.free)
        replay = add(loop.replay, step)
        agent, metrics = self._learn(learn_key, loop, replay, params, played)
        done, info = found.terminated | found.truncated, found.info
        after = loop._replace(
            agent=agent,
            replay=replay,
            envs=found.state,
            obs=found.obs,
            tally=count(loop.tally, choice, found),
            extremes=update_extremes(loop.extremes, done, info["best_loss"], info["final"]),
            key=key,
            steps=loop.steps + 1,
            choices=loop.choices + jnp.max(choice.by_policy).astype(jnp.int32),
        )
        return after, metrics

    def choose(self, key: jax.Array, loop: Loop) -> Choice:
        """Actions of all episodes, leaves `[n, ...]`; at random before there is anything to learn from."""
        settings = self.config.loop
        allowed = jax.vmap(self.agent.actions.allowed)(loop.envs.env.episode.free)
        keys = jax.random.split(key, settings.n_envs)
        early = loop.choices < round(settings.off_mode_share * settings.iterations)
        off_mode = jnp.where(early, settings.off_mode, -1.0)
        seen, state = seen_of(loop.obs, self.rest), loop.agent
        # Every other episode begins with the policy itself, which learns nothing from an opening.
        plain = jnp.arange(settings.n_envs) % 2 == 1
        turn = jnp.where(plain, OVER, loop.envs.env.t)

        def one(key, seen, allowed, turn):
            return explore(self.agent, key, state, seen, allowed, off_mode, turn)

        chosen = jax.vmap(one)(keys, seen, allowed, turn)
        if self.cloned:
            return chosen
        random = jax.vmap(lambda k, a: at_random(self.agent, k, a))(keys, allowed)
        enough = loop.replay.filled >= settings.learn_after
        return jax.tree.map(lambda a, b: jnp.where(enough, a, b), chosen, random)

    def taught(self, envs: ManyState, params: EnvParams) -> Labels:
        """What one would choose who knows the targets' presets, leaves `[n, ...]`; needs no render."""

        def one(state):
            goal = self.env.instrument.snap(state.episode.u)
            edit = edit_towards(goal, state, params, self.env, self.agent.actions)
            return Labels(edit.module, edit.delta)

        return jax.vmap(one)(envs.env)

    def _played(
        self, key: jax.Array, loop: Loop, choice: Choice, params: EnvParams
    ) -> tuple[Timestep, Ascent | None]:
        """The step of all episodes, and how their rewards rise with the deltas, where that is learnt from."""
        module, delta = choice.action

        def step(delta):
            found = self.many.step(key, loop.envs, {"module": module, "delta": delta}, params)
            return jnp.sum(found.reward), found

        if self.config.agent.reward_gradient == 0:
            return step(delta)[1], None
        # An episode's reward depends on no other's action, so that the sum has the slopes of all.
        slope, found = jax.grad(step, has_aux=True)(delta)
        allowed = jax.vmap(self.agent.actions.allowed)(loop.envs.env.episode.free)
        seen = seen_of(loop.obs, self.rest)
        return found, Ascent(choice.key, seen, allowed, module, usable(slope, delta, choice.drawn))

    def _learn(self, key: jax.Array, loop: Loop, replay: Replay, params: EnvParams, played: Ascent | None):
        """Gradient steps, once there are transitions enough."""
        settings = self.config.loop

        @jax.jit  # traced once, though its shapes are asked for as well
        def steps(state):
            return learn(
                self.agent,
                key,
                state,
                replay,
                loop.demos,
                self.agent.actions.allowed(params.free),
                demo_share=settings.demo_share,
                critic_first=settings.critic_first,
                played=played,
            )

        def none(state):
            metrics = jax.eval_shape(steps, state)[1]
            return state, jax.tree.map(lambda x: jnp.full(x.shape, jnp.nan, x.dtype), metrics)

        return jax.lax.cond(replay.filled >= settings.learn_after, steps, none, loop.agent)

    @functools.partial(jax.jit, static_argnums=0)
    def new_episodes(self, loop: Loop, keys: jax.Array, params: EnvParams, chosen: jax.Array) -> Loop:
        """Other parameters for the chosen seeds: their episodes begin anew, all else is kept.

        Args:
            loop: of all seeds.
            keys: `[S]`.
            params: the new ones, leaves `[S, ...]`.
            chosen: bool `[S]`.
        """

        def one(parts, key, params, chosen):
            obs, envs = self.many.reset(key, params)
            return jax.tree.map(lambda new, old: jnp.where(chosen, new, old), (envs, obs), parts)

        envs, obs = over_seeds(one, (loop.envs, loop.obs), keys, params, chosen)
        return loop._replace(envs=envs, obs=obs)

    @functools.partial(jax.jit, static_argnums=0)
    def evaluate(self, state, key: jax.Array, params: EnvParams) -> Results:
        """Episodes of one seed's policy on a held-out bucket, `[episodes]`."""
        policy = playing(self.agent, state, params, rest=self.rest, steps=self.env.config.steps)
        count = self.config.curriculum.evaluate_episodes
        return evaluate(self.env, policy, key, params, count=count)


def over_seeds(function, *arguments):
    """`vmap` over the leading axis of all arguments; an axis of one is taken off instead.

    Not `lax.map`, under which XLA copies the seeds' rings at every iteration where `vmap` writes them in
    place. The price is that under `vmap` both branches of a `cond` are computed.
    """
    if jax.tree.leaves(arguments)[0].shape[0] > 1:
        return jax.vmap(function)(*arguments)
    result = function(*jax.tree.map(lambda x: x[0], arguments))
    return jax.tree.map(lambda x: x[None], result)


def count(tally: Tally, choice: Choice, found: Timestep) -> Tally:
    """The tally with one step of all episodes."""
    done, begun = found.terminated | found.truncated, cast(ManyState, found.state)

    def of_ended(x):
        return jnp.sum(jnp.where(done, x, 0.0))

    step = Tally(
        episodes=jnp.sum(done).astype(jnp.float32),
        solved=jnp.sum(found.terminated).astype(jnp.float32),
        returns=of_ended(found.info["episode_return"]),
        best_loss=of_ended(found.info["best_loss"]),
        lengths=of_ended(found.info["episode_length"]).astype(jnp.float32),
        first_loss=of_ended(begun.env.loss),
        actions=jnp.sum(choice.by_policy),
        off_mode=jnp.sum(choice.off_mode),
    )
    return jax.tree.map(jnp.add, tally, step)
