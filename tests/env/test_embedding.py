"""The episodic embedding reward, with a stand-in and with the shipped network where it is installed."""

import importlib.util

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ddsprl.env import AutoReset
from ddsprl.env.match.embedding import EpisodicReward, cosine, load_embedding
from ddsprl.features import mel_power

KEY = jax.random.key(2)
INSTALLED = all(importlib.util.find_spec(name) for name in ("onnxruntime", "openwakeword"))


def mean_spectrum(audio: np.ndarray, sample_rate: int) -> np.ndarray:
    """Stand-in embedding: mean power of the mel bands."""
    mel = np.asarray(mel_power(jnp.asarray(audio), sample_rate, n_fft=256))
    return np.maximum(mel, 1e-10).mean(axis=1)


def finals(made, n=4):
    begin = jax.jit(jax.vmap(made.env.reset_at, in_axes=(0, None, 0)))
    _, states = begin(jax.random.split(KEY, n), made.cold, jnp.arange(n))
    return states, jax.vmap(made.env.final)(states)


def test_cosine():
    assert cosine(np.array([1.0, 0.0]), np.array([2.0, 0.0])) == pytest.approx(1.0)
    assert cosine(np.array([1.0, 0.0]), np.array([0.0, 3.0])) == pytest.approx(0.0)
    assert cosine(np.zeros(2), np.ones(2)) == 0.0


def test_only_ended_episodes_are_rewarded_and_the_target_scores_best(made):
    reward = EpisodicReward(made.env, mean_spectrum, weight=2.0)
    states, final = finals(made)
    ended = np.array([True, False, True, True])
    far = reward(made.cold, final, ended)
    near = reward(made.cold, final._replace(u=states.episode.u), ended)
    assert far[1] == near[1] == 0.0
    assert np.all(near[ended] > 1.9)  # other noise
    assert np.mean(near[ended]) > np.mean(far[ended])


def test_it_takes_what_the_wrapper_gives(made):
    many = AutoReset(made.env, 2)
    always = made.cold._replace(epsilon=jnp.float32(1e3))
    _, state = jax.jit(many.reset)(KEY, always)
    action = {"module": jnp.zeros(2, jnp.int32), "delta": jnp.zeros((2, made.d))}
    found = jax.jit(many.step)(KEY, state, action, always)
    calls = []

    def count(audio, sample_rate):
        calls.append((audio.shape, sample_rate))
        return np.ones(3)

    rewards = EpisodicReward(made.env, count)(always, found.info["final"], found.terminated)
    np.testing.assert_allclose(rewards, 1.0)
    assert calls == [((1_000,), 8_000)] * 4


def test_the_best_sound_is_what_was_judged(made):
    """Rendered again from the final record, the target sounds as it did in the episode."""
    reward = EpisodicReward(made.env, mean_spectrum)
    states, final = finals(made, 1)
    row = jax.tree.map(lambda x: x[0], final)
    _, target = reward._pair(made.cold, row)
    features = made.env.objective.prepare(target[0])
    np.testing.assert_allclose(features.loudness_lufs, states.episode.features.loudness_lufs[0, 0], atol=1e-3)


def test_unknown_embedding():
    with pytest.raises(ValueError, match="did you mean 'speech'"):
        load_embedding("speach")


@pytest.mark.skipif(INSTALLED, reason="the embedding is installed")
def test_without_the_extra_the_error_says_what_to_install():
    with pytest.raises(ImportError, match=r"pip install \"ddsprl\[embedding\]\""):
        load_embedding("speech")


@pytest.mark.skipif(not INSTALLED, reason="needs the extra `embedding`")
def test_the_shipped_network_hears_likeness():
    """A tone is closer to itself with a little noise than to noise; length and rate do not matter much."""
    embed, rng = load_embedding("speech"), np.random.default_rng(0)

    def tone(rate, seconds=0.5):
        time_s = np.arange(int(rate * seconds)) / rate
        k = np.arange(1, 12)
        return ((0.1 / k) @ np.sin(2 * np.pi * 220.0 * np.outer(k, time_s))).astype(np.float32)

    clean, noise = tone(16_000), 0.1 * rng.standard_normal(8_000).astype(np.float32)
    vector = embed(clean, 16_000)
    assert vector.shape == (96,)
    assert cosine(vector, vector) == pytest.approx(1.0)
    near = cosine(vector, embed(clean + 0.02 * noise, 16_000))
    far = cosine(vector, embed(noise, 16_000))
    assert near > 0.9 > far + 0.2
    assert cosine(vector, embed(0.0 * clean, 16_000)) == 0.0
    assert cosine(vector, embed(tone(44_100), 44_100)) > 0.95
    assert np.all(np.isfinite(embed(tone(16_000, 2.0), 16_000)))
