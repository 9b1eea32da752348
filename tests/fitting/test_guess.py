"""Guesses: what is heard, what is said, what is read from a file, and whether the shipped weights help."""

import json
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from ddsprl.fitting.guess import training as guess_training
from ddsprl.fitting.guess.clips import equals_of, heard_clip
from ddsprl.fitting.guess.features import (
    BINS_PER_OCTAVE,
    LOWEST_OCTAVE,
    N_SAMPLES,
    RATE_HZ,
    guess_features,
    heard,
)
from ddsprl.fitting.guess.model import Guess, load_guess, mixture_of, save_guess
from ddsprl.fitting.guess.network import Mixture
from ddsprl.fitting.guess.training import TrainingConfig, make_guess
from ddsprl.fitting.inversion.inverter import make_problem
from ddsprl.fitting.starts.registry import StartRequest, guess_starts
from ddsprl.io import UserError
from synth_jax import Note, serum_lite, sine

TINY = TrainingConfig(
    instrument="sine", renders=96, validation=32, epochs=30, batch=32, components=3, hidden=16, shared=4
)
KEY = jax.random.key(0)
features = jax.jit(guess_features)


def tone(hz: float, rate: int = RATE_HZ, seconds: float = 0.5) -> np.ndarray:
    t = np.arange(round(rate * seconds)) / rate
    return (np.exp(-4.0 * t) * np.sin(2 * np.pi * hz * t)).astype(np.float32)


@pytest.fixture(scope="module")
def small() -> Guess:
    return make_guess(TINY, say=lambda _: None)


@pytest.fixture
def stored(small, tmp_path):
    path = tmp_path / "guess.npz"
    save_guess(path, small)
    return path


def rewritten(path, *, fields=None, **arrays) -> None:
    """The file with header fields or arrays changed; None takes one away."""
    with np.load(path, allow_pickle=False) as file:
        content = dict(file)
    if fields is not None:
        header = json.loads(content["header"].tobytes()) | fields
        header = {name: value for name, value in header.items() if value is not None}
        content["header"] = np.frombuffer(json.dumps(header).encode(), np.uint8)
    content |= arrays
    np.savez(path, **{name: x for name, x in content.items() if x is not None})  # pyright: ignore


def test_gain_moves_only_the_level():
    loud, quiet = (features(g * tone(220.0), 57.0, 0.3) for g in (1.0, 0.01))
    for a, b in zip(loud[:3], quiet[:3], strict=True):
        np.testing.assert_allclose(a, b, atol=2e-3)
    np.testing.assert_array_equal(loud.numbers[:2], quiet.numbers[:2])
    np.testing.assert_allclose(loud.numbers[2] - quiet.numbers[2], 40.0 / 40.0, atol=1e-4)


@pytest.mark.parametrize("midi", [40.0, 57.3, 80.0])
@pytest.mark.parametrize("octaves", [0, 1])
def test_a_tone_stands_at_its_octave_over_the_note(midi, octaves):
    hz = 440.0 * 2 ** ((midi - 69.0) / 12 + octaves)
    picture = np.asarray(features(tone(hz), midi, 0.3).relative)
    bins = picture.argmax(axis=1) - (octaves - LOWEST_OCTAVE) * BINS_PER_OCTAVE
    # The first and last frames see a cut-off tone; low notes are wider than a bin.
    assert np.abs(bins[1:-1]).max() <= 1


def test_what_was_not_learnt_is_taken_to_the_nearest_that_was():
    audio = tone(220.0)
    for other, same in [((10.0, 0.3), (24.0, 0.3)), ((110.0, 0.3), (96.0, 0.3)), ((60.0, 3.0), (60.0, 0.5))]:
        jax.tree.map(np.testing.assert_array_equal, features(audio, *other), features(audio, *same))


def test_other_lengths_and_rates_are_heard():
    audio = tone(220.0, seconds=2.0)
    np.testing.assert_array_equal(heard(audio, RATE_HZ), audio[:N_SAMPLES])
    np.testing.assert_array_equal(heard(audio[:1000], RATE_HZ), np.pad(audio[:1000], (0, N_SAMPLES - 1000)))
    for rate in (8_000, 44_100):
        same = heard(tone(220.0, rate, 2.0), rate)
        assert same.shape == (N_SAMPLES,)
        np.testing.assert_allclose(same[100:-100], audio[100 : N_SAMPLES - 100], atol=2e-3)
    assert np.isfinite(heard(np.array([np.nan, np.inf, 1.0]), 44_100)).all()


