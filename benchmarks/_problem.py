"""The matching problem of the loss and gradient benchmarks: random presets against others' sounds."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

import synth_jax
from ddsprl.losses import Objective, ObjectiveConfig, TargetFeatures


class Problem(NamedTuple):
    """Candidates and prepared targets, `[batch, ...]` each.

    Attributes:
        synth: the instrument.
        objective: with its default settings.
        u: knob positions `[batch, d]`.
        note: random pitches and gates.
        key: noise keys of the candidates.
        target: features of as many other random presets, rendered with other keys at the same notes.
    """

    synth: synth_jax.Instrument
    objective: Objective
    u: jax.Array
    note: synth_jax.Note
    key: jax.Array
    target: TargetFeatures

    def evaluate(self, u, note, key, target) -> jax.Array:
        """Loss of one candidate: render, analyze, compare; scalar."""
        return self.objective(self.synth.render(u, note, key), target).total

    @property
    def args(self) -> tuple:
        """Batched arguments of `evaluate`."""
        return self.u, self.note, self.key, self.target


def make_problem(batch: int, *, sample_rate: int = 16_000, duration_s: float = 0.5, seed: int = 0) -> Problem:
    """A seeded problem.

    Args:
        batch: candidates, each with a target of its own.
        sample_rate: Hz.
        duration_s: seconds.
        seed: of everything random.
    """
    synth = synth_jax.serum_lite(sample_rate=sample_rate, duration_s=duration_s)
    objective = Objective(ObjectiveConfig(), sample_rate)
    keys = jax.random.split(jax.random.key(seed), 6)
    note = synth_jax.Note(
        midi=jax.random.uniform(keys[0], (batch,), minval=36.0, maxval=84.0),
        gate_s=jax.random.uniform(keys[1], (batch,), minval=0.1, maxval=0.4),
        velocity=jnp.ones(batch),
    )
    hidden = synth.snap(jax.random.uniform(keys[2], (batch, synth.n_params)))
    sound = jax.jit(jax.vmap(synth.render))(hidden, note, jax.random.split(keys[3], batch))
    target = jax.jit(jax.vmap(objective.prepare))(sound)
    u = jax.random.uniform(keys[4], (batch, synth.n_params))
    return Problem(synth, objective, u, note, jax.random.split(keys[5], batch), target)
