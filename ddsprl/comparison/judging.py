"""How a found preset is judged, and what it is judged against; outside every budget.

A verdict is the mean over 8 noise keys that no search has heard, of the preset as it is exported (snapped).
The references of a target are computed once: the noise floor (its own preset under those keys), the 1 %
reference (every knob of it moved by 1 % of its range, random signs, snapped), and the best of 512 and of
4,096 random presets, which are chosen by the objective under one key of their own and then judged like
everything else. References are played at the true note, also where methods have to estimate it.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from ddsprl.comparison.suites import Case, Stream
from ddsprl.fitting.core.archive import BAD_LOSS
from ddsprl.fitting.core.problem import Problem, Target
from ddsprl.fitting.core.streams import named
from ddsprl.measuring.keys import stream
from ddsprl.sharding import shard_batch
from synth_jax import Note

JUDGE_KEYS = 8
RANDOM_COUNTS = (512, 4096)
MOVED = 0.01


class Verdict(NamedTuple):
    """Judgement of presets, `[targets]` each.

    Attributes:
        loss: objective, mean over the judge's keys.
        yardstick: outside judge, likewise.
        terms: weighted loss terms, likewise, each `[targets]`.
        audio: sound under the first key, `[targets, n]`.
    """

    loss: np.ndarray
    yardstick: np.ndarray
    terms: dict[str, np.ndarray]
    audio: np.ndarray


class Judge:
    """Compiled judgement for targets of one length, a group of them at a time."""

    def __init__(self, problem: Problem, seed: int) -> None:
        """Nothing is compiled yet.

        Args:
            problem: of the targets.
            seed: of the comparison.
        """
        self.problem, self.seed = problem, seed
        self._prepare = shard_batch(jax.vmap(self._target))
        self._verdict = shard_batch(jax.vmap(self._hear))
        self._choose = shard_batch(jax.vmap(self._best_random))

    def targets(self, cases: list[Case], *, true_notes: bool = False) -> Target:
        """A group of targets `[G, ...]`, at the notes given to candidates or at the true ones."""
        notes = [(c.true_note or c.note) if true_notes else c.note for c in cases]
        wide = Note(*(np.array(x, np.float32) for x in zip(*notes, strict=True)))
        sounds = (np.stack([c.audio for c in cases]), np.stack([c.window for c in cases]))
        return self._prepare(sounds[0], wide, sounds[1])

    def verdict(self, u: np.ndarray, targets: Target, cases: list[Case]) -> Verdict:
        """Judge one preset for each target, `[G, d]`; or eight `[G, 8, d]`, each under one of the keys."""
        u = np.asarray(u, np.float32)
        u = np.broadcast_to(u[:, None], (len(u), JUDGE_KEYS, u.shape[-1])) if u.ndim == 2 else u
        loss, yardstick, terms, audio = self._verdict(u, targets, self._keys(cases, Stream.JUDGE))
        return Verdict(*jax.tree.map(np.asarray, (loss, yardstick, terms, audio)))

    def references(self, cases: list[Case], count: int) -> list[dict[str, dict[str, float]]]:
        """References of the first `count` of a group, by name, each with loss and yardstick."""
        targets = self.targets(cases, true_notes=True)
        best = np.asarray(self._choose(targets, self._keys(cases, Stream.REFERENCE)))
        asked = {f"best_{n}": best[:, i] for i, n in enumerate(RANDOM_COUNTS)}
        if all(case.u is not None for case in cases):
            true = np.stack([case.u for case in cases if case.u is not None])
            asked |= {"floor": true, "percent": self._moved(true, cases)}
        judged = {name: self.verdict(u, targets, cases) for name, u in asked.items()}
        return [
            {k: {"loss": float(v.loss[i]), "yardstick": float(v.yardstick[i])} for k, v in judged.items()}
            for i in range(count)
        ]

    def _moved(self, u: np.ndarray, cases: list[Case]) -> np.ndarray:
        """Presets `[G, 8, d]` with every knob a hundredth of its range off."""
        shape = (JUDGE_KEYS, u.shape[1])
        keys = [stream(self.seed, Stream.REFERENCE, case.name, "moved") for case in cases]
        signs = np.stack([np.asarray(jax.random.rademacher(key, shape)) for key in keys])
        moved = np.clip(u[:, None] + MOVED * signs, 0.0, 1.0).astype(np.float32)
        return np.asarray(self.problem.instrument.snap(jnp.asarray(moved)))

    def _keys(self, cases: list[Case], purpose: Stream) -> jax.Array:
        return jnp.stack([stream(self.seed, purpose, case.name) for case in cases])

    def _target(self, audio: jax.Array, note: Note, window: jax.Array) -> Target:
        return self.problem.target(audio, note, window=window)

    def _hear(self, u: jax.Array, target: Target, key: jax.Array):
        """Judge `[8, d]`, each under a key of its own."""
        problem = self.problem
        u = problem.instrument.snap(problem.constrain(u, target))
        keys = jax.random.split(key, JUDGE_KEYS)
        sounds, terms, yardsticks = jax.lax.map(lambda x: problem.details(x[0], target, x[1]), (u, keys))
        total = sum(terms.values(), jnp.zeros(JUDGE_KEYS))
        loss, yardstick = (jnp.mean(jnp.where(jnp.isfinite(x), x, BAD_LOSS)) for x in (total, yardsticks))
        terms = jax.tree.map(lambda x: jnp.mean(jnp.where(jnp.isfinite(x), x, BAD_LOSS)), terms)
        return loss, yardstick, terms, sounds[0]

    def _best_random(self, target: Target, key: jax.Array) -> jax.Array:
        """Best of the first 512 and of all 4,096 random presets, `[2, d]`."""
        draw, noise = named(key, "draw", "noise")
        u = jax.random.uniform(draw, (max(RANDOM_COUNTS), self.problem.instrument.n_params))
        u = self.problem.instrument.snap(u)
        loss = self.problem.scores(u, target, noise)
        return jnp.stack([u[jnp.argmin(loss[:count])] for count in RANDOM_COUNTS])
