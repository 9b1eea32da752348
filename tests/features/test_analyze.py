"""Laws over the registry: finite, jit equals eager, vmap equals a loop; and the record that joins it."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ddsprl.features import FEATURES, Features, Sound, analyze

RATES = (16_000, 44_100)
N = 4000
_NOISE = np.clip(np.random.default_rng(0).standard_normal(N), -1.0, 1.0)
_CLICK = np.eye(1, N, N // 2)[0]
EXTREMES = {"silence": np.zeros(N), "dc": np.ones(N), "click": _CLICK, "noise": _NOISE}
CLIPS = np.stack(list(EXTREMES.values())).astype(np.float32)
AUDIBLE = jnp.asarray(np.stack([0.5 * CLIPS[3], np.sin(0.1 * np.arange(N))]), jnp.float32)
EAGER = [Sound(clip, 16_000) for clip in AUDIBLE]  # what features share is computed once for all of them


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("name", FEATURES)
def test_values_and_gradients_are_finite_on_extremes(name, rate):
    feature = FEATURES[name]

    def value_and_gradient(audio):
        value, pull = jax.vjp(lambda x: feature(Sound(x, rate)), audio)
        return value, pull(jax.tree.map(jnp.ones_like, value))[0]

    values, gradients = jax.jit(jax.vmap(value_and_gradient))(CLIPS)
    for leaf in jax.tree.leaves(values):
        assert leaf.dtype == jnp.float32
        for clip_name, clip in zip(EXTREMES, np.asarray(leaf), strict=True):
            assert np.all(np.isfinite(clip)), clip_name
    for clip_name, gradient in zip(EXTREMES, np.asarray(gradients), strict=True):
        assert np.all(np.isfinite(gradient)), clip_name


@pytest.mark.parametrize("name", FEATURES)
def test_jit_equals_eager_and_vmap_equals_a_loop(name):
    feature = FEATURES[name]
    batched = jax.jit(jax.vmap(lambda audio: feature(Sound(audio, 16_000))))(AUDIBLE)
    for one, many in zip(EAGER, batched, strict=True):
        np.testing.assert_allclose(many, one[feature], rtol=2e-3, atol=2e-3)


def test_features_hold_what_the_registry_measures(signals):
    audio = jnp.asarray(signals["harmonic"])
    features = analyze(audio, 16_000)
    assert list(vars(features)) == list(FEATURES)
    one_by_one = jax.jit(lambda clip: {n: feature(Sound(clip, 16_000)) for n, feature in FEATURES.items()})
    for name, expected in one_by_one(audio).items():
        np.testing.assert_allclose(getattr(features, name), expected, rtol=1e-3, atol=2e-2, err_msg=name)


def test_a_newcomer_is_one_function_and_one_line(monkeypatch):
    """A feature that only the registry knows is measured, shares what others need, and obeys the laws."""
    asked = []

    def level(sound):
        asked.append(sound)
        return jnp.mean(jnp.square(sound.audio))

    monkeypatch.setitem(FEATURES, "mean_square", lambda sound: sound[level])
    monkeypatch.setitem(FEATURES, "twice", lambda sound: 2.0 * sound[level])
    found = analyze(jnp.asarray(CLIPS), 16_000)
    np.testing.assert_allclose(found.mean_square, np.mean(CLIPS**2, axis=1), rtol=1e-5)
    np.testing.assert_allclose(found.twice, 2.0 * found.mean_square)
    assert found.loudness_lufs.shape == (len(CLIPS),)
    assert len(asked) == 1
    for name in ("mean_square", "twice"):
        test_values_and_gradients_are_finite_on_extremes(name, 16_000)
        test_jit_equals_eager_and_vmap_equals_a_loop(name)
    monkeypatch.undo()
    assert not hasattr(analyze(jnp.asarray(CLIPS), 16_000), "mean_square")


def test_the_record_does_not_change_and_is_a_pytree():
    record = Features(b=jnp.zeros(2), a=jnp.ones(3))
    doubled = jax.tree.map(lambda x: 2.0 * x, record)
    assert isinstance(doubled, Features)
    assert [leaf.shape for leaf in jax.tree.leaves(doubled)] == [(2,), (3,)]
    assert [str(path[0]) for path, _ in jax.tree_util.tree_leaves_with_path(record)] == [".b", ".a"]
    with pytest.raises(AttributeError, match="a Features does not change"):
        record.a = jnp.zeros(3)


def test_shapes_of_a_clip_and_of_a_batch(signals):
    clip = jnp.asarray(signals["decay"])
    features = analyze(clip, 16_000)
    assert features.log_mel_db.shape == features.log_mel_delta_db.shape == (64, 44)
    assert features.mfcc.shape == features.mfcc_delta.shape == (20, 44)
    assert features.stft_magnitude.shape == (513, 44)
    assert features.centroid_hz.shape == features.rms.shape == features.flatness.shape == (44,)
    assert features.track_f0_hz.shape == features.track_periodicity.shape == (22,)
    assert features.f0_hz.shape == features.loudness_lufs.shape == ()
    batch = analyze(jnp.stack([clip, 0.5 * clip]), 16_000)
    assert isinstance(batch, Features)
    for one, many in zip(jax.tree.leaves(features), jax.tree.leaves(batch), strict=True):
        assert many.shape == (2, *one.shape)
    np.testing.assert_allclose(batch.loudness_lufs[0], features.loudness_lufs, rtol=1e-5)
    np.testing.assert_allclose(batch.loudness_lufs[1] - batch.loudness_lufs[0], 20 * np.log10(0.5), atol=1e-3)


def test_impossible_input_is_named():
    with pytest.raises(ValueError, match=r"\[batch, n\]"):
        analyze(jnp.zeros((2, 2, 100)), 16_000)
    with pytest.raises(ValueError, match="n >= 1"):
        analyze(jnp.zeros((0,)), 16_000)
    with pytest.raises(ValueError, match="sample_rate: 0"):
        analyze(jnp.zeros((100,)), 0)
