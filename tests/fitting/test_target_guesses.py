"""Guesses at an environment's targets: what is kept, which sound is heard, when there is none."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ddsprl.env import (
    EnvConfig,
    EnvParams,
    MatchEnv,
    make_matcher,
    preset_targets,
    recording_targets,
    stage_params,
)
from ddsprl.fitting.guess.model import load_guess
from ddsprl.fitting.guess.network import Mixture
from ddsprl.fitting.guess.of_targets import NOISE_SEED, told, with_guesses
from ddsprl.io import UserError
from synth_jax import Note, sine

NOTES = Note(jnp.array([[45.0], [60.0], [72.0]]), jnp.full((3, 1), 0.3), jnp.ones((3, 1)))


def guesses_of(env: MatchEnv, params: EnvParams) -> jax.Array:
    found = with_guesses(env, params).targets.guess
    assert found is not None
    return found


@pytest.fixture(scope="module")
def env():
    return make_matcher(EnvConfig(guess=True, epsilon=0.1))


@pytest.fixture(scope="module")
def params(env):
    u = jax.random.uniform(jax.random.key(1), (3, env.n_params))
    return stage_params(env, 5, targets=preset_targets(env.instrument, u, NOTES))[0]


def test_what_is_told_is_the_heaviest_mean_and_how_uncertain_the_whole_is():
    mean = jnp.array([[0.2, 0.5], [0.8, 0.5]])
    scale = jnp.array([[0.01, 50.0], [0.01, 50.0]])
    found = told(Mixture(jnp.log(jnp.array([0.75, 0.25])), mean, scale))
    # Two narrow peaks 0.6 apart with weights 3/4 and 1/4: standard deviation 0.6 sqrt(3) / 4. A knob that may
    # be anywhere has that of a uniform distribution, 1 / sqrt(12).
    np.testing.assert_allclose(found, [0.2, 0.5, 0.6 * np.sqrt(3) / 4, np.sqrt(1 / 12)], atol=2e-4)
    swapped = told(Mixture(jnp.log(jnp.array([0.25, 0.75])), mean, scale))
    np.testing.assert_allclose(swapped[0], 0.8, atol=1e-4)


def test_they_are_those_of_the_shipped_network_for_the_targets_own_sounds(env, params):
    found = guesses_of(env, params)
    d = env.n_params
    assert found.shape == (3, 2 * d)
    assert float(found.min()) >= 0.0
    assert float(found.max()) <= 1.0
    keys = jax.random.split(jax.random.key(NOISE_SEED), 3)
    for i in range(3):
        audio = np.asarray(env.target_audio(params, jnp.asarray(i), keys[i]))[0]
        means = load_guess("serum_lite").means(audio, float(NOTES.midi[i, 0]), float(NOTES.gate_s[i, 0]))
        np.testing.assert_allclose(found[i, :d], means[0], atol=1e-3)
    away = jnp.abs(found[:, :d] - params.targets.u).mean()
    assert float(away) < float(jnp.abs(0.5 - params.targets.u).mean())


def test_recordings_are_guessed_at_by_their_sound(env, params):
    keys = jax.random.split(jax.random.key(NOISE_SEED), 3)
    audio = jax.vmap(lambda i, key: env.target_audio(params, i, key))(jnp.arange(3), keys)
    recorded, _ = stage_params(env, 5, targets=recording_targets(env.instrument, audio, NOTES))
    found, expected = (guesses_of(env, x) for x in (recorded, params))
    np.testing.assert_allclose(found[:, : env.n_params], expected[:, : env.n_params], atol=1e-3)


def test_an_environment_that_observes_none_is_left_as_it_is(params):
    plain = make_matcher(EnvConfig(epsilon=0.1))
    assert with_guesses(plain, params) is params


def test_an_instrument_that_it_was_not_trained_for_is_an_error():
    env = make_matcher(EnvConfig(guess=True, epsilon=0.1), instrument=sine(16_000, 0.5))
    u = jnp.full((3, env.n_params), 0.5)
    params, _ = stage_params(env, 1, targets=preset_targets(env.instrument, u, NOTES))
    with pytest.raises(UserError, match=r"env\.guess is true, but no guess is trained for sine"):
        with_guesses(env, params)


def test_the_observation_has_the_guess_and_without_one_the_reset_says_what_to_do(env, params):
    told_of, guesses = with_guesses(env, params), guesses_of(env, params)
    obs, state = jax.jit(env.reset_at)(jax.random.key(0), told_of, jnp.asarray(1))
    np.testing.assert_array_equal(obs["guess"], guesses[1])
    np.testing.assert_array_equal(state.episode.guess, guesses[1])
    assert {field.name: field.shape for field in env.observation.fields}["guess"] == (2 * env.n_params,)
    with pytest.raises(ValueError, match="with_guesses"):
        env.reset_at(jax.random.key(0), params, jnp.asarray(1))
