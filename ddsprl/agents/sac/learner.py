"""Soft actor-critic as the contract knows agents: it explores, keeps a ring of transitions, and learns.

Any action of an `ActionSpec` will do: its groups are the modules among which the policy chooses. With one
group there is nothing to choose, and what is left is soft actor-critic with a vector.
"""

from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp

from ddsprl.agents.ascent import Ascent, usable
from ddsprl.agents.contract import Agent, Choice, Entry, LoopConfig, Metrics, Pupil, Share, Step, View
from ddsprl.agents.observing import Sight, action_spec, seen_of, seen_spec, sight_of, transition_of
from ddsprl.agents.opening import OVER
from ddsprl.agents.replay import Replay, Rows, add, add_rows, empty_replay
from ddsprl.agents.sac.acting import at_random, explore
from ddsprl.agents.sac.agent import Sac
from ddsprl.agents.sac.config import RANGES, SacConfig, check
from ddsprl.agents.sac.learning import learn
from ddsprl.agents.sac.records import Experience, SacState
from ddsprl.agents.types import Allowed, Labels
from ddsprl.env import Action, ActionSpec, Environment

OFF_MODE = "off_mode"


class Drawn(NamedTuple):
    """How actions were drawn; leaves `[n]`.

    Attributes:
        key: of the deltas.
        own: 1 where they were drawn from the policy.
    """

    key: jax.Array
    own: jax.Array


