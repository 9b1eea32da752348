"""Targets with known presets, for benchmarks that ask about knobs: half a second at 16 kHz."""

import jax
import jax.numpy as jnp
import numpy as np

from ddsprl.features.loudness import ungated_loudness
from ddsprl.fitting.core.problem import Problem, Target
from synth_jax import Note

RATE, DURATION_S, QUIETEST_LUFS = 16_000, 0.5, -50.0


def random_targets(problem: Problem, count: int, seed: int) -> tuple[np.ndarray, Target]:
    """Seeded presets that can be heard, `[count, d]`, and their targets."""
    synth, keys = problem.instrument, jax.random.split(jax.random.key(seed), 4)
    draws = 4 * count
    u = synth.snap(jax.random.uniform(keys[0], (draws, synth.n_params)))
    midi = jax.random.uniform(keys[1], (draws,), minval=36.0, maxval=84.0)
    gate_s = jax.random.uniform(keys[2], (draws,), minval=0.1, maxval=0.4)
    note = Note(midi, gate_s, jnp.ones(draws))
    audio = jax.jit(jax.vmap(synth.render))(u, note, jax.random.split(keys[3], draws))
    loud = jax.vmap(lambda x: ungated_loudness(x, RATE))(audio) > QUIETEST_LUFS
    heard = np.flatnonzero(np.asarray(loud))[:count]
    targets = jax.jit(jax.vmap(problem.target))(audio[heard], jax.tree.map(lambda x: x[heard], note))
    return np.asarray(u)[heard], targets
