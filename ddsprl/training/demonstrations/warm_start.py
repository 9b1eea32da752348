"""A run's demonstrations: recorded once a stage, kept in RUN/demonstrations, cloned, mixed into batches.

Every stage that training enters brings its own, for a demonstration may only use knobs that are unlocked.
A stage's file is read where it exists, so that a resumed run learns from the same rows.
"""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from ddsprl.agents.replay import add_rows
from ddsprl.env import EnvParams
from ddsprl.training.demonstrations.cloning import clone
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
    if not path.is_file():
        key = jax.random.fold_in(jax.random.fold_in(jax.random.key(training.config.seed), _RECORD), stage)
        path.parent.mkdir(exist_ok=True)
        found = record(training.env, params, training.config.warm, key, rest=training.rest)
        save_demonstrations(path, found)
    return load_demonstrations(path, env=training.env, params=params, rest=training.rest)


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
    settings, config = training.config.warm, training.config
    agents, figures = [], []
    for i in range(config.seeds):
        state = jax.tree.map(lambda x, i=i: x[i], loop.agent)
        state, metrics = clone(
            training.agent,
            state,
            demos,
            jax.random.fold_in(jax.random.key(config.seed + i), _CLONE),
            steps=settings.clone_steps,
            batch=settings.clone_batch,
            rate=settings.clone_rate,
            allowed=training.agent.actions.allowed(params.free),
            every_module=True,
        )
        agents.append(state)
        figures.append({name: float(value) for name, value in metrics.items()})
    return loop._replace(agent=jax.tree.map(lambda *x: jnp.stack(x), *agents)), figures


def with_demos(loop: Loop, demos: Demonstrations, chosen: list[bool], *, most: int) -> Loop:
    """The loop with demonstrations added to those that the chosen seeds have.

    Args:
        loop: of all seeds, with room for them.
        demos: of one stage.
        chosen: seeds.
        most: transitions to add; the rest, the last episodes, is left out.
    """
    rows = jax.tree.map(lambda x: x[:most], demos.rows)
    free = np.broadcast_to(np.array(demos.about.free) > 0, (len(rows.reward), len(demos.about.free)))
    added = _add_to_all(loop.demos, rows._replace(free=free))
    mask = jnp.asarray(chosen)

    def choose(new, old):
        return jnp.where(jnp.reshape(mask, (-1,) + (1,) * (old.ndim - 1)), new, old)

    return loop._replace(demos=jax.tree.map(choose, added, loop.demos))


_add_to_all = jax.jit(jax.vmap(add_rows, (0, None)))
