"""Soft actor-critic with a hybrid action: `init`, `act`, `update`, pure functions of an explicit state.

    sac = Sac(SacConfig(), action_spec(env.action), seen_spec(env.observation, sight))
    state, replay = sac.init(key), sac.new_replay()
    action = sac.act(key, state, seen, allowed)              one observation; batch with `vmap`
    state, metrics = sac.update(key, state, batch, allowed)  one gradient step

These are the networks and their losses; `learner` makes an agent of them, which explores and keeps a ring.

The state is a pytree of arrays: it can be checkpointed whole, and `vmap` over keys trains several seeds side
by side. The equations stand in `losses`; here they meet the networks.

Where transitions come with what a teacher would have chosen, the actor may imitate it beside what the critics
tell it, at the states that it comes to itself, with a weight that falls:

    actor loss = -V(s) + kickstart 2^(-updates / kickstart_half) NLL(teacher's choice | s)

(Schmitt et al. 2018, "Kickstarting Deep Reinforcement Learning", arXiv:1803.03835, equation 4, with a known
answer for a teacher, as in Ross et al. 2011, "A Reduction of Imitation Learning and Structured Prediction to
No-Regret Online Learning", arXiv:1011.0686, algorithm 3.1.) Or it learns what the teacher would choose and
does not do it (`goal_weight`). Where the environment can be differentiated, the gradient of its reward may
lead the actor too (`ddsprl.agents.ascent`): critics learn slowly what it knows.
"""

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import optax

from ddsprl.agents.ascent import Ascent, ascent_loss
from ddsprl.agents.contract import Imitator, Metrics
from ddsprl.agents.imitation import goal_loss, score
from ddsprl.agents.networks import Actor, Policy, TwinCritic
from ddsprl.agents.opening import opened, rounds_of
from ddsprl.agents.replay import Replay, empty_replay
from ddsprl.agents.returning import returned
from ddsprl.agents.sac import losses
from ddsprl.agents.sac.config import SacConfig
from ddsprl.agents.sac.losses import Temperatures
from ddsprl.agents.sac.records import AgentAction, Beside, Draw, SacState
from ddsprl.agents.types import ActionSpec, Allowed, Params, Seen, SeenSpec, Transition, or_own
from ddsprl.env import WayBack