@dataclass(frozen=True)
class SacAgent(Agent, Pupil):
    """The agent; static and hashable.

    Attributes:
        sac: networks and losses.
        action: how actions look.
        sight: what is read of an observation.
        loop: settings of the loop that it learns in.
        cloned: whether the actor has learnt from demonstrations before it explores.
    """

    sac: Sac
    action: ActionSpec
    sight: Sight
    loop: LoopConfig
    cloned: bool = False

    @property
    def shares(self) -> tuple[str, ...]:
        """How often a module other than the policy's likeliest was taken, where it had several."""
        return (OFF_MODE,)

    @property
    def taught(self) -> bool:
        """Whether transitions must come with a teacher's choices."""
        return self.sac.config.teaching.asked

    @property
    def sloped(self) -> bool:
        """Whether the reward's own gradient leads the actor."""
        return self.sac.config.guidance.reward_gradient != 0

    @property
    def pupil(self) -> "SacAgent":
        """Itself: its actor can be cloned, its batches mixed with demonstrations."""
        return self

    @property
    def imitator(self) -> Sac:
        """Networks and losses."""
        return self.sac

    @property
    def most_demos(self) -> int:
        """As many transitions as there may be of experience."""
        return self.sac.config.capacity

    def init(self, key: jax.Array) -> SacState:
        """A new agent."""
        return self.sac.init(key)

    def new_experience(self) -> Experience:
        """An empty ring, in which every transition has its own mask, and no demonstrations."""
        return Experience(self.sac.new_replay(masked=True), None, jnp.zeros((), jnp.int32))

    def with_room(self, experience: Experience, count: int) -> Experience:
        """With an empty ring for demonstrations."""
        sac, labelled = self.sac, self.taught
        room = empty_replay(count, sac.seen, sac.actions, labelled=labelled, masked=True)
        return experience._replace(demos=room)

    def with_demos(self, experience: Experience, rows: Rows, chosen: jax.Array) -> Experience:
        """With demonstrations added where `chosen`; there must be room for them."""
        assert experience.demos is not None
        return experience._replace(demos=_added(experience.demos, rows, chosen))

    def act(self, key: jax.Array, state: SacState, view: View) -> tuple[Action, tuple[()]]:
        """A module and its deltas, drawn; with a way back it is gone in turns (see `returning`)."""
        seen, allowed = seen_of(view.obs, self.sight), self.sac.actions.allowed(view.mask)
        chosen = self.sac.act(key, state, seen, allowed, turn=view.turn, memory=view.back)
        return self.action.compose(*chosen), ()

    def explore(self, key: jax.Array, state: SacState, experience: Experience, views: View) -> Choice:
        """Actions of all episodes, leaves `[n, ...]`; at random before there is anything to learn from."""
        settings = self.loop
        allowed = self._allowed(views)
        keys = jax.random.split(key, settings.n_envs)
        early = experience.choices < round(settings.off_mode_share * settings.iterations)
        off_mode = jnp.where(early, settings.off_mode, -1.0)
        # Every other episode begins with the policy itself, which learns nothing from an opening.
        plain = jnp.arange(settings.n_envs) % 2 == 1
        turn = jnp.where(plain, OVER, views.turn)

        def one(key, seen, allowed, turn):
            return explore(self.sac, key, state, seen, allowed, off_mode, turn)

        chosen = jax.vmap(one)(keys, seen_of(views.obs, self.sight), allowed, turn)
        if not self.cloned:
            random = jax.vmap(lambda k, a: at_random(self.sac, k, a))(keys, allowed)
            enough = experience.replay.filled >= settings.learn_after
            chosen = jax.tree.map(lambda a, b: jnp.where(enough, a, b), chosen, random)
        shares = {OFF_MODE: Share(chosen.off_mode, chosen.by_policy)}
        return Choice(self.action.compose(*chosen.action), shares, Drawn(chosen.key, chosen.drawn))

    def remember(self, experience: Experience, step: Step) -> Experience:
        """The ring with the transitions of a step."""
        view, choice = step.view, step.choice
        transitions = transition_of(view.obs, choice.action, step.found, self.action, self.sight)
        labels = None if step.taught is None else Labels(*self.action.split(step.taught))
        replay = add(experience.replay, transitions._replace(labels=labels, free=view.mask))
        several = jnp.max(choice.shares[OFF_MODE].whole).astype(jnp.int32)
        return experience._replace(replay=replay, choices=experience.choices + several)

    def learn(
        self, key: jax.Array, state: SacState, experience: Experience, step: Step, mask: jax.Array
    ) -> tuple[SacState, Metrics]:
        """The gradient steps of an iteration, once there are transitions enough."""
        played = self.played(step)

        @jax.jit  # traced once, though its shapes are asked for as well
        def steps(state):
            allowed = self.sac.actions.allowed(mask)
            return learn(self.sac, key, state, experience, allowed, loop=self.loop, played=played)

        def none(state):
            metrics = jax.eval_shape(steps, state)[1]
            return state, jax.tree.map(lambda x: jnp.full(x.shape, jnp.nan, x.dtype), metrics)

        return jax.lax.cond(experience.replay.filled >= self.loop.learn_after, steps, none, state)

    def played(self, step: Step) -> Ascent | None:
        """The actions of a step with the reward's slopes; None without slopes."""
        if step.slope is None:
            return None
        drawn, (module, delta) = step.choice.notes, self.action.split(step.choice.action)
        seen = seen_of(step.view.obs, self.sight)
        slope = usable(step.slope, delta, drawn.own)
        return Ascent(drawn.key, seen, self._allowed(step.view), module, slope)

    def work(self, state: SacState) -> tuple[jax.Array, int]:
        """Gradient steps so far, and the transitions of a batch."""
        return state.updates, self.sac.config.batch

    def _allowed(self, views: View) -> Allowed:
        return jax.vmap(self.sac.actions.allowed)(views.mask)


@jax.jit
def _added(demos: Replay, rows: Rows, chosen: jax.Array) -> Replay:
    return jax.tree.map(lambda new, old: jnp.where(chosen, new, old), add_rows(demos, rows), demos)


def make(config: SacConfig, env: Environment, loop: LoopConfig, cloned: bool) -> SacAgent:
    """The agent in an environment.

    Raises:
        ValueError: the environment does not observe what the settings need.
    """
    spec, guided = env.observation, config.opening
    if guided and not (spec.guess or config.goal_weight):
        raise ValueError(
            f"agent.opening is {guided}; without env.guess and agent.goal_weight, from which the actor's "
            "belief comes, only 0"
        )
    sight = sight_of(spec, finite_horizon=loop.finite_horizon)
    sac = Sac(config, action_spec(env.action), seen_spec(spec, sight))
    return SacAgent(sac, env.action, sight, loop, cloned)


SAC = Entry(SacConfig, make, RANGES, check)
