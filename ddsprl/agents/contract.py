"""What an agent is: all that the training loop, evaluations and players know of one.

    state, experience = agent.init(key), agent.new_experience()          what it learns, what it keeps
    choice = agent.explore(key, state, experience, views)                of all episodes, to learn from
    experience = agent.remember(experience, step)                        the step that came of it
    state, metrics = agent.learn(key, state, experience, step, mask)     whatever is due
    action, memory = agent.act(key, state, view)                         one episode, as it plays

An agent is static and hashable: networks, losses, and the specs of its environment, which it may keep if it
rolls out or differentiates steps by itself. State and experience are pytrees, checkpointed whole, with
`vmap` over seeds. What experience is, is the agent's own business: a ring of transitions, or the steps of a
rollout so far; `learn` is called after every step and does what is due, often nothing. What an agent carries
from step to step of an episode (a recurrent state) is its `memory`, which begins anew with every episode.

What an agent may ask of the loop, it says by `taught` (a teacher's action at every step) and `sloped` (how
the reward rises with the numbers of its actions, through the environment's step). What it may be able to do
beside, to learn from demonstrations, it says by `pupil`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import jax

from ddsprl.env import Action, Environment, Observation, Timestep, WayBack

Metrics = dict[str, jax.Array]


@dataclass(frozen=True, kw_only=True)
class AgentConfig:
    """Settings that every agent has; the base of its own record of settings.

    Attributes:
        name: of the agent, see `ddsprl.agents.registry`.
    """

    name: str


@dataclass(frozen=True, kw_only=True)
class LoopConfig:
    """How experience is made and used.

    Attributes:
        n_envs: episodes side by side.
        iterations: in all, rounded up to whole compiled calls.
        learn_after: transitions in the replay before learning begins; they come from random actions, or from
            the cloned actor if there is one.
        critic_first: gradient steps at the beginning in which the critics do not lead the actor, so that a
            cloned one is not led by critics that know nothing yet; a teacher may.
        cut: probability that a step is a training episode's last, so that more targets are heard; the value
            of what would have come counts.
        chunk: iterations of one compiled call.
        off_mode: early on, the probability of a module other than the policy's likeliest.
        off_mode_share: how long that is, as a share of the iterations; counted are those in which the policy
            chooses among several modules.
        finite_horizon: the networks see the time, and a time limit counts as an end.
        demo_share: of every batch, taken from demonstrations where there are some.
    """

    n_envs: int = 64
    iterations: int = 4_000
    learn_after: int = 2_000
    critic_first: int = 0
    cut: float = 0.0
    chunk: int = 20
    off_mode: float = 0.25
    off_mode_share: float = 0.2
    finite_horizon: bool = False
    demo_share: float = 0.25


class View(NamedTuple):
    """An episode before a step, as an agent is shown it; leaves `[n, ...]` where it is shown many.

    Attributes:
        obs: the observation.
        mask: 1 for the numbers of an action that count, `[d]`.
        turn: int scalar, steps taken in the episode.
        back: where the episode's best point lies; None for an agent that is to play its policy as it is.
        memory: what the agent carries in the episode.
    """

    obs: Observation
    mask: jax.Array
    turn: jax.Array
    back: WayBack | None = None
    memory: Any = ()


class Share(NamedTuple):
    """Something that is counted for the log, as a share; floats.

    Attributes:
        part: how often it was so.
        whole: how often it might have been.
    """

    part: jax.Array
    whole: jax.Array


class Choice(NamedTuple):
    """Actions of all episodes, leaves `[n, ...]`.

    Attributes:
        action: to be taken.
        shares: counted for the log, by the names in the agent's `shares`, leaves `[n]`.
        notes: what the agent wants to know of its choice when the step is remembered, any pytree.
        memory: what it carries on.
    """

    action: Action
    shares: dict[str, Share]
    notes: Any = ()
    memory: Any = ()


class Step(NamedTuple):
    """One step of all episodes, leaves `[n, ...]`.

    Attributes:
        view: before it.
        choice: what was done.
        found: what came of it, behind an automatic reset: where an episode ended, `state.env` is the next
            one's, and the last observation is `info["final_obs"]`.
        params: of the environment, for an agent that rolls out by itself.
        taught: what a teacher would have done, numbers of all groups; None for an agent without one.
        slope: how the rewards rise with the numbers of the actions, `[n, d]`; None where nobody asked.
    """

    view: View
    choice: Choice
    found: Timestep
    params: Any
    taught: Action | None = None
    slope: jax.Array | None = None


class Imitator(Protocol):
    """What can be cloned from demonstrations: a policy whose parameters are `state.actor`.

    Attributes:
        actions: `ddsprl.agents.types.ActionSpec`.
        seen: `ddsprl.agents.types.SeenSpec`.
    """

    actions: Any
    seen: Any

    def policy(self, actor: Any, seen: Any, allowed: Any) -> Any:
        """`ddsprl.agents.networks.Policy` at one observation."""
        ...


class Pupil(Protocol):
    """What an agent that learns from demonstrations can do beside.

    Attributes:
        imitator: what is cloned.
        sight: what it reads of an observation, `ddsprl.agents.observing.Sight`.
        most_demos: most transitions of demonstrations.
    """

    imitator: Imitator
    sight: Any
    most_demos: int

    def with_room(self, experience: Any, count: int) -> Any:
        """The experience with room for so many transitions of demonstrations."""
        ...

    def with_demos(self, experience: Any, rows: Any, chosen: jax.Array) -> Any:
        """The experience with demonstrations added where `chosen`, `ddsprl.agents.replay.Rows`."""
        ...


class Agent(Protocol):
    """An agent, which names this as its base; static and hashable.

    Attributes:
        shares: names of what is counted of its choices.
        taught: whether steps are to come with a teacher's actions.
        sloped: whether steps are to come with the slopes of the rewards.
        pupil: what it can do with demonstrations; None for nothing.
    """

    shares: tuple[str, ...] = ()
    taught: bool = False
    sloped: bool = False
    pupil: Pupil | None = None

    def init(self, key: jax.Array) -> Any:
        """What is learnt, at the beginning."""
        ...

    def new_experience(self) -> Any:
        """What is kept, at the beginning."""
        ...

    def memory(self) -> Any:
        """What it carries from step to step, at the beginning of an episode."""
        return ()

    def act(self, key: jax.Array, state: Any, view: View) -> tuple[Action, Any]:
        """An action at one view, as it plays, and what it carries on."""
        ...

    def explore(self, key: jax.Array, state: Any, experience: Any, views: View) -> Choice:
        """Actions of all episodes at once, from which it learns."""
        ...

    def remember(self, experience: Any, step: Step) -> Any:
        """The experience with one step of all episodes."""
        ...

    def learn(
        self, key: jax.Array, state: Any, experience: Any, step: Step, mask: jax.Array
    ) -> tuple[Any, Metrics]:
        """What is due after a step that was just remembered.

        Args:
            key: of everything random in it.
            state: what was learnt so far.
            experience: with the step.
            step: itself, for what is learnt from at once.
            mask: 1 for the numbers of an action that count at present, `[d]`.

        Returns:
            The state, and metrics, scalars; NaN where nothing was due.
        """
        ...

    def work(self, state: Any) -> tuple[jax.Array, int]:
        """Gradient steps so far, leading axes kept, and the transitions of each."""
        ...


@dataclass(frozen=True)
class Entry:
    """An agent in the registry.

    Attributes:
        config: its record of settings, with the name under which it stands there.
        make: the agent of such settings in an environment, and of the loop's settings; `cloned` says whether
            it has learnt from demonstrations before it explores. Raises ValueError, naming a setting.
        ranges: least and most of numbers among the settings, by dotted names.
        check: raises ValueError for settings that do not go together, naming them.
    """

    config: type[AgentConfig]
    make: Callable[[Any, Environment, LoopConfig, bool], Agent]
    ranges: Mapping[str, tuple[float, float]]
    check: Callable[[Any, LoopConfig], None]
