"""Settings of soft actor-critic: flat, as files and flags name them; in groups, as code does; their ranges.

config.teaching        what is learnt from a teacher
config.guidance        what leads the actor beside critics and teacher
"""

from dataclasses import dataclass

from ddsprl.agents.contract import AgentConfig, LoopConfig
from ddsprl.agents.encoder import NetworkConfig
from ddsprl.io.checks import within


@dataclass(frozen=True)
class Teaching:
    """What is learnt from a teacher's choices; see `ddsprl.agents.imitation`.

    Attributes:
        kickstart: weight of doing as the teacher, at the first gradient step.
        half: gradient steps in which that weight halves; 0 keeps it.
        goal_weight: weight of the belief about the teacher's choices.
        batch: transitions of both losses, drawn apart; 0 takes those of the gradient step.
    """

    kickstart: float
    half: int
    goal_weight: float
    batch: int

    @property
    def asked(self) -> bool:
        """Whether transitions must come with a teacher's choices."""
        return self.kickstart > 0 or self.goal_weight > 0


@dataclass(frozen=True)
class Guidance:
    """What leads the actor beside critics and teacher.

    Attributes:
        opening: rounds at an episode's beginning that follow the actor's belief, see `ddsprl.agents.opening`.
        reward_gradient: weight of the reward's own gradient, see `ddsprl.agents.ascent`.
    """

    opening: int
    reward_gradient: float


@dataclass(frozen=True, kw_only=True)
class SacConfig(AgentConfig):
    """How an agent learns; hashable.

    Attributes:
        name: under which it stands in the registry.
        network: sizes of actor and critic.
        discount: gamma, of a step.
        batch: transitions of one gradient step.
        updates_per_step: gradient steps for each call of `learn`, that is for each environment step of all
            episodes together.
        capacity: transitions in the replay.
        actor_rate: learning rate.
        critic_rate: likewise.
        temperature_rate: likewise, of both log temperatures.
        target_rate: tau, how far the target critic follows at each gradient step.
        gradient_norm: to which the gradients of actor and critic are clipped, each as a whole.
        critic_decay: regularization of the critic: decoupled decay of its matrices (Loshchilov and Hutter
            2019, "Decoupled Weight Decay Regularization", arXiv:1711.05101, algorithm 2). 0 turns it off.
        kickstart: weight of the actor's imitation loss on a teacher's choices at the agent's own states (see
            `ddsprl.agents.imitation`), at the first gradient step. 0: no teacher is asked.
        kickstart_half: gradient steps in which that weight halves; 0 keeps it.
        goal_weight: weight of the actor's belief about the teacher's choices, which shapes what it hears and
            not what it does (see `ddsprl.agents.imitation`). 0: no teacher is asked for it.
        imitation_batch: transitions of these two losses, drawn apart; 0 takes those of the gradient step.
        reward_gradient: weight in the actor's loss of the reward's own gradient, through the environment, at
            the actions just played (see `ddsprl.agents.ascent`). 0: the environment is not differentiated.
        opening: rounds at an episode's beginning in which every module in turn goes where the actor believes
            the target's preset to be (see `ddsprl.agents.opening`). 0: the policy itself begins.
        decay_updates: gradient steps in which the actor's rate falls to a tenth, along a cosine; 0 keeps it.
        discrete_entropy: the module's target entropy as a share of log(available modules).
        continuous_entropy: c, the deltas' target entropy is -c for each unlocked knob of the module; log 2 =
            0.69 is the largest entropy of a delta.
        first_discrete_temperature: at the start.
        first_continuous_temperature: likewise.
        tune_temperatures: False keeps them as they start.
    """

    name: str = "sac"
    network: NetworkConfig = NetworkConfig()
    discount: float = 0.97
    batch: int = 256
    updates_per_step: int = 1
    capacity: int = 100_000
    actor_rate: float = 3e-4
    critic_rate: float = 3e-4
    temperature_rate: float = 3e-4
    target_rate: float = 0.005
    gradient_norm: float = 10.0
    critic_decay: float = 0.0
    kickstart: float = 0.0
    kickstart_half: int = 0
    goal_weight: float = 0.0
    imitation_batch: int = 0
    reward_gradient: float = 0.0
    opening: int = 0
    decay_updates: int = 0
    discrete_entropy: float = 0.3
    continuous_entropy: float = 1.0
    first_discrete_temperature: float = 0.1
    first_continuous_temperature: float = 0.1
    tune_temperatures: bool = True

    @property
    def teaching(self) -> Teaching:
        """What is learnt from a teacher."""
        return Teaching(self.kickstart, self.kickstart_half, self.goal_weight, self.imitation_batch)

    @property
    def guidance(self) -> Guidance:
        """What leads the actor beside critics and teacher."""
        return Guidance(self.opening, self.reward_gradient)


RANGES: dict[str, tuple[float, float]] = {
    "opening": (0, 1000),
    "kickstart": (0.0, 1e3),
    "kickstart_half": (0, 10**9),
    "goal_weight": (0.0, 1e3),
    "imitation_batch": (0, 65_536),
    "reward_gradient": (0.0, 1e6),
    "decay_updates": (0, 10**9),
    "batch": (1, 65_536),
    "updates_per_step": (1, 1024),
    "capacity": (1, 10**7),
    "discount": (0.0, 1.0),
    "target_rate": (0.0, 1.0),
    "network.width": (1, 4096),
    "network.blocks": (0, 64),
    "network.patch": (1, 64),
}
_POSITIVE = ("actor_rate", "critic_rate", "temperature_rate", "gradient_norm")


def check(config: SacConfig, loop: LoopConfig) -> None:
    """Whether the settings go together.

    Raises:
        UserError, ValueError: naming the field, its value and what is allowed.
    """
    for name in _POSITIVE:
        within(f"agent.{name}", getattr(config, name), 0, above=True)
    if loop.n_envs > config.capacity:
        raise ValueError(f"agent.capacity is {config.capacity}, allowed are loop.n_envs or more")
    if loop.learn_after > config.capacity:
        raise ValueError(f"loop.learn_after is {loop.learn_after}, allowed are 1 to agent.capacity")
