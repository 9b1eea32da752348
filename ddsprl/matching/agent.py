"""`--method agent`: a trained agent plays the synthesizer on a recording.

    recording ─▶ its first clip, as the agent knows clips ─▶ up to 50 edits ─▶ every preset on the way,
    heard on the whole recording ─▶ the best of them ─▶ with --polish: where Adam begins ─▶ judged as always

The agent hears what it was trained on: clips of its own length, the recording's first, at every probe. What
it made is compared on the whole length, like the presets of every other method.
"""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ddsprl.agents.playing import Player, playing, program
from ddsprl.env import EnvParams, MatchEnv, recording_targets, stage_params
from ddsprl.fitting.core.budget import Progress
from ddsprl.fitting.core.programs import awaited, running
from ddsprl.fitting.guess.of_targets import with_guesses
from ddsprl.fitting.inversion.grouped import Inversion, Prepared, search_group
from ddsprl.fitting.inversion.inverter import Inverter
from ddsprl.fitting.inversion.methods import Method
from ddsprl.io import UserError, fit_length
from ddsprl.matching.edits import edit_rows
from ddsprl.matching.options import HANDED_ON
from synth_jax import Note
from synth_jax.params import Table


@dataclass
class AgentSearch:
    """An agent in the place of a search over a group of targets.

    Attributes:
        player: the agent.
        polish: whether its presets are polished.
        episodes: of the targets of the last group, for `result.json`.
    """

    player: Player
    polish: bool
    episodes: list[dict[str, Any]] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Its environment keeps a history."""
        self.env = with_history(self.player.env)
        self.act = playing(self.player)

    def search(
        self,
        inverter: Inverter,
        method: Method,
        group: Prepared,
        keys: jax.Array,
        *,
        budget: int,
        searches: int,
        progress: Progress | None = None,
    ) -> Inversion:
        """As `search_several`; plays one episode a target, whatever `searches`."""
        del searches
        params = self._params(group)
        wide = keys[np.minimum(np.arange(len(group.starts)), len(keys) - 1)]
        run = program(self.env, self.act)
        with running():
            found = awaited(
                run((self.player.state, jnp.asarray(True)), jax.random.fold_in(wide[0], 2), params)
            )
        history, lengths, _ = jax.tree.map(np.asarray, found)
        # After its end an episode stays where it was, so that every row holds a preset that was played.
        rows = np.minimum(np.arange(history.loss.shape[1]), lengths[:, None])
        knobs = np.take_along_axis(history.knobs, rows[..., None], axis=1)
        played = np.asarray(inverter.problem.snap(jnp.asarray(knobs)), np.float32)
        heard = self._hear(inverter, group, played)
        order = np.argsort(heard, axis=1, kind="stable")[:, :HANDED_ON]
        starts = np.take_along_axis(played, order[..., None], axis=1)
        free = group.free * np.asarray(params.free)
        spent = 2 * played.shape[1]
        money = budget if self.polish else starts.shape[1]
        result = search_group(
            inverter, method, group._replace(starts=starts), budget=money, progress=progress
        )
        table = inverter.problem.instrument.table
        self.episodes = [
            _episode(table, free, history, int(lengths[i]), i) for i in range(len(group.note.midi))
        ]
        curve = np.minimum.accumulate(heard, axis=1)[: len(group.note.midi)]
        return result._replace(
            curve=np.concatenate([curve, np.minimum(result.curve, curve[:, -1:])], axis=1),
            curve_renders=np.concatenate([1 + np.arange(curve.shape[1]), spent + result.curve_renders]),
            curve_snapped=np.ones(curve.shape[1] + len(result.curve_renders), bool),
            renders=result.renders + spent,
            free=free,
        )

    def said(self, index: int) -> dict[str, Any]:
        """What `result.json` says of the episode of a target of the last group."""
        about = {"stage": self.player.stage, "iteration": self.player.iteration, "polish": self.polish}
        return {"agent": about, "episode": self.episodes[index]}

    def _params(self, group: Prepared) -> EnvParams:
        """Parameters of an environment whose targets are the recordings."""
        env, synth, probes = self.env, self.env.instrument, self.env.config.probes
        cut = [fit_length(x, synth.n_samples, fade=0) for x in np.asarray(group.targets.audio)]
        audio = np.repeat(np.stack(cut)[:, None], probes, axis=1)
        index = np.minimum(np.arange(len(cut)), len(group.note.midi) - 1)
        # A key that is held beyond the clip is held to its end.
        gate_s = np.minimum(group.note.gate_s, synth.duration_s)
        parts = (group.note.midi, gate_s, group.note.velocity)
        notes = Note(*(np.repeat(np.asarray(x)[index, None], probes, axis=1) for x in parts))
        targets = recording_targets(synth, audio, notes)
        try:
            params, _ = stage_params(env, self.player.stage, split="held_out", targets=targets)
        except ValueError:
            # No reference was measured for this setup: nothing ends an episode early.
            params, _ = stage_params(env, self.player.stage, split="held_out", targets=targets, epsilon=0.0)
        # Episodes begin at the neutral patch, but where the user holds a knob.
        start = np.where(group.free > 0, np.asarray(synth.default), group.locked).astype(np.float32)
        begun = jnp.asarray(np.broadcast_to(start, (len(cut), len(start))))
        params = with_guesses(env, params)
        return params._replace(
            free=params.free * jnp.asarray(group.free, jnp.float32),
            targets=params.targets._replace(u=begun),
            warm_start_probability=jnp.zeros_like(params.warm_start_probability),
        )

    def _hear(self, inverter: Inverter, group: Prepared, played: np.ndarray) -> np.ndarray:
        """Losses of the played presets `[G, m, d]` on the whole length, `[G, m]`."""
        _, noise, _ = jax.vmap(lambda key: jax.random.split(key, 3), out_axes=1)(group.keys)
        chunk, found = inverter.config.candidates, []
        for first in range(0, played.shape[1], chunk):
            # As many as the random reference scores at a time, so that no other program is compiled.
            part = np.minimum(np.arange(first, first + chunk), played.shape[1] - 1)
            found.append(np.asarray(inverter.scores(played[:, part], group.targets, noise)))
        return np.concatenate(found, axis=1)[:, : played.shape[1]]


def load_search(run: Path, *, polish: bool, sample_rate: int) -> AgentSearch:
    """The agent of a run, ready to play recordings.

    Raises:
        UserError: no such run, or it plays another instrument or at another rate.
    """
    from ddsprl.training.restore import load_agent, say_what_was_damaged

    loaded = load_agent(run)
    say_what_was_damaged(loaded)
    return checked(loaded, run, polish=polish, sample_rate=sample_rate)


def checked(player: Player, run: Path, *, polish: bool, sample_rate: int) -> AgentSearch:
    """The search of a loaded agent.

    Raises:
        UserError: it plays another instrument than presets are written for, or at another rate.
    """
    synth = player.env.instrument
    if synth.name != "serum_lite":
        raise UserError(f"--run {run}: its agent plays {synth.name}; recordings are matched with serum_lite")
    if synth.sample_rate != sample_rate:
        rate = synth.sample_rate
        raise UserError(f"--sample-rate is {sample_rate}, the agent of {run} hears sounds at {rate} Hz only")
    return AgentSearch(player, polish)


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
