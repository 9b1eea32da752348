"""The environment: match a target's sound by turning knobs, one episode, pure; batch with `vmap`.

    env, params = make_env(EnvConfig())
    obs, state = env.reset(key, params)
    obs, state, reward, terminated, truncated, info = env.step(key, state, action, params)

`step` never resets and lets gradients through; `wrappers` has the automatic reset. An episode starts at the
neutral patch, sometimes near the target. Its render key is fixed and is not the target's.
"""

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp

from ddsprl.env.contract import Environment, Score, Timestep, WayBack
from ddsprl.env.match import actions
from ddsprl.env.match.curriculum import free_mask
from ddsprl.env.match.observation import VECTORS, hear, layout, note_row, observe
from ddsprl.env.match.reward import Judgement, judge, reward_terms
from ddsprl.env.match.types import (
    AudioFeatures,
    Best,
    EnvConfig,
    EnvParams,
    EnvState,
    Episode,
    Final,
    History,
)
from ddsprl.env.specs import Action, Observation, ObservationSpec, Selector
from ddsprl.losses.objective import Objective
from ddsprl.plant import Plant
from synth_jax import Instrument, Note
from synth_jax.params import clip_unit, module_of_knob


@dataclass(frozen=True)
class MatchEnv(Environment):
    """Preset matching; static and hashable.

    Attributes:
        config: static settings.
        plant: without probes: every target brings its own notes.
    """

    config: EnvConfig
    plant: Plant

    @property
    def instrument(self) -> Instrument:
        """What is played."""
        return self.plant.instrument

    @property
    def objective(self) -> Objective:
        """The judge."""
        return Objective(self.config.objective, self.instrument.sample_rate)

    @property
    def steps(self) -> int:
        """T, the edits of a whole episode."""
        return self.config.steps

    @property
    def observation(self) -> ObservationSpec:
        """What is observed, and how networks read it."""
        told = self.config.guess
        # Where actions name positions there is no going towards a guess.
        towards = ("guess", "knobs") if told and self.config.action == "delta" else None
        fields = layout(self.instrument, self.config.probes, guess=told)
        return ObservationSpec(fields, VECTORS + ("guess",) * told, ("current", "target"), "time", towards)

    @property
    def action(self) -> Selector:
        """A module and the deltas of its knobs."""
        owners = module_of_knob(self.instrument.table)
        return Selector(len(self.instrument.modules), tuple(int(i) for i in owners))

    @property
    def sample_rate(self) -> int:
        """Hz."""
        return self.instrument.sample_rate

    @property
    def n_params(self) -> int:
        """Number of knobs, d."""
        return self.instrument.n_params

    def reset(self, key: jax.Array, params: EnvParams) -> tuple[Observation, EnvState]:
        """A new episode with a target drawn from the bucket."""
        choice, rest = jax.random.split(key)
        index = jax.random.randint(choice, (), 0, self.count(params))
        return self.reset_at(rest, params, index)

    def count(self, params: EnvParams) -> int:
        """Targets in the bucket."""
        return jnp.shape(params.targets.notes.midi)[0]

    def reset_at(self, key: jax.Array, params: EnvParams, index: jax.Array) -> tuple[Observation, EnvState]:
        """A new episode with the bucket's target at `index`, scalar int.

        Raises:
            ValueError: a guess is to be observed, and the targets bring none.
        """
        if self.config.guess and params.targets.guess is None:
            raise ValueError(
                "guess: it is to be observed and the targets bring none; "
                "ddsprl.fitting.guess.of_targets.with_guesses adds it"
            )
        target_key, render_key, start_key = jax.random.split(key, 3)
        episode = self.new_episode(params, index, target_key, render_key)
        u = self._start(start_key, params, episode)
        heard, judged = self.hear_and_judge(u, episode, params)
        t = jnp.zeros((), jnp.int32)
        best = Best(judged.loss, u, t, heard.mfcc, heard.centroid, heard.loudness)
        state = EnvState(episode, u, t, judged.loss, best, self._empty_history(u, judged.loss))
        return self._observe(state, heard), state

    def step(self, key: jax.Array, state: EnvState, action: Action, params: EnvParams) -> Timestep:
        """One edit.

        Args:
            key: unused here, the render key being the episode's; wrappers draw from it.
            state: from `reset` or `step`.
            action: `module` (int scalar) and `delta [d]` in [-1, 1], see `actions`.
            params: as at the reset.

        Returns:
            Observation, state, reward, terminated, truncated, info. `info` has `loss` (scalar), `terms`
            (weighted distances, adding up to the loss), `reward` (signed terms, adding up to the reward),
            `best_loss`, `applied` `[d]` and `t`.
        """
        del key
        move = self._asked(action, state.u, state.episode, params)
        u, applied = actions.apply(state.u, move)
        heard, judged = self.hear_and_judge(u, state.episode, params)
        named = reward_terms(judged, state.best.loss, applied, params.reward)
        reward = sum(named.values(), jnp.zeros_like(judged.loss))
        t = state.t + 1
        best = _better(state.best, Best(judged.loss, u, t, heard.mfcc, heard.centroid, heard.loudness))
        history = _record(state.history, state.t, u, judged.loss, action["module"], applied)
        after = EnvState(state.episode, u, t, judged.loss, best, history)
        terminated = judged.loss < state.episode.epsilon
        truncated = (t >= self.config.steps) & ~terminated
        info = {
            "loss": judged.loss,
            "terms": judged.terms,
            "reward": named,
            "best_loss": best.loss,
            "applied": applied,
            "t": t,
        }
        return Timestep(self._observe(after, heard), after, reward, terminated, truncated, info)

    def score(self, state: EnvState) -> Score:
        """Losses of the current and of the best sound, and whether the current one is close enough."""
        return Score(state.loss, state.best.loss, state.loss < state.episode.epsilon)

    def mask(self, params: EnvParams) -> jax.Array:
        """1 for the knobs that a stage unlocks, `[d]`."""
        return params.free

    def episode_mask(self, state: EnvState) -> jax.Array:
        """1 for the knobs that may move in an episode, `[d]`."""
        return state.episode.free

    def final(self, state: EnvState) -> Final:
        """What an episode leaves behind."""
        episode = state.episode
        return Final(episode.index, state.best.u, episode.target_key, episode.render_key)

    def way_back(self, state: EnvState, params: EnvParams) -> WayBack:
        """From the knobs to those of the episode's best sound."""
        away = state.best.u - state.u
        absolute = self.config.action == "absolute"
        back = 2.0 * state.best.u - 1.0 if absolute else away / params.delta_max
        return WayBack(away, back, state.t - state.best.step)

    def sounds(self, final: Final, params: EnvParams) -> tuple[jax.Array, jax.Array]:
        """Target and best sound of an ended episode, `[p, n]` each."""
        notes = Note(*(leaf[final.index] for leaf in params.targets.notes))
        target = self.target_audio(params, final.index, final.target_key)
        return target, self.render(final.u, notes, final.render_key)

    def _asked(self, action: Action, u: jax.Array, episode: Episode, params: EnvParams) -> jax.Array:
        """The move that an action asks for, `[d]`."""
        table = self.instrument.table
        if self.config.action == "absolute":
            return actions.decode_absolute(action, u, episode.free, table)
        return actions.decode(action, episode.free, params.delta_max, table)

    def render(self, u: jax.Array, notes: Note, key: jax.Array) -> jax.Array:
        """Sound of the preset at these positions, `[p, n]`: snapped, with a straight-through gradient."""
        return self.plant.at(notes).render(self.instrument.snap(u), key)

    def target_audio(self, params: EnvParams, index: jax.Array, target_key: jax.Array) -> jax.Array:
        """Sound of a target, `[p, n]`; the same at every call with the same key."""
        targets = params.targets
        if targets.audio is not None:
            return targets.audio[index]
        notes = Note(*(leaf[index] for leaf in targets.notes))
        if targets.u is None:
            raise ValueError("targets: neither u nor audio is given")
        return self.render(targets.u[index], notes, target_key)

    def judge(self, u: jax.Array, episode: Episode, params: EnvParams, key: jax.Array) -> Judgement:
        """Judge knob positions `[d]` in an episode with another noise key than the episode's."""
        return self.hear_and_judge(u, episode._replace(render_key=key), params)[1]

    def new_episode(
        self, params: EnvParams, index: jax.Array, target_key: jax.Array, render_key: jax.Array
    ) -> Episode:
        """Analyze the target at `index` once; the keys are of its own noise and of the candidates'."""
        targets = params.targets
        audio = self.target_audio(params, index, target_key)
        notes = Note(*(leaf[index] for leaf in targets.notes))
        unknown = jnp.full((self.n_params,), 0.5, audio.dtype)
        u = unknown if targets.u is None else targets.u[index]
        margin = params.epsilon if targets.margin is None else targets.margin[index]
        features = jax.vmap(self.objective.prepare)(audio)
        return Episode(
            index=jnp.asarray(index, jnp.int32),
            notes=notes,
            u=u,
            free=params.free if targets.free is None else targets.free[index],
            features=features,
            heard=hear(audio, self.instrument.sample_rate),
            epsilon=margin + (0.0 if targets.floor is None else targets.floor[index]),
            target_key=target_key,
            render_key=render_key,
            guess=None if targets.guess is None or not self.config.guess else targets.guess[index],
        )

    def stage_mask(self, stage: int) -> Any:
        """1 for the knobs that a stage unlocks, float32 `[d]`."""
        return free_mask(self.instrument, stage)

    def _start(self, key: jax.Array, params: EnvParams, episode: Episode) -> jax.Array:
        """The neutral patch, or knobs near the target's; locked knobs as in the target where known."""
        neutral = self.instrument.default
        if params.targets.u is None:
            return neutral
        choice, size, spread = jax.random.split(key, 3)
        warm = jax.random.bernoulli(choice, params.warm_start_probability)
        deviation = params.warm_start_noise * jax.random.uniform(size)
        noise = deviation * jax.random.normal(spread, neutral.shape)
        start = jnp.where(warm, clip_unit(episode.u + noise), neutral)
        return jnp.where(episode.free > 0, start, episode.u)

    def hear_and_judge(
        self, u: jax.Array, episode: Episode, params: EnvParams
    ) -> tuple[AudioFeatures, Judgement]:
        """What the positions `u [d]` sound like in an episode, and how close that is."""
        audio = self.render(u, episode.notes, episode.render_key)
        compare = jax.vmap(self.objective, in_axes=(0, 0, None))
        result = compare(audio, episode.features, params.objective)
        heard = hear(audio, self.instrument.sample_rate)
        target_loudness = episode.features.loudness_lufs
        return heard, judge(result, heard.loudness, target_loudness, params.reward.silence)

    def _observe(self, state: EnvState, heard: AudioFeatures) -> Observation:
        return observe(
            heard,
            state,
            elapsed=state.t / self.config.steps,
            modules=actions.module_mask(state.episode.free, self.instrument.table),
            note=note_row(state.episode.notes, self.instrument.duration_s),
        )

    def _empty_history(self, u: jax.Array, loss: jax.Array) -> History | None:
        if not self.config.history:
            return None
        steps, d = self.config.steps, self.n_params
        return History(
            knobs=jnp.zeros((steps + 1, d), u.dtype).at[0].set(u),
            loss=jnp.zeros(steps + 1, loss.dtype).at[0].set(loss),
            module=jnp.full(steps, -1, jnp.int32),
            move=jnp.zeros((steps, d), u.dtype),
        )


def _better(best: Best, new: Best) -> Best:
    """The one with the lower loss; the older one of two equals."""
    wins = new.loss < best.loss
    return jax.tree.map(lambda a, b: jnp.where(wins, a, b), new, best)


def _record(
    history: History | None, t: jax.Array, u: jax.Array, loss: jax.Array, module: Any, move: jax.Array
) -> History | None:
    """The log with step `t` (from 0) written down; steps beyond its end are left out."""
    if history is None:
        return None
    return History(
        knobs=history.knobs.at[t + 1].set(u, mode="drop"),
        loss=history.loss.at[t + 1].set(loss, mode="drop"),
        module=history.module.at[t].set(jnp.asarray(module, jnp.int32), mode="drop"),
        move=history.move.at[t].set(move, mode="drop"),
    )
