"""Settings of a training run: `RunConfig`, composed of the rooms' own settings and those of the loop.

Agent and environment are chosen by `agent.name` and `env.name`; each brings its own record of settings.

An iteration is one step of all episodes together, that is `loop.n_envs` environment steps and the gradient
steps that are due after them. What is to happen every so many iterations happens at the end of the
first compiled call (`loop.chunk` iterations) that reaches or passes the number.
"""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ddsprl.agents import AGENTS, AgentConfig
from ddsprl.agents.contract import LoopConfig
from ddsprl.env import EnvironmentConfig
from ddsprl.env.domain import Domain
from ddsprl.io import UserError
from ddsprl.io.checks import one_of, plain_name, within
from ddsprl.training.match import MATCH

# The kinds of environments that can be trained in, by name: a new one is a `Domain` and a line here.
DOMAINS: dict[str, Domain] = {"match": MATCH}
AGENT, ENVIRONMENT = "sac", "match"
SOLVERS = ("hybrid", "cma_es", "adam", "preset")


@dataclass(frozen=True, kw_only=True)
class WarmConfig:
    """A start from searches; each part is a switch.

    Attributes:
        demonstrations: targets of each stage, recorded as episodes; 0 for none.
        solver: hybrid, cma_es or adam; or preset, the known presets themselves without a search.
        budget: renders of a search.
        clone_steps: gradient steps of behaviour cloning before training; 0 for none.
        clone_batch: transitions of such a step.
        clone_rate: learning rate of it.
    """

    demonstrations: int = 0
    solver: str = "hybrid"
    budget: int = 512
    clone_steps: int = 0
    clone_batch: int = 256
    clone_rate: float = 1e-3


@dataclass(frozen=True, kw_only=True)
class CurriculumConfig:
    """Stages, and the evaluations that decide on them.

    Attributes:
        enabled: False trains on `last_stage` from the beginning.
        first_stage: from 1.
        last_stage: at which promotion ends; the last of the instrument if None.
        evaluate_every: iterations between evaluations.
        evaluate_episodes: held-out presets, an episode each.
        evaluate_all: also evaluate on every other stage, for curves that do not jump where a stage is passed.
        patience_evaluations: in a row that must stay under the threshold.
        rehearsal: share of a stage's training targets that are of the stages before it, as many of each.
        refresh_every: iterations after which the training targets are other ones (running episodes begin
            anew); 0 for one bucket throughout. An agent that hears the same ones again and again learns them
            by heart.
        threshold: median evaluation loss under which a stage is passed. None: the committed reference's.
    """

    enabled: bool = True
    first_stage: int = 1
    last_stage: int | None = None
    evaluate_every: int = 200
    evaluate_episodes: int = 32
    evaluate_all: bool = False
    patience_evaluations: int = 2
    rehearsal: float = 0.0
    refresh_every: int = 0
    threshold: float | None = None


@dataclass(frozen=True, kw_only=True)
class LogConfig:
    """What a run writes down, and how often, in iterations.

    Attributes:
        name: of the run, and of its directory if none is given.
        every: between records of training.
        checkpoint_every: between checkpoints; the end of a run and an interruption save too.
        keep: checkpoints.
        tensorboard: True, False, or None for whether it is installed.
        wandb: also log to Weights & Biases.
        snapshots_every: between sounds of the first seed's best and worst training episode since the last
            ones; 0 for none.
        snapshots_kept: of these.
    """

    name: str = "default"
    every: int = 20
    checkpoint_every: int = 400
    keep: int = 2
    tensorboard: bool | None = None
    wandb: bool = False
    snapshots_every: int = 400
    snapshots_kept: int = 5


@dataclass(frozen=True, kw_only=True)
class RunConfig:
    """Everything that a run depends on; hashable.

    Attributes:
        env: the environment, one of `DOMAINS`.
        agent: one of `ddsprl.agents.registry`, with its networks.
        loop: experience.
        warm: demonstrations and cloning.
        curriculum: stages and evaluations.
        log: records.
        seed: of everything random but the targets, which have `env.seed`.
        seeds: agents trained in one program; agent i begins as `seed + i` alone would, from the
            demonstrations of `seed`.
        deterministic: on an accelerator, only operations whose results do not vary from run to run.
    """

    env: EnvironmentConfig = field(default_factory=lambda: DOMAINS[ENVIRONMENT].settings)
    agent: AgentConfig = field(default_factory=lambda: AGENTS[AGENT].config(name=AGENT))
    loop: LoopConfig = LoopConfig()
    warm: WarmConfig = WarmConfig()
    curriculum: CurriculumConfig = CurriculumConfig()
    log: LogConfig = LogConfig()
    seed: int = 0
    seeds: int = 1
    deterministic: bool = False

    @property
    def domain(self) -> Domain:
        """What is known of the environment's kind."""
        return DOMAINS[self.env.name]

    @property
    def last_stage(self) -> int:
        """At which promotion ends: as it is set, or the last that there is."""
        given, stages = self.curriculum.last_stage, self.domain.stages
        if given is not None:
            return given
        return 1 if stages is None else stages.count(self.env)

    @property
    def all_stages(self) -> tuple[int, ...]:
        """Numbers of the stages of a run, in order."""
        if self.domain.stages is None:
            return (1,)
        return tuple(range(self.curriculum.first_stage, self.last_stage + 1))

    @property
    def stages(self) -> tuple[int, ...]:
        """Of these, the ones that training goes through."""
        return self.all_stages if self.curriculum.enabled else self.all_stages[-1:]


