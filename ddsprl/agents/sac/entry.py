"""Soft actor-critic's line in the registry: its settings, what they may be, and how an agent is made."""

from ddsprl.agents.contract import Entry, LoopConfig
from ddsprl.agents.observing import action_spec, seen_spec, sight_of
from ddsprl.agents.sac.agent import Sac
from ddsprl.agents.sac.config import SacConfig
from ddsprl.agents.sac.learner import SacAgent
from ddsprl.env import Environment

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
        ValueError: naming the field, its value and what is allowed.
    """
    for name in _POSITIVE:
        if not getattr(config, name) > 0:
            raise ValueError(f"agent.{name} is {getattr(config, name)}, allowed is more than 0")
    if loop.n_envs > config.capacity:
        raise ValueError(f"agent.capacity is {config.capacity}, allowed are loop.n_envs or more")
    if loop.learn_after > config.capacity:
        raise ValueError(f"loop.learn_after is {loop.learn_after}, allowed are 1 to agent.capacity")


def make(config: SacConfig, env: Environment, loop: LoopConfig, cloned: bool) -> SacAgent:
    """The agent in an environment.

    Raises:
        ValueError: the environment does not observe what the settings need.
    """
    spec, guided = env.observation, config.guidance.opening
    if guided and not (spec.guess or config.teaching.goal_weight):
        raise ValueError(
            f"agent.opening is {guided}; without env.guess and agent.goal_weight, from which the actor's "
            "belief comes, only 0"
        )
    sight = sight_of(spec, finite_horizon=loop.finite_horizon)
    sac = Sac(config, action_spec(env.action), seen_spec(spec, sight))
    return SacAgent(sac, env.action, sight, loop, cloned)


SAC = Entry(SacConfig, make, RANGES, check)
