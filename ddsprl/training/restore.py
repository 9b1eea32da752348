"""An agent out of a run's newest checkpoint, for whoever wants to use it and not to train it on."""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax

from ddsprl.agents import Agent
from ddsprl.io import UserError
from ddsprl.io.checkpoints import Checkpoints
from ddsprl.io.runs import open_run
from ddsprl.training.config import RunConfig
from ddsprl.training.loop import make_agent
from ddsprl.training.options import config_of
from ddsprl.training.records import RunNotes


@dataclass(frozen=True)
class LoadedAgent:
    """A trained agent with what it was trained on.

    Attributes:
        config: of the run.
        env: its environment.
        agent: its static part.
        state: what one seed has learnt.
        stage: that this seed had reached.
        iteration: of the checkpoint.
        damaged: newer checkpoints that could not be used, a line each.
    """

    config: RunConfig
    env: Any
    agent: Agent
    state: Any
    stage: int
    iteration: int
    damaged: tuple[str, ...] = ()


def load_agent(run: Path, seed: int = 0, *, cloned: bool = False) -> LoadedAgent:
    """The agent of a run; only the item `agent` of the checkpoint is read.

    Args:
        run: directory of the run.
        seed: which of its agents, from 0.
        cloned: the agent as it was after behaviour cloning instead.

    Raises:
        UserError: no run, no such seed, or no checkpoint that can be used.
    """
    config = config_of(run)
    if not 0 <= seed < config.seeds:
        raise UserError(f"seed is {seed}, {run} has agents 0 to {config.seeds - 1}")
    env = config.domain.make(config.env)
    agent = make_agent(config, env)
    directory = open_run(run)
    folder = directory.cloned if cloned else directory.checkpoints
    like = jax.eval_shape(jax.vmap(agent.init), jax.random.split(jax.random.key(0), config.seeds))
    found = Checkpoints(folder).restore({"agent": like})
    notes = RunNotes.from_record(found.notes)
    state = jax.tree.map(lambda x: x[seed], found.items["agent"])
    stage = notes.curriculum[seed].stage
    return LoadedAgent(config, env, agent, state, stage, found.step, found.damaged)


def say_what_was_damaged(loaded: LoadedAgent) -> None:
    """Name the checkpoints that were left out, for whoever takes the agent for the newest."""
    for line in loaded.damaged:
        where = f"the agent is that of iteration {loaded.iteration}"
        print(f"damaged and left out: {line}; {where}", file=sys.stderr)
