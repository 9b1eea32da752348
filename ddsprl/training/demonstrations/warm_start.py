"""A run's demonstrations: recorded once a stage, kept in RUN/demonstrations, cloned, mixed into batches.

Every stage that training enters brings its own, for a demonstration may only use knobs that are unlocked.
A stage's file is read where it exists, so that a resumed run learns from the same rows.
"""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from ddsprl.agents.contract import Pupil
from ddsprl.env import EnvParams, MatchEnv
from ddsprl.training.demonstrations.cloning import Lessons, clone
from ddsprl.training.demonstrations.files import load_demonstrations, save_demonstrations
from ddsprl.training.demonstrations.recording import Demonstrations, record
from ddsprl.training.loop import Training
from ddsprl.training.records import Loop

FOLDER = "demonstrations"
# Streams of a run's keys that nothing else uses.
_RECORD, _CLONE = 101, 102


def demonstrations(training: Training, folder: Path, stage: int, params: EnvParams) -> Demonstrations:
    """The demonstrations of a stage, from RUN/demonstrations or recorded and stored there.

    Args:
        training: of the run.
        folder: RUN.
        stage: names the file.
        params: of the stage, with the training bucket.
    """
    path = folder / FOLDER / f"stage_{stage}.npz"
    env: MatchEnv = training.env  # pyright: ignore[reportAssignmentType]
    sight = pupil_of(training).sight
    if not path.is_file():
        key = jax.random.fold_in(jax.random.fold_in(jax.random.key(training.config.seed), _RECORD), stage)
        path.parent.mkdir(exist_ok=True)
        save_demonstrations(path, record(env, params, training.config.warm, key, sight=sight))
    return load_demonstrations(path, env=env, params=params, sight=sight)


def pupil_of(training: Training) -> Pupil:
    """What the agent of a run can do with demonstrations; checked when it was made."""
    assert training.agent.pupil is not None
    return training.agent.pupil


def with_clones(
    training: Training, loop: Loop, demos: Demonstrations, params: EnvParams
) -> tuple[Loop, list[dict[str, float]]]:
    """Every seed's actor cloned from the same demonstrations.

    Args:
        training: of the run.
        loop: of all seeds.
        demos: of the first stage.
        params: of that stage.

    Returns:
        The loop, and each seed's figures.
    """
    settings, config, imitator = training.config.warm, training.config, pupil_of(training).imitator
    lessons = Lessons(settings.clone_steps, settings.clone_batch, settings.clone_rate, every_module=True)
    allowed = imitator.actions.allowed(params.free)
    agents, figures = [], []
    for i in range(config.seeds):
        state = jax.tree.map(lambda x, i=i: x[i], loop.agent)
        key = jax.random.fold_in(jax.random.key(config.seed + i), _CLONE)
        state, metrics = clone(imitator, state, demos, key, allowed=allowed, lessons=lessons)
        agents.append(state)
        figures.append({name: float(value) for name, value in metrics.items()})
    return loop._replace(agent=jax.tree.map(lambda *x: jnp.stack(x), *agents)), figures


def with_demos(training: Training, loop: Loop, demos: Demonstrations, chosen: list[bool]) -> Loop:
    """The loop with demonstrations added to those that the chosen seeds have.

    Of more than there is room for the last episodes are left out.

    Args:
        training: of the run.
        loop: of all seeds, with room for them.
        demos: of one stage.
        chosen: seeds.
    """
    rows = jax.tree.map(lambda x: x[: training.demos_of_stage], demos.rows)
    free = np.broadcast_to(np.array(demos.about.free) > 0, (len(rows.reward), len(demos.about.free)))
    add = jax.vmap(pupil_of(training).with_demos, (0, None, 0))
    return loop._replace(experience=add(loop.experience, rows._replace(free=free), jnp.asarray(chosen)))
