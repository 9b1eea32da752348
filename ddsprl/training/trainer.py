"""A run, seen from the host: prepare or restore, then chunk, log, evaluate, promote, save, until it ends.

Everything on which the course of training depends is a function of the checkpoint: the arrays of `Loop`, the
notes, and keys made of seed and iteration. So a resumed run goes on bit for bit.
"""

import time
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ddsprl.io import UserError
from ddsprl.io.checkpoints import Checkpoints
from ddsprl.io.progress import Display
from ddsprl.io.run_log import RunLog
from ddsprl.io.runs import RunDirectory
from ddsprl.io.settings import nested
from ddsprl.measuring.interruption import Interruption
from ddsprl.training.config import RunConfig
from ddsprl.training.curricula import Curricula
from ddsprl.training.demonstrations import warm_start
from ddsprl.training.demonstrations.recording import Demonstrations
from ddsprl.training.loop import Training, make_agent
from ddsprl.training.records import Loop, RunNotes, finite, loop_of, new_tally, summary
from ddsprl.training.snapshots import Snapshots, cleared

# Streams of a seed's keys.
_INIT, _EVALUATE, _PROMOTE = 0, 1, 2


def prepared(config: RunConfig) -> Training:
    """The programs of a run, with what can be wrong found out before anything is written.

    Raises:
        UserError: environment or agent cannot be made of these settings, or one does not suit the other.
    """
    try:
        env = config.domain.make(config.env)
    except ValueError as error:
        raise UserError(f"env.{error}") from None
    config.domain.check(config, env)
    try:
        return Training(config, env, make_agent(config, env))
    except ValueError as error:
        raise UserError(str(error)) from None


def go_on_command(run: RunDirectory) -> str:
    """What is typed to go on with a run."""
    return f"python -m ddsprl.train --resume {run.path}"


def status(record: dict[str, Any], ended: dict[str, Any] | None) -> str:
    """Where training stands, in words: a record of it, and the last one in whose time episodes ended."""
    episodes = "no episode ended yet"
    if ended is not None:
        episodes = f"loss {ended['best_loss']:.3f}, solved {ended['success_rate']:.0%}"
    return f"{episodes}, stage {record['stage']}, {record['steps_per_s']:.0f} steps/s"


