"""Guesses at an environment's targets, made once, before any episode: what an agent is told that reads them.

    params = with_guesses(env, stage_params(env, 5)[0])

Of the network's mixture (see `guess_network`) the mean of the heaviest component is kept for every knob, and
the standard deviation of the whole mixture, which says how far that mean is to be trusted. The network has
never heard the targets; what was rendered to train it stands in its header. With several probes every clip
is guessed at by itself, and positions and deviations are averaged.
"""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ddsprl.env import EnvParams, MatchEnv
from ddsprl.fitting.guess.features import heard
from ddsprl.fitting.guess.model import Guess, load_guess, mixture_of, points, why_no_guess
from ddsprl.fitting.guess.network import Mixture
from ddsprl.io import UserError
from ddsprl.plant import in_chunks

# Of the noise in the targets as the guess hears them; an episode's own has another.
NOISE_SEED = 31_000
_BLOCK, _CHUNK = 512, 16


def with_guesses(env: MatchEnv, params: EnvParams) -> EnvParams:
    """Parameters whose targets bring a guess, where the environment observes one; otherwise as they are.

    Raises:
        UserError: there is no network for its instrument.
    """
    if not env.config.guess:
        return params
    rows = _heard(env, params, fitting_guess(env), _told_of_all)
    return params._replace(targets=params.targets._replace(guess=rows))


def fitting_guess(env: MatchEnv) -> Guess:
    """The shipped network for an environment that observes its guesses.

    Raises:
        UserError: there is none for its instrument.
    """
    if (reason := why_no_guess(env.instrument)) is not None:
        raise UserError(f"env.guess is true, but {reason}")
    return load_guess(env.instrument.name)


def guessed_points(env: MatchEnv, params: EnvParams, key: jax.Array, count: int) -> jax.Array:
    """Guesses at every target as positions `[n, count, d]`: the components' means, then draws.

    Args:
        env: the environment.
        params: of it, with targets; with several probes the first one's sound is heard.
        key: of the draws.
        count: positions for each target.
    """
    mixtures = _heard(env, params, load_guess(env.instrument.name), _first)
    keys = jax.random.split(key, mixtures.mean.shape[0])
    return jax.jit(jax.vmap(lambda key, mixture: points(key, mixture, count)))(keys, mixtures)


def _told_of_all(mixtures: Mixture) -> jax.Array:
    """Mean over the probes of what is told of each."""
    return jnp.mean(jax.vmap(told)(mixtures), axis=0)


def _first(mixtures: Mixture) -> Mixture:
    return jax.tree.map(lambda x: x[0], mixtures)


def _heard(env: MatchEnv, params: EnvParams, guess: Guess, keep: Callable[[Mixture], Any]) -> Any:
    """What is kept of the mixtures of every target's probes, leaves `[n, ...]`."""
    count, found = jnp.shape(params.targets.notes.midi)[0], []
    # Flax makes its modules hashable, which its types do not say.
    network: Any = guess.header.network()
    audio_of, guess_of = _programs(env, network, keep)
    keys = jax.random.split(jax.random.key(NOISE_SEED), count)
    for first in range(0, count, _BLOCK):
        # The last block is filled up with copies, so that one shape is compiled.
        rows = jnp.minimum(jnp.arange(first, first + min(_BLOCK, count)), count - 1)
        clips = np.asarray(audio_of(params, rows, keys[rows]))
        rate = env.instrument.sample_rate
        clips = np.stack([[heard(clip, rate) for clip in probes] for probes in clips])
        notes = jax.tree.map(lambda x, rows=rows: x[rows], params.targets.notes)
        found.append(guess_of(guess.variables, clips, notes.midi, notes.gate_s))
    return jax.tree.map(lambda *x: jnp.concatenate(x)[:count], *found)


@functools.lru_cache(maxsize=4)
def _programs(env: MatchEnv, network: Any, keep: Callable[[Mixture], Any]) -> tuple[Any, Any]:
    """Compiled: sounds of some targets `[b, p, n]`, and what is kept of the guesses at such sounds."""

    @jax.jit
    def audio_of(params, rows, keys):
        return in_chunks(lambda i, key: env.target_audio(params, i, key), _CHUNK, rows, keys)

    def one(variables, audio, midi, gate_s):
        return keep(jax.vmap(lambda *x: mixture_of(network, variables, *x))(audio, midi, gate_s))

    @jax.jit
    def guess_of(variables, audio, midi, gate_s):
        return in_chunks(lambda *x: one(variables, *x), _CHUNK, audio, midi, gate_s)

    return audio_of, guess_of


def told(mixture: Mixture) -> jax.Array:
    """Mean of the heaviest component, then the mixture's standard deviation around its mean, `[2 d]`.

    Both are in [0, 1]; the deviation is 0.29 for a knob that may be anywhere.
    """
    centres, weight = mixture.centres(), jnp.exp(mixture.log_weight)[:, None]
    middle = jnp.sum(weight * centres, axis=0)
    # The normals' own deviation, cut down to that of a uniform one, which truncation does not exceed.
    own = jnp.minimum(jnp.square(mixture.scale), 1.0 / 12.0)
    variance = jnp.sum(weight * (own + jnp.square(centres - middle)), axis=0)
    heaviest = centres[jnp.argmax(mixture.log_weight)]
    return jnp.concatenate([heaviest, jnp.sqrt(variance)])