def test_density_and_draws_are_those_of_truncated_normals():
    mean, scale = np.array([[0.1, 0.7], [0.9, 0.4]]), np.array([[0.3, 0.02], [0.1, 2.0]])
    weight = np.array([0.25, 0.75])
    mixture = Mixture(*(jnp.asarray(x, jnp.float32) for x in (np.log(weight), mean, scale)))
    frozen: Any = stats.truncnorm(-mean / scale, (1 - mean) / scale, mean, scale)
    for u in ([0.2, 0.72], [0.95, 0.1], [0.0, 1.0]):
        expected = np.log(weight @ frozen.pdf(u).prod(axis=1))
        np.testing.assert_allclose(mixture.log_density(jnp.asarray(u)), expected, rtol=2e-4, atol=2e-3)
    np.testing.assert_allclose(mixture.centres(), frozen.mean(), atol=1e-4)
    draws = np.asarray(mixture.sample(KEY, 4000))
    for j in range(2):
        assert (
            stats.kstest(draws[:, j], lambda x, j=j: frozen.cdf(x[:, None, None])[..., j] @ weight).pvalue
            > 1e-3
        )
    assert (np.diff(np.asarray(mixture.ordered().log_weight)) <= 0).all()


def test_training_is_repeatable_counted_and_learns(small):
    header = small.header
    assert (header.training_renders, header.validation_renders) == (96, 32)
    # A uniform guess has 0.
    assert header.validation_nll < -0.5
    assert small.means(tone(220.0), 57.0, 0.3).shape == (3, sine().n_params)
    again = make_guess(TINY, say=lambda _: None)
    assert again.header == header
    jax.tree.map(np.testing.assert_array_equal, again.variables, small.variables)


def test_means_come_first_then_draws(small):
    audio = tone(220.0)
    means = small.means(audio, 57.0, 0.3)
    for count in (2, 3, 20):
        found = small.sample(KEY, audio, 57.0, 0.3, count)
        assert found.shape == (count, sine().n_params)
        np.testing.assert_allclose(found[:3], means[:count], atol=1e-6)
        assert ((found >= 0) & (found <= 1)).all()
    np.testing.assert_array_equal(found, small.sample(KEY, audio, 57.0, 0.3, 20))
    assert (found[3:] != small.sample(jax.random.key(1), audio, 57.0, 0.3, 20)[3:]).all()


def test_many_are_one_by_one(small):
    clips, midi = jnp.stack([tone(220.0), tone(880.0)]), jnp.array([57.0, 81.0])
    network = small.header.network()
    many = jax.jit(jax.vmap(lambda a, m: mixture_of(network, small.variables, a, m, jnp.float32(0.2))))
    for i, row in enumerate(jax.vmap(Mixture.centres)(many(clips, midi))):
        np.testing.assert_allclose(row, small.means(clips[i], float(midi[i]), 0.2), atol=1e-5)


def test_a_file_gives_back_what_was_saved(small, stored):
    again = load_guess(stored)
    assert again.header == small.header
    jax.tree.map(np.testing.assert_array_equal, dict(again.variables), dict(small.variables))
    assert len(list(stored.parent.iterdir())) == 1


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"format": "other"}, "format is 'other'"),
        ({"version": 99}, "version is 99, only 1"),
        ({"version": True}, "version is True, expected int"),
        ({"instrument": "sin"}, "no instrument 'sin'; did you mean 'sine'"),
        ({"table": "0"}, "table is '0', the knobs of sine are now"),
        ({"sample_rate": 8_000}, "sample_rate is 8000, only 16000"),
        ({"training_renders": 0}, "training_renders is 0, allowed are 1 to"),
        ({"hidden": 10**9}, "hidden is 1000000000, allowed are 1 to 8192"),
        ({"hidden": 17}, "expected float16"),
        ({"validation_nll": float("nan")}, "validation_nll is nan"),
        ({"validation_nll": "low"}, "validation_nll is 'low', expected float"),
        ({"seed": None}, "field seed is missing"),
        ({"sede": 1}, "no header field 'sede'; did you mean 'seed'"),
    ],
)
def test_a_header_that_does_not_fit_is_named(stored, change, said):
    rewritten(stored, fields=change)
    with pytest.raises(UserError) as error:
        load_guess(stored)
    assert said in str(error.value)
    assert str(stored) in str(error.value)


