"""How close a sound can come: a target's noise floor, and the loss a small step away from it.

The floor is the loss of the target's own preset with other noise keys, mean of 8 (of 2 for the targets of
training, of which there are many and which nothing is measured by). A reference moves every
knob of the stage by a fraction of its range, with random signs, snapped, again with other keys, mean of 8.
"""

import functools

import jax
import jax.numpy as jnp

from ddsprl.env.match.environment import MatchEnv
from ddsprl.env.match.types import EnvParams
from ddsprl.plant import in_chunks

REPEATS, TRAINING_REPEATS = 8, 2
# Sounds measured together.
_TOGETHER = 64


def losses_near_targets(
    env: MatchEnv, params: EnvParams, sizes: tuple[float, ...], *, seed: int, repeats: int = REPEATS
) -> jax.Array:
    """Mean losses at and around the presets of a bucket, `[len(sizes), count]`.

    Args:
        env: the environment.
        params: of one stage, with targets whose knobs are known.
        sizes: of the steps, in knob positions; 0 gives the noise floor.
        seed: of the noise and the signs.
        repeats: losses that are averaged.
    """
    count = jnp.shape(params.targets.notes.midi)[0]
    keys = jax.random.split(jax.random.key(seed), count)
    return _program(env, repeats)(keys, jnp.arange(count), jnp.asarray(sizes, jnp.float32), params)


@functools.lru_cache(maxsize=8)
def _program(env: MatchEnv, repeats: int):
    """Compiled for one environment and so many repeats."""
    chunk = _TOGETHER // repeats

    def one(key, index, size, params):
        target_key, unused_key, trial_key = jax.random.split(key, 3)
        episode = env.new_episode(params, index, target_key, unused_key)

        def loss(key):
            sign_key, noise_key = jax.random.split(key)
            signs = jax.random.rademacher(sign_key, episode.u.shape, episode.u.dtype)
            u = episode.u + size * signs * params.free
            return env.judge(u, episode, params, noise_key).loss

        return jnp.mean(jax.vmap(loss)(jax.random.split(trial_key, repeats)))

    @jax.jit
    def run(keys, indices, sizes, params):
        def at_size(size):
            return in_chunks(lambda key, index: one(key, index, size, params), chunk, keys, indices)

        return jax.lax.map(at_size, sizes)

    return run