def settings_for(given: Mapping[str, Any]) -> RunConfig:
    """The default settings of the agent and the environment that are named among other settings.

    Args:
        given: by dotted names or nested, or both.

    Raises:
        UserError: there is no such agent or environment.
    """
    agent, env = value_in(given, "agent.name") or AGENT, value_in(given, "env.name") or ENVIRONMENT
    one_of("agent.name", agent, AGENTS)
    one_of("env.name", env, DOMAINS)
    return dataclasses.replace(RunConfig(), agent=AGENTS[agent].config(name=agent), env=DOMAINS[env].settings)


def value_in(given: Mapping[str, Any], name: str) -> Any:
    """What stands under a name of two parts among settings, dotted or nested; None if nothing does."""
    group, _, inner = name.partition(".")
    inside = given.get(group)
    return given.get(name, inside.get(inner) if isinstance(inside, Mapping) else None)


# Least and most of every number that is bounded.
_RANGES: dict[str, tuple[float, float]] = {
    "loop.n_envs": (1, 65_536),
    "loop.iterations": (1, 10**9),
    "loop.learn_after": (1, 10**7),
    "loop.critic_first": (0, 10**9),
    "loop.cut": (0.0, 0.9),
    "loop.chunk": (1, 10_000),
    "loop.off_mode": (0.0, 1.0),
    "loop.off_mode_share": (0.0, 1.0),
    "loop.demo_share": (0.0, 0.9),
    "warm.demonstrations": (0, 65_536),
    "warm.budget": (64, 10**6),
    "warm.clone_steps": (0, 10**7),
    "warm.clone_batch": (1, 65_536),
    "curriculum.rehearsal": (0.0, 0.9),
    "curriculum.refresh_every": (0, 10**9),
    "curriculum.evaluate_every": (1, 10**9),
    "curriculum.evaluate_episodes": (1, 4096),
    "curriculum.patience_evaluations": (1, 1000),
    "log.every": (1, 10**9),
    "log.checkpoint_every": (1, 10**9),
    "log.keep": (1, 1000),
    "log.snapshots_every": (0, 10**9),
    "log.snapshots_kept": (1, 10_000),
    "seed": (0, 2**31 - 1),
    "seeds": (1, 256),
}


def checked(config: RunConfig) -> RunConfig:
    """The settings, if they can be trained with.

    Raises:
        UserError: naming the field, its value and what is allowed.
    """
    entry, domain = AGENTS[config.agent.name], config.domain
    try:
        domain.make(config.env)
    except ValueError as error:
        raise UserError(f"env.{error}") from None
    ranges = _RANGES | {f"agent.{name}": bounds for name, bounds in entry.ranges.items()}
    if domain.stages is not None:
        allowed = (1, domain.stages.count(config.env))
        ranges |= {f"curriculum.{name}": allowed for name in ("first_stage", "last_stage")}
    for name, (low, high) in ranges.items():
        value: Any = config
        for part in name.split("."):
            value = getattr(value, part)
        if value is not None:
            within(name, value, low, high)
    try:
        entry.check(config.agent, config.loop)
    except ValueError as error:
        raise UserError(str(error)) from None
    _check_together(config)
    return config


def _check_together(config: RunConfig) -> None:
    curriculum, loop, warm = config.curriculum, config.loop, config.warm
    one_of("warm.solver", warm.solver, SOLVERS)
    if curriculum.enabled and curriculum.first_stage > config.last_stage:
        first, last = curriculum.first_stage, config.last_stage
        raise UserError(f"curriculum.first_stage is {first}, after curriculum.last_stage, {last}")
    if loop.finite_horizon and loop.cut:
        raise UserError(f"loop.cut is {loop.cut}; with loop.finite_horizon only 0")
    if warm.clone_steps and not warm.demonstrations:
        raise UserError(f"warm.clone_steps is {warm.clone_steps}; without warm.demonstrations only 0")
    if warm.demonstrations and not config.domain.demonstrated:
        name = config.env.name
        raise UserError(f"warm.demonstrations is {warm.demonstrations}; for env.name {name} only 0")
    plain_name("log.name", config.log.name)
