"""`--method agent`: a trained agent plays the synthesizer on a recording.

    recording ─▶ its first clip, as the agent knows clips ─▶ up to 50 edits ─▶ every preset on the way,
    heard on the whole recording ─▶ the best of them ─▶ with --polish: where Adam begins ─▶ judged as always

The agent hears what it was trained on: clips of its own length, the recording's first, at every probe. What
it made is compared on the whole length, like the presets of every other method.
"""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ddsprl.agents.playing import Player, playing, program
from ddsprl.env import EnvParams, MatchEnv, recording_targets, stage_params
from ddsprl.fitting.core.budget import Progress
from ddsprl.fitting.core.programs import awaited, running
from ddsprl.fitting.core.streams import named
from ddsprl.fitting.guess.of_targets import with_guesses
from ddsprl.fitting.inversion.inverter import Inverter
from ddsprl.fitting.inversion.methods import Method
from ddsprl.fitting.inversion.records import Inversion, TargetGroup
from ddsprl.fitting.inversion.searching import SolverSearch
from ddsprl.io import UserError, fit_length
from ddsprl.matching.edits import edit_rows
from ddsprl.matching.options import HANDED_ON, POLISH, MatchOptions
from synth_jax import Note
from synth_jax.params import Table


@dataclass
class AgentSearch:
    """An agent in the place of a search over a group of targets; one episode a target.

    Attributes:
        player: the agent.
        budget: renders for polishing its presets; None to leave them as they are.
    """

    player: Player
    budget: int | None

    def __post_init__(self) -> None:
        """Its environment keeps a history."""
        self.env = with_history(self.player.env)
        self.act = playing(self.player)
        self._episodes: list[dict[str, Any]] = []

    @property
    def method(self) -> Method:
        """What its presets are handed to."""
        return POLISH

    def search(
        self, inverter: Inverter, group: TargetGroup, *, progress: Progress | None = None
    ) -> Inversion:
        """See `ddsprl.fitting.inversion.searching.Searcher`."""
        params = self._params(group)
        run = program(self.env, self.act)
        keys = jax.vmap(lambda key: named(key, "play"))(group.streams.search)[0]
        with running():
            found = awaited(run((self.player.state, jnp.asarray(True)), keys, params))
        history, lengths, _ = jax.tree.map(np.asarray, found)
        # After its end an episode stays where it was, so that every row holds a preset that was played.
        rows = np.minimum(np.arange(history.loss.shape[1]), lengths[:, None])
        knobs = np.take_along_axis(history.knobs, rows[..., None], axis=1)
        played = np.asarray(inverter.problem.snap(jnp.asarray(knobs)), np.float32)
        heard = self._losses(inverter, group, played)
        order = np.argsort(heard, axis=1, kind="stable")[:, :HANDED_ON]
        best = group._replace(starts=np.take_along_axis(played, order[..., None], axis=1))
        budget = best.starts.shape[1] if self.budget is None else self.budget
        polished = SolverSearch(POLISH, budget).search(inverter, best, progress=progress)
        free = group.knobs.free * np.asarray(params.free)
        table = inverter.problem.instrument.table
        self._episodes = [_episode(table, free, history, int(lengths[i]), i) for i in range(group.count)]
        return _after(polished, np.minimum.accumulate(heard, axis=1)[: group.count], free)

    def about(self, index: int) -> dict[str, Any]:
        """The episode of a target of the last group, and whose it is."""
        polish = self.budget is not None
        about = {"stage": self.player.stage, "iteration": self.player.iteration, "polish": polish}
        return {"agent": about, "episode": self._episodes[index]}

    def _params(self, group: TargetGroup) -> EnvParams:
        """Parameters of an environment whose targets are the recordings."""
        env, synth, probes = self.env, self.env.instrument, self.env.config.probes
        cut = [fit_length(x, synth.n_samples, fade=0) for x in np.asarray(group.targets.audio)]
        audio = np.repeat(np.stack(cut)[:, None], probes, axis=1)
        note = group.filled(group.task.note)
        # A key that is held beyond the clip is held to its end.
        parts = (note.midi, np.minimum(note.gate_s, synth.duration_s), note.velocity)
        notes = Note(*(np.repeat(np.asarray(x)[:, None], probes, axis=1) for x in parts))
        targets = recording_targets(synth, audio, notes)
        try:
            params, _ = stage_params(env, self.player.stage, split="held_out", targets=targets)
        except ValueError:
            # No reference was measured for this setup: nothing ends an episode early.
            params, _ = stage_params(env, self.player.stage, split="held_out", targets=targets, epsilon=0.0)
        # Episodes begin at the neutral patch, but where the user holds a knob.
        start = np.where(group.knobs.free > 0, np.asarray(synth.default), group.knobs.locked).astype(
            np.float32
        )
        begun = jnp.asarray(np.broadcast_to(start, (len(cut), len(start))))
        params = with_guesses(env, params)
        return params._replace(
            free=params.free * jnp.asarray(group.knobs.free, jnp.float32),
            targets=params.targets._replace(u=begun),
            warm_start_probability=jnp.zeros_like(params.warm_start_probability),
        )

    def _losses(self, inverter: Inverter, group: TargetGroup, played: np.ndarray) -> np.ndarray:
        """Losses of the played presets `[G, m, d]` on the whole length, `[G, m]`."""
        chunk, found = inverter.config.candidates, []
        for first in range(0, played.shape[1], chunk):
            # As many as the random reference scores at a time, so that no other program is compiled.
            part = np.minimum(np.arange(first, first + chunk), played.shape[1] - 1)
            found.append(np.asarray(inverter.scores(played[:, part], group.targets, group.streams.search)))
        return np.concatenate(found, axis=1)[:, : played.shape[1]]


