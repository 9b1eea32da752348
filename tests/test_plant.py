"""A plant renders its probes, each as one clip with noise of its own, and batches over plants."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ddsprl.plant import MAX_PROBES, in_chunks, make_instrument, make_plant
from synth_jax import Note

RATE, DURATION_S = 8_000, 0.05
KEY = jax.random.key(11)
NOTES = [Note(48.0, 0.02, 1.0), Note(60.0, 0.03, 0.8), Note(67.5, 0.04, 0.6), Note(72.0, 0.01, 0.4)]


@pytest.fixture(scope="module")
def synth():
    return make_instrument("serum_lite", RATE, DURATION_S)


@pytest.fixture(scope="module")
def u(synth) -> np.ndarray:
    u = np.random.default_rng(2).uniform(0.2, 0.8, synth.n_params).astype(np.float32)
    names = [spec.name for spec in synth.table]
    u[[names.index("noise_level"), names.index("master_volume")]] = 0.6
    u[names.index("amp_attack")] = 0.05
    return u


@pytest.fixture(scope="module")
def single(synth):
    return jax.jit(synth.render)


@pytest.fixture(scope="module")
def rendered():
    return jax.jit(lambda plant, u: plant.render(u, KEY))


def float_note(note: Note) -> Note:
    return Note(*(jnp.float32(x) for x in note))


@pytest.mark.parametrize("count", range(1, MAX_PROBES + 1))
def test_probes_come_in_order_each_as_one_clip(synth, u, single, rendered, count):
    plant = make_plant(synth, NOTES[:count])
    sounds = np.asarray(rendered(plant, u))
    assert sounds.shape == (count, synth.n_samples)
    assert plant.n_params == 25
    for i, sound in enumerate(sounds):
        alone = single(u, float_note(NOTES[i]), jax.random.fold_in(KEY, i))
        np.testing.assert_allclose(sound, alone, atol=2e-5)
        assert np.abs(sound).max() > 1e-3


def test_equal_probes_hear_noise_of_their_own(synth, u, rendered):
    first, second = np.asarray(rendered(make_plant(synth, [NOTES[0], NOTES[0]]), u))
    assert np.abs(first - second).max() > 1e-3


def test_plants_of_different_notes_are_a_batch(synth, u, single):
    plants = [make_plant(synth, note) for note in NOTES[:3]]
    batch = jax.tree.map(lambda *x: jnp.stack(x), *plants)
    sounds = np.asarray(jax.jit(jax.vmap(lambda p: p.render(jnp.asarray(u), KEY)))(batch))
    assert sounds.shape == (3, 1, synth.n_samples)
    for sound, note in zip(sounds, NOTES, strict=False):
        np.testing.assert_allclose(
            sound[0], single(u, float_note(note), jax.random.fold_in(KEY, 0)), atol=2e-5
        )


@pytest.mark.parametrize("count", [0, MAX_PROBES + 1])
def test_too_few_or_many_probes_are_named(synth, count):
    with pytest.raises(ValueError, match=f"{count} probes; a plant takes 1 to 4"):
        make_plant(synth, [NOTES[0]] * count)


def test_unknown_instrument_names_the_nearest():
    with pytest.raises(ValueError, match=r"'serum_light'; did you mean 'serum_lite'\?"):
        make_instrument("serum_light", RATE, DURATION_S)
    assert make_instrument("sine", RATE, DURATION_S).n_params == 2


@pytest.mark.parametrize(("count", "chunk"), [(1, 4), (4, 4), (8, 4), (7, 4), (9, 4), (3, 64)])
def test_chunks_change_nothing(count, chunk):
    rng = np.random.default_rng(count)
    x, tree = rng.standard_normal((count, 3)), {"a": rng.standard_normal(count)}

    def function(x, tree):
        return {"sum": x.sum() + tree["a"], "same": x}

    expected = jax.vmap(function)(x, tree)
    found = in_chunks(function, chunk, x, tree)
    for name in expected:
        assert found[name].shape == expected[name].shape
        np.testing.assert_allclose(found[name], expected[name], rtol=1e-6)


def test_chunks_with_keys_and_more_than_one_result():
    keys = jax.random.split(KEY, 5)
    values, twice = in_chunks(lambda k: (jax.random.normal(k), 2.0 * jax.random.normal(k)), 2, keys)
    np.testing.assert_allclose(values, jax.vmap(jax.random.normal)(keys), rtol=1e-6)
    np.testing.assert_allclose(twice, 2.0 * values, rtol=1e-6)