@dataclass(frozen=True)
class Sac(Imitator):
    """Networks and losses; static and hashable.

    Attributes:
        config: settings.
        actions: modules and knobs.
        seen: shapes of an observation.
    """

    config: SacConfig
    actions: ActionSpec
    seen: SeenSpec

    @property
    def actor(self) -> Actor:
        """The policy's network."""
        return Actor(self.actions, self.config.network, self.seen.guess)

    @property
    def critic(self) -> TwinCritic:
        """The critics' network."""
        return TwinCritic(self.actions, self.config.network)

    def init(self, key: jax.Array) -> SacState:
        """A new agent."""
        actor_key, critic_key = jax.random.split(key)
        seen, delta = self.seen.zeros(), jnp.zeros(self.actions.knobs)
        allowed = Allowed(jnp.ones(self.actions.modules), jnp.ones(self.actions.knobs))
        actor = self.actor.init(actor_key, seen, allowed)
        critic = self.critic.init(critic_key, seen, delta, allowed)
        first = (self.config.first_discrete_temperature, self.config.first_continuous_temperature)
        temperatures = Temperatures(*(jnp.log(jnp.asarray(x, jnp.float32)) for x in first))
        return SacState(
            actor=actor,
            critic=critic,
            target_critic=jax.tree.map(jnp.copy, critic),
            temperatures=temperatures,
            actor_optimizer=self.actor_optimizer.init(actor),
            critic_optimizer=self.critic_optimizer.init(critic),
            temperature_optimizer=self.temperature_optimizer.init(temperatures),
            updates=jnp.zeros((), jnp.int32),
        )

    def new_replay(self, *, masked: bool = False) -> Replay:
        """An empty ring of the configured capacity; `masked` where every transition brings its own mask."""
        config = self.config
        return empty_replay(
            config.capacity, self.seen, self.actions, labelled=config.teaching.asked, masked=masked
        )

    def policy(self, actor: Params, seen: Seen, allowed: Allowed) -> Policy:
        """What an actor says of one observation."""
        found: Any = self.actor.apply(actor, seen, allowed)
        return found

    def values(self, critic: Params, seen: Seen, delta: jax.Array, allowed: Allowed) -> jax.Array:
        """What both critics say of every module with its part of the deltas `[d]`, `[2, m]`."""
        found: Any = self.critic.apply(critic, seen, delta, allowed)
        return found

    def act(
        self,
        key: jax.Array,
        state: SacState,
        seen: Seen,
        allowed: Allowed,
        *,
        turn: jax.Array | None = None,
        memory: WayBack | None = None,
        greedy: bool = False,
    ) -> AgentAction:
        """Choose an action at one observation.

        Args:
            key: of the draw.
            state: only its actor is used.
            seen: the observation.
            allowed: what the action may be.
            turn: int scalar, edits already made in the episode; None leaves the opening out.
            memory: of the episode, to return to its best patch; None plays the policy as it is.
            greedy: the likeliest module and the median of its deltas, without noise and without returns.
        """
        pick, spread = jax.random.split(key)
        policy = self.policy(state.actor, seen, allowed)
        module, delta = jnp.argmax(policy.log_module), policy.delta.centre()
        if not greedy:
            module = jax.random.categorical(pick, policy.log_module)
            delta = policy.delta.sample(spread).value
        if memory is not None and not greedy:
            noise, vain = jax.random.fold_in(key, 2), self._vain(allowed, turn, memory)
            back = returned(noise, module, policy.delta, memory, vain, allowed, self.actions)
            module, delta = or_own(back, module, delta)
        rounds = self.config.guidance.opening
        if rounds and turn is not None:
            first = opened(policy, allowed, turn, rounds, self.actions)
            module, delta = or_own(first, module, delta)
        return AgentAction(module, self.actions.shown(delta, allowed)[module])

    def _vain(self, allowed: Allowed, turn: jax.Array | None, memory: WayBack) -> jax.Array:
        """Edits without an improvement, int scalar; those of the opening do not count."""
        if turn is None:
            return memory.since
        return jnp.clip(turn - rounds_of(allowed, self.config.guidance.opening), 0, memory.since)

    def update(
        self,
        key: jax.Array,
        state: SacState,
        batch: Transition,
        allowed: Allowed,
        *,
        lessons: Transition | None = None,
        lead: jax.Array | float = 1.0,
        played: Ascent | None = None,
    ) -> tuple[SacState, Metrics]:
        """One gradient step of critics, actor and temperatures, in this order, and of the target critic.

        Args:
            key: of the draws.
            state: the agent.
            batch: transitions, leaves `[n, ...]`.
            allowed: what actions may be, for the whole batch; a batch with masks of its own goes by these.
            lessons: labelled transitions to imitate, where those of the batch are not to be used.
            lead: weight of the critics in the actor's loss, scalar. At 0 they do not change it.
            played: actions just drawn from the actor, with the reward's gradient; None where nobody asked.
        """
        critic_key, actor_key = jax.random.split(key)
        lessons = batch if lessons is None else lessons
        state, critic_metrics = self._update_critic(critic_key, state, batch, allowed)
        beside = Beside(lessons, played, lead)
        state, found, actor_metrics = self._update_actor(actor_key, state, batch, allowed, beside)
        state, temperature_metrics = self._update_temperatures(state, found, self.each(batch, allowed))
        target = optax.incremental_update(state.critic, state.target_critic, self.config.target_rate)
        state = state._replace(target_critic=target, updates=state.updates + 1)
        return state, critic_metrics | actor_metrics | temperature_metrics

    def each(self, batch: Transition, allowed: Allowed) -> Allowed:
        """What every transition's action might be, leaves `[n, ...]`: by its own mask, or as all are."""
        if batch.free is not None:
            return jax.vmap(self.actions.allowed)(batch.free)
        return _for_each(allowed, batch.reward.shape[0])

    def draw(self, key: jax.Array, actor: Params, seen: Seen, allowed: Allowed) -> Draw:
        """The policy at one observation and a draw from it, through which gradients pass."""
        policy = self.policy(actor, seen, allowed)
        drawn = policy.delta.sample(key)
        return Draw(policy, drawn.value, self.actions.per_module(drawn.log_prob, allowed))

    def td_target(self, key: jax.Array, state: SacState, step: Transition, allowed: Allowed) -> jax.Array:
        """What the critics should say of one transition, scalar."""
        drawn = self.draw(key, state.actor, step.next_seen, allowed)
        q = self.values(state.target_critic, step.next_seen, drawn.delta, allowed)
        value = losses.soft_value(q, drawn.policy.log_module, drawn.log_delta, state.temperatures)
        return losses.td_target(step.reward, step.terminated, value, self.config.discount)

    def critic_loss(self, critic: Params, batch: Transition, y: jax.Array, allowed: Allowed) -> jax.Array:
        """Mean loss of the critics over a batch with targets `[n]`, scalar."""

        def one(step, y, allowed):
            return losses.critic_loss(self.values(critic, step.seen, step.delta, allowed), step.module, y)

        return jnp.mean(jax.vmap(one)(batch, y, self.each(batch, allowed)))

    def actor_loss(
        self, actor: Params, key: jax.Array, state: SacState, seen: Seen, allowed: Allowed
    ) -> tuple[jax.Array, losses.Entropies]:
        """Mean loss of the actor over observations `[n, ...]`, and mean entropies; scalars."""
        count = seen.rest.shape[0]

        def one(key, seen, allowed):
            drawn = self.draw(key, actor, seen, allowed)
            q = self.values(state.critic, seen, drawn.delta, allowed)
            log_module = drawn.policy.log_module
            loss = losses.actor_loss(q, log_module, drawn.log_delta, state.temperatures)
            return loss, losses.entropies(
                log_module,
                drawn.log_delta,
                self.actions.per_module(allowed.knobs, allowed),
                allowed,
                discrete_share=self.config.discrete_entropy,
                per_knob=self.config.continuous_entropy,
            )

        each = jax.vmap(one)(jax.random.split(key, count), seen, _for_each(allowed, count))
        return jax.tree.map(jnp.mean, each)

    def teaching(self, updates: jax.Array) -> jax.Array:
        """Weight of the imitation loss after so many gradient steps, scalar."""
        teaching = self.config.teaching
        return teaching.kickstart * (jnp.exp2(-updates / teaching.half) if teaching.half else jnp.ones(()))

    def imitation_losses(
        self, actor: Params, batch: Transition, allowed: Allowed
    ) -> tuple[jax.Array, jax.Array]:
        """How unlikely a batch's labels are to the policy, and to its belief about them; scalars."""
        if batch.labels is None:
            raise ValueError("batch: has no labels; an agent with a teacher learns from labelled transitions")

        def one(seen, label, allowed):
            policy = self.policy(actor, seen, allowed)
            nll = score(policy, label, self.actions, allowed, every_module=True).nll
            return nll, goal_loss(policy, label, self.actions, allowed)

        each = jax.vmap(one)(batch.seen, batch.labels, self.each(batch, allowed))
        return jax.tree.map(jnp.mean, each)

    def _update_critic(
        self, key: jax.Array, state: SacState, batch: Transition, allowed: Allowed
    ) -> tuple[SacState, Metrics]:
        keys = jax.random.split(key, batch.reward.shape[0])
        each = self.each(batch, allowed)
        y = jax.vmap(lambda k, step, a: self.td_target(k, state, step, a))(keys, batch, each)
        loss, slope = jax.value_and_grad(self.critic_loss)(state.critic, batch, y, allowed)
        change, optimizer = self.critic_optimizer.update(slope, state.critic_optimizer, state.critic)
        critic = optax.apply_updates(state.critic, change)
        metrics = {
            "critic_loss": loss,
            "critic_gradient": optax.tree.norm(slope),
            "target_value": jnp.mean(y),
        }
        return state._replace(critic=critic, critic_optimizer=optimizer), metrics

    def _update_actor(
        self,
        key: jax.Array,
        state: SacState,
        batch: Transition,
        allowed: Allowed,
        beside: Beside,
    ) -> tuple[SacState, losses.Entropies, Metrics]:
        weight, taught = self.teaching(state.updates), self.config.teaching.asked

        def total(actor):
            loss, found = self.actor_loss(actor, key, state, batch.seen, self.each(batch, allowed))
            nll = goal = up = jnp.zeros(())
            if taught:
                nll, goal = self.imitation_losses(actor, beside.lessons, allowed)
            if beside.played is not None:
                up = ascent_loss(lambda *x: self.policy(actor, *x), beside.played, self.actions)
            total = beside.lead * loss + weight * nll
            total += self.config.teaching.goal_weight * goal + self.config.guidance.reward_gradient * up
            return total, (loss, nll, goal, found)

        (_, (loss, nll, goal, found)), slope = jax.value_and_grad(total, has_aux=True)(state.actor)
        change, optimizer = self.actor_optimizer.update(slope, state.actor_optimizer, state.actor)
        actor = optax.apply_updates(state.actor, change)
        metrics = {"actor_loss": loss, "actor_gradient": optax.tree.norm(slope)}
        if taught:
            metrics |= {"imitation_loss": nll, "imitation_weight": weight, "goal_loss": goal}
        if beside.played is not None:
            metrics["reward_slope"] = jnp.mean(jnp.linalg.norm(beside.played.slope, axis=-1))
        return state._replace(actor=actor, actor_optimizer=optimizer), found, metrics

    def _update_temperatures(
        self, state: SacState, found: losses.Entropies, allowed: Allowed
    ) -> tuple[SacState, Metrics]:
        old = state.temperatures
        metrics = {
            f"{name}_entropy" if "target" not in name else name: x for name, x in found._asdict().items()
        }
        metrics |= {"discrete_temperature": jnp.exp(old[0]), "continuous_temperature": jnp.exp(old[1])}
        if not self.config.tune_temperatures:
            return state, metrics
        slope = jax.grad(losses.temperature_loss)(old, found)
        change, optimizer = self.temperature_optimizer.update(slope, state.temperature_optimizer)
        some = Allowed(allowed.modules.max(axis=0), allowed.knobs.max(axis=0))
        new = losses.thaw(old, jax.tree.map(jnp.add, old, change), some)
        return state._replace(temperatures=new, temperature_optimizer=optimizer), metrics

    @property
    def actor_optimizer(self) -> optax.GradientTransformation:
        """Of the actor."""
        rate, decay = self.config.actor_rate, self.config.decay_updates
        falling = optax.cosine_decay_schedule(rate, decay, alpha=0.1) if decay else rate
        return optax.chain(optax.clip_by_global_norm(self.config.gradient_norm), optax.adam(falling))

    @property
    def critic_optimizer(self) -> optax.GradientTransformation:
        """Of both critics, with the configured decay."""
        clip = optax.clip_by_global_norm(self.config.gradient_norm)
        rate, decay = self.config.critic_rate, self.config.critic_decay
        # Biases and LayerNorm's scales are left alone.
        decayed = optax.adamw(rate, weight_decay=decay, mask=_matrices)
        return optax.chain(clip, decayed if decay else optax.adam(rate))

    @property
    def temperature_optimizer(self) -> optax.GradientTransformation:
        """Of both log temperatures."""
        return optax.adam(self.config.temperature_rate)


def _for_each(allowed: Allowed, count: int) -> Allowed:
    """One for each of so many examples; what is so already stays."""
    return Allowed(*(jnp.broadcast_to(x, (count, x.shape[-1])) for x in allowed))


def _matrices(params: Params) -> Params:
    """True for the kernels of dense layers."""
    return jax.tree_util.tree_map_with_path(lambda path, _: path[-1].key == "kernel", params)