def _after(polished: Inversion, curve: np.ndarray, free: np.ndarray) -> Inversion:
    """What was found after an episode, whose best losses on the way come before the search's.

    An edit takes two renders: one to be played, one to be heard on the whole length.
    """
    count, edits = curve.shape
    course, cost = polished.course, polished.cost
    steps = np.broadcast_to(1 + np.arange(edits), (count, edits))
    return polished._replace(
        course=course._replace(
            renders=np.concatenate([steps, 2 * edits + course.renders], axis=1),
            loss=np.concatenate([curve, np.minimum(course.loss, curve[:, -1:])], axis=1),
            # The solver's own curves are those of the polish alone.
            traces={},
        ),
        cost=cost._replace(renders=cost.renders + 2 * edits),
        task=polished.task._replace(free=np.broadcast_to(free, polished.task.free.shape)),
    )


def load_search(run: Path, options: MatchOptions) -> AgentSearch:
    """The agent of a run, ready to play recordings.

    Raises:
        UserError: no such run, or it plays another instrument or at another rate.
    """
    from ddsprl.training.restore import load_agent, say_what_was_damaged

    loaded = load_agent(run)
    say_what_was_damaged(loaded)
    return checked(loaded, run, options)


def checked(player: Player, run: Path, options: MatchOptions) -> AgentSearch:
    """The search of a loaded agent.

    Raises:
        UserError: it plays another instrument than the one that is asked for, or at another rate.
    """
    synth = player.env.instrument
    if synth.name != options.instrument:
        raise UserError(f"--run {run}: its agent plays {synth.name}, --instrument is {options.instrument}")
    if synth.sample_rate != options.sample_rate:
        asked, rate = options.sample_rate, synth.sample_rate
        raise UserError(f"--sample-rate is {asked}, the agent of {run} hears sounds at {rate} Hz only")
    return AgentSearch(player, options.budget if options.polish else None)


def with_history(env: MatchEnv) -> MatchEnv:
    """The same environment, with its history on."""
    return dataclasses.replace(env, config=dataclasses.replace(env.config, history=True))


def _episode(table: Table, free: np.ndarray, history: Any, length: int, index: int) -> dict[str, Any]:
    """One target's episode, JSON-ready: losses, knobs that it could turn, and every edit in words."""
    knobs, losses = history.knobs[index, : length + 1], history.loss[index, : length + 1]
    turned = np.flatnonzero(free > 0)
    names: Sequence[str] = [table[i].name for i in turned]
    return {
        "names": names,
        "knobs": knobs[:, turned].tolist(),
        "losses": losses.tolist(),
        "edits": edit_rows(table, knobs, losses, history.module[index, :length]),
    }