def test_damaged_files_are_named(stored):
    whole = stored.read_bytes()
    bias = "params/first/bias"
    changes = {
        "missing": lambda: rewritten(stored, **{bias: None}),
        "not expected": lambda: rewritten(stored, extra=np.zeros(1, np.float16)),
        "not finite": lambda: rewritten(stored, **{bias: np.full(16, np.inf, np.float16)}),
        "float32": lambda: rewritten(stored, **{bias: np.zeros(16, np.float32)}),
        "not JSON": lambda: rewritten(stored, header=np.frombuffer(b"{", np.uint8)),
        "no JSON object": lambda: rewritten(stored, header=np.frombuffer(b"[]", np.uint8)),
        "not a file of guess weights": lambda: stored.write_bytes(whole[: len(whole) // 2]),
        "damaged": lambda: stored.write_bytes(b""),
        "cannot be read": stored.unlink,
    }
    for said, change in changes.items():
        stored.write_bytes(whole)
        change()
        with pytest.raises(UserError, match=said):
            load_guess(stored)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--renders", "0"], "--renders is 0"),
        (["--renders", "many"], "--renders"),
        (["--instrument", "sin"], "did you mean 'sine'"),
        (["--dropout", "1"], "--dropout is 1"),
        (["--wrong", "1"], "--wrong"),
    ],
)
def test_the_command_says_what_is_wrong(tmp_path, capsys, options, said):
    assert guess_training.main(["--out", str(tmp_path / "w.npz"), *options]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    assert said in lines[0]


def test_the_shipped_weights_are_small_and_finite_in_silence():
    guess = load_guess("serum_lite")
    assert guess is load_guess("serum_lite")
    assert guess.header.instrument == "serum_lite"
    assert guess.header.validation_nll < -8.0
    assert guess.header.training_renders >= 4096
    for audio in (np.zeros(N_SAMPLES, np.float32), np.zeros(0, np.float32), np.full(99, 0.5, np.float32)):
        found = np.asarray(guess.sample(KEY, audio, 60.0, 0.3, 64))
        assert np.isfinite(found).all()
        assert ((found >= 0) & (found <= 1)).all()


def test_a_start_is_made_of_guesses():
    synth, audio = serum_lite(8_000, 0.25), tone(220.0, 8_000, 0.25)
    request = StartRequest(synth, audio, Note(57.0, 0.1, 1.0), 20, KEY, None, None, None)
    found, shared = guess_starts(request)
    assert found.shape == (20, synth.n_params)
    assert shared == load_guess("serum_lite").header.training_renders
    with pytest.raises(ValueError, match="no guess is trained for sine"):
        guess_starts(request._replace(instrument=sine()))


@pytest.mark.slow
def test_64_guesses_beat_256_random_presets():
    problem, guess, count = make_problem(RATE_HZ, 0.5), load_guess("serum_lite"), 16
    synth = problem.instrument
    keys = jax.random.split(jax.random.key(4321), 4)
    truth, notes = guess_training.draw_presets(keys[0], count, synth)
    audio = np.asarray(jax.jit(jax.vmap(synth.render))(truth, notes, jax.random.split(keys[1], count)))
    prepare, scores = jax.jit(problem.target), jax.jit(problem.scores)
    wins = 0
    for i in range(count):
        note = jax.tree.map(lambda x: x[i], notes)  # noqa: B023
        key = jax.random.fold_in(keys[2], i)
        guesses = guess.sample(key, audio[i], float(note.midi), float(note.gate_s), 64)
        random = jax.random.uniform(key, (256, synth.n_params))
        loss = scores(synth.snap(jnp.concatenate([guesses, random])), prepare(audio[i], note), keys[3])
        wins += int(loss[:64].min() < loss[64:].min())
    assert wins >= 13


def test_equals_of_clips_are_heard_as_their_presets_sound():
    synth, count = serum_lite(RATE_HZ, 0.5), 48
    symmetries = synth.knowledge.symmetries
    keys = jax.random.split(jax.random.key(11), 3)
    u, notes = guess_training.draw_presets(keys[0], count, synth)
    noise = jax.random.split(keys[1], count)
    render = jax.jit(jax.vmap(synth.render))
    clip = jax.jit(jax.vmap(lambda audio, u, note: heard_clip(symmetries, audio, u, note)))
    clips = clip(render(u, notes, noise), u, notes)
    equals = jax.jit(lambda key, clips: equals_of(symmetries, key, clips))(keys[2], clips)
    assert np.mean(np.abs(equals.u - u).max(axis=1) > 0.01) > 0.9
    exchanged = np.abs(np.asarray(equals.note.midi - notes.midi)) > 0.1
    assert 0.2 < exchanged.mean() < 0.8
    again = clip(render(equals.u, equals.note, noise), equals.u, equals.note)
    # A gate that outlasts the clip may be any; half precision; points near the pictures' floor.
    for a, b in zip(equals.features, again.features, strict=True):
        assert np.quantile(np.abs(np.asarray(a) - np.asarray(b, np.float32)), 0.999) < 0.02
    np.testing.assert_allclose(equals.features.numbers, again.features.numbers, atol=5e-3)
    np.testing.assert_allclose(equals.peak, again.peak, rtol=1e-2, atol=1e-4)


def test_an_instrument_without_symmetries_keeps_its_clips():
    u, notes = guess_training.draw_presets(KEY, 4, sine(RATE_HZ, 0.5))
    audio = jnp.stack([jnp.asarray(tone(220.0))] * 4)
    clips = jax.jit(jax.vmap(lambda audio, u, note: heard_clip(None, audio, u, note)))(audio, u, notes)
    jax.tree.map(np.testing.assert_array_equal, equals_of(None, KEY, clips).u, u)


def test_the_command_trains_and_writes_weights_that_can_be_read(tmp_path, capsys):
    out, sizes = tmp_path / "weights.npz", {"renders": 32, "validation": 8, "epochs": 1, "batch": 16}
    sizes |= {"components": 2, "hidden": 8, "shared": 2}
    options = [x for name, value in sizes.items() for x in (f"--{name}", str(value))]
    assert guess_training.main(["--out", str(out), "--instrument", "sine", "--no-symmetries", *options]) == 0
    assert str(out) in capsys.readouterr().out
    header = load_guess(out).header
    assert (header.training_renders, header.components, header.instrument) == (32, 2, "sine")