class Trainer:
    """One run under way."""

    def __init__(self, training: Training, run: RunDirectory, display: Display) -> None:
        """Prepare a new run, or go on with one that has a checkpoint.

        Args:
            training: its programs.
            run: its directory, held by this process.
            display: of the progress.

        Raises:
            UserError: no checkpoint can be used, or the log does not fit.
        """
        self.training, self.run, self.display = training, run, display
        config = training.config
        self.checkpoints = Checkpoints(run.checkpoints, keep=config.log.keep)
        self.snapshots = Snapshots(run.audio, training.env, keep=config.log.snapshots_kept)
        resumed = bool(self.checkpoints.steps())
        if resumed:
            self.loop, self.notes = self._restored()
            self.curricula = Curricula(config, training.env, self.notes.curriculum)
            self.curricula.at(self.notes.iteration)
            self.params = self.curricula.stacked()
        else:
            self.curricula = Curricula(config, training.env)
            self.params = self.curricula.stacked()
            keys = jnp.stack([jax.random.fold_in(key, _INIT) for key in self.keys])
            self.loop = training.init(keys, self.params)
            self.notes = RunNotes(iteration=0, curriculum=list(self.curricula.states))
        self._ended: dict[str, Any] | None = None
        self._logged_at = (time.monotonic(), self.notes.iteration)
        self.log = RunLog(
            run.path,
            position=self.notes.log_bytes,
            tensorboard=config.log.tensorboard,
            wandb=config.log.wandb,
            name=run.path.name,
            config=nested(config),
        )
        if not resumed:
            self._begin()

    @property
    def keys(self) -> list[jax.Array]:
        """One a seed, from which all others are made."""
        config = self.training.config
        return [jax.random.key(config.seed + i) for i in range(config.seeds)]

    def _restored(self) -> tuple[Loop, RunNotes]:
        """From the newest checkpoint that is whole."""
        found = self.checkpoints.restore(self.training.loop_like().items)
        for line in found.damaged:
            self.display.say(f"damaged and left out: {line}")
        for name, (then, now) in self.run.changed_versions().items():
            self.display.say(f"{name} was {then} and is {now}: results may differ in rounding")
        return loop_of(found.items), RunNotes.from_record(found.notes)

    def _begin(self) -> None:
        """Demonstrations, cloning, and the evaluation before any training."""
        warm, config = self.training.config.warm, self.training.config
        if warm.demonstrations:
            self.loop = self.training.with_room_for_demos(self.loop)
            demos = self._demonstrate(config.stages[0], [True] * config.seeds)
            if warm.clone_steps:
                self._clone(demos)
        self._evaluate()

    def _demonstrate(self, stage: int, chosen: list[bool]) -> Demonstrations:
        """Record or read a stage's demonstrations, for the seeds that have reached it."""
        begun = time.monotonic()
        self.display.say(f"demonstrations of stage {stage}")
        params = self.curricula.of_stage(stage).own
        demos = warm_start.demonstrations(self.training, self.run.path, stage, params)
        self.loop = warm_start.with_demos(self.training, self.loop, demos, chosen)
        about = demos.about
        record = {
            "kind": "demonstrations",
            "iteration": self.notes.iteration,
            "stage": stage,
            "episodes": about.episodes,
            "transitions": demos.count,
            "renders": about.charged * about.episodes,
            "start_loss": about.start_loss,
            "best_loss": about.best_loss,
            "success_rate": about.terminated,
            "wall_s": time.monotonic() - begun,
        }
        self.log.write(record)
        return demos

    def _clone(self, demos: Demonstrations) -> None:
        params = self.curricula.of_stage(self.training.config.stages[0]).own
        self.loop, figures = warm_start.with_clones(self.training, self.loop, demos, params)
        for seed, metrics in enumerate(figures):
            self.log.write({"kind": "cloning", "iteration": 0, "seed": seed, **metrics})
        kept = Checkpoints(self.run.cloned, keep=1)
        kept.save(0, {"agent": self.loop.agent}, self.notes.record())

    def train(self, interruption: Interruption, stop_at: int | None = None) -> int:
        """Until the end, an interruption or `stop_at`; returns the exit code.

        Args:
            interruption: in force since before the run was prepared.
            stop_at: iterations after which to leave.
        """
        settings = self.training.config.loop
        last = settings.iterations if stop_at is None else min(settings.iterations, stop_at)
        interruption.remember("interrupted; not saved since the last checkpoint")
        with self.log:
            while self.notes.iteration < last and not interruption.code:
                self._chunk()
            if self.notes.iteration >= settings.iterations:
                self._finish()
            self._save()
        if self.notes.iteration < settings.iterations:
            command = go_on_command(self.run)
            self.display.say(f"saved at iteration {self.notes.iteration}; go on with: {command}")
        return interruption.code

    def _chunk(self) -> None:
        """One compiled call and what follows it."""
        config, begun = self.training.config, time.monotonic()
        self.loop, metrics = self.training.advance(self.loop, self.params)
        jax.block_until_ready(self.loop.steps)
        before = self.notes.iteration
        self.notes.iteration += config.loop.chunk

        def due(every: int) -> bool:
            return every > 0 and self.notes.iteration // every > before // every

        self.notes.wall_s += time.monotonic() - begun
        if due(config.log.every):
            self._log(metrics)
        if due(config.curriculum.refresh_every):
            self._new_targets([True] * config.seeds)
        if due(config.curriculum.evaluate_every):
            self._evaluate()
        if due(config.log.snapshots_every):
            self._snapshot()
        if due(config.log.checkpoint_every) and self.notes.iteration < config.loop.iterations:
            self._save()

    def _log(self, metrics: dict[str, jax.Array]) -> None:
        """A record for every seed; the tally begins anew."""
        config, tally = self.training.config, jax.tree.map(np.asarray, self.loop.tally)
        now, (before, iteration) = time.monotonic(), self._logged_at
        done = (self.notes.iteration - iteration) * config.loop.n_envs * config.seeds
        speed = done / (now - before)
        self._logged_at = (now, self.notes.iteration)
        counted, batch = self.training.agent.work(self.loop.agent)
        updates = np.asarray(counted)
        for seed in range(config.seeds):
            transitions = self.notes.iteration * config.loop.n_envs
            record = {
                "kind": "train",
                "iteration": self.notes.iteration,
                "seed": seed,
                "stage": self.curricula.states[seed].stage,
                "transitions": transitions,
                "updates": int(updates[seed]),
                "update_to_data": int(updates[seed]) * batch / transitions,
                **jax.tree.map(lambda x, seed=seed: x[seed], tally).figures(),
                **finite({name: float(x[seed]) for name, x in metrics.items()}),
                "wall_s": self.notes.wall_s,
                "steps_per_s": speed,
            }
            self.log.write(record)
            if seed == 0:
                self._show(record)
        none = new_tally(self.training.agent)
        fresh = jax.tree.map(lambda x: jnp.zeros((config.seeds, *x.shape), x.dtype), none)
        self.loop = self.loop._replace(tally=fresh)

    def _show(self, record: dict[str, Any]) -> None:
        if record["best_loss"] is not None:
            self._ended = record
        total, text = self.training.config.loop.iterations, status(record, self._ended)
        self.display.update(record["iteration"], total, text, "training")

    def _evaluate(self) -> None:
        """Episodes on held-out tasks; promotion where they are good enough."""
        config, begun, promoted = self.training.config.curriculum, time.monotonic(), []
        for seed, key in enumerate(self.keys):
            stage = self.curricula.states[seed].stage
            key = jax.random.fold_in(jax.random.fold_in(key, _EVALUATE), self.notes.iteration)
            each = self._figures(seed, stage, key)
            figures = each[stage]
            # What was there before training says nothing of training.
            trained = self.notes.iteration > 0
            promoted.append(trained and self.curricula.count(seed, figures["median_loss"]))
            self.notes.evaluations += 1
            where = {"kind": "evaluation", "iteration": self.notes.iteration, "seed": seed, "stage": stage}
            passes = {"passes": self.curricula.states[seed].passes, "promoted": promoted[-1]}
            wall = {"wall_s": self.notes.wall_s, "evaluation_s": time.monotonic() - begun}
            self.log.write({**where, **figures, **passes, **wall})
            if config.evaluate_all:
                for number, found in each.items():
                    where = {"kind": f"stage_{number}", "iteration": self.notes.iteration, "seed": seed}
                    self.log.write({**where, **found, "wall_s": self.notes.wall_s})
            self.display.say(
                f"iteration {self.notes.iteration}, stage {stage}: held-out median loss "
                f"{figures['median_loss']:.4f}, gap {figures['median_gap']:.4f}, solved "
                f"{figures['success_rate']:.0%}" + (", promoted" if promoted[-1] else "")
            )
        self.notes.curriculum = list(self.curricula.states)
        self.notes.evaluated_at = self.notes.iteration
        if any(promoted):
            self._promote(promoted)

    def _figures(self, seed: int, current: int, key: jax.Array) -> dict[int, dict[str, Any]]:
        """What a seed's agent reaches on held-out tasks of its stage, or of all stages of the run."""
        config = self.training.config.curriculum
        state = jax.tree.map(lambda x: x[seed], self.loop.agent)
        found = {}
        domain = self.training.config.domain
        for stage in self.training.config.all_stages if config.evaluate_all else (current,):
            held_out = self.curricula.held_out(stage)
            draws = key if stage == current else jax.random.fold_in(key, stage)
            episodes = self.training.evaluate(state, draws, held_out)
            floor = 0.0 if domain.stages is None else domain.stages.floors(episodes.state, held_out)
            found[stage] = summary(episodes, floor)
        return found

    def _promote(self, promoted: list[bool]) -> None:
        """New parameters and episodes for the seeds that were promoted; they keep what they know."""
        self._new_targets(promoted)
        if self.training.config.warm.demonstrations:
            stages = {self.curricula.states[i].stage for i, done in enumerate(promoted) if done}
            for stage in sorted(stages):
                states = zip(self.curricula.states, promoted, strict=True)
                self._demonstrate(stage, [done and state.stage == stage for state, done in states])

    def _new_targets(self, chosen: list[bool]) -> None:
        """The parameters of this iteration and these stages, and new episodes for some seeds."""
        self._snapshot()
        self.curricula.at(self.notes.iteration)
        self.params = self.curricula.stacked()
        where = self.notes.iteration
        keys = jnp.stack([jax.random.fold_in(jax.random.fold_in(k, _PROMOTE), where) for k in self.keys])
        self.loop = self.training.new_episodes(self.loop, keys, self.params, jnp.asarray(chosen))

    def _snapshot(self) -> None:
        """Sounds of the first seed's best and worst episode, if any; then these are looked for anew."""
        if self.training.config.log.snapshots_every == 0:
            return
        first = jax.tree.map(lambda x: x[0], (self.loop.extremes, self.params))
        self.snapshots.write(self.notes.iteration, *first)
        self.loop = self.loop._replace(extremes=cleared(self.loop.extremes))

    def _finish(self) -> None:
        """The last evaluation, unless one was just made, or was made before a finished run was resumed."""
        due = self.notes.iteration % self.training.config.curriculum.evaluate_every
        if due and self.notes.evaluated_at != self.notes.iteration:
            self._evaluate()

    def _save(self) -> None:
        self.notes.log_bytes = self.log.position()
        self.checkpoints.save(self.notes.iteration, self.loop.items, self.notes.record())
