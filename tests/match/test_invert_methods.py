"""Inversion by name of a method, and of a stream of sounds, in memory."""

import jax
import numpy as np
import pytest

import ddsprl
from ddsprl.fitting.grouped import distinct_members, make_method, prepare_group, references
from ddsprl.fitting.inversion import Streamed
from ddsprl.fitting.inverter import InversionConfig, Inverter, default_inverter
from ddsprl.fitting.library import LibraryConfig
from synth_jax import Note

RATE, N = 8_000, 2_000
CONFIG = InversionConfig(members=8, candidates=16, steps=4, library=LibraryConfig(size=64))
SETTINGS = {"method": "random", "start": "neutral", "budget": 1 + 2 * 64, "config": CONFIG}


def tone(pitch_hz: float, n: int = N) -> np.ndarray:
    t = np.arange(n) / RATE
    return (0.4 * np.sin(2 * np.pi * pitch_hz * t) * np.exp(-8 * t)).astype(np.float32)


SOUNDS = [tone(pitch_hz) for pitch_hz in (220.0, 262.0, 330.0)]


@pytest.fixture(scope="module")
def inverter() -> Inverter:
    return default_inverter(RATE, N, CONFIG)


@pytest.fixture(scope="module")
def found() -> ddsprl.Inversion:
    key = jax.random.key(4)
    return ddsprl.invert(np.stack(SOUNDS), RATE, key=key, midi=60.0, gate_s=0.2, **SETTINGS)


def test_a_solver_is_counted_and_judged(found, inverter):
    assert (found.renders, found.gradients) == (129, 0)
    assert found.judge_renders == (8 + 1) * 8
    assert found.curve_renders.tolist() == [1, 65, 129]
    assert (np.diff(found.curve) <= 0).all()
    assert found.curve_snapped.all()
    np.testing.assert_array_equal(found.relaxed_loss, found.curve[:, -1])
    np.testing.assert_array_equal(found.u, inverter.problem.snap(found.u))
    np.testing.assert_allclose(sum(found.terms.values()), found.loss, rtol=1e-3)
    assert (found.loss <= found.member_loss.min(axis=1)).all()
    # Judged with fresh noise, yet of the same preset as the curve's end, or of one that proved better.
    assert (found.loss < 1.5 * found.curve[:, -1]).all()


def test_a_stream_finds_the_same(found, monkeypatch):
    streamed = list(
        ddsprl.invert_stream(iter(SOUNDS), RATE, key=jax.random.key(4), midi=60, gate_s=0.2, **SETTINGS)
    )
    assert all(isinstance(part, Streamed) for part in streamed)
    assert np.concatenate([part.index for part in streamed]).tolist() == [0, 1, 2]
    np.testing.assert_array_equal(np.concatenate([part.found.u for part in streamed]), found.u)
    np.testing.assert_array_equal(np.concatenate([part.found.loss for part in streamed]), found.loss)


def test_a_stream_takes_no_more_than_it_needs():
    taken = []

    def sounds():
        for i in range(100):
            taken.append(i)
            yield SOUNDS[i % 3]

    stream = ddsprl.invert_stream(sounds(), RATE, key=jax.random.key(4), midi=60, gate_s=0.2, **SETTINGS)
    next(stream)
    stream.close()
    assert len(taken) <= 6 * jax.device_count()


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"method": "hybird"}, "did you mean 'hybrid'"),
        ({"start": "libary"}, "did you mean 'library'"),
        ({"method": "rounds"}, "has starts of its own"),
    ],
)
def test_unknown_names_are_refused(changed, message):
    with pytest.raises(ValueError, match=message):
        ddsprl.invert(np.stack(SOUNDS), RATE, key=jax.random.key(0), **SETTINGS | changed)
    with pytest.raises(ValueError, match=message):
        next(ddsprl.invert_stream(SOUNDS, RATE, key=jax.random.key(0), **SETTINGS | changed))


@pytest.mark.parametrize("sound", [np.zeros((2, 3)), np.zeros(0), np.full(N, np.nan)])
def test_a_sound_that_is_none_is_refused(sound):
    with pytest.raises(ValueError, match="sound 1 has shape"):
        list(
            ddsprl.invert_stream(
                [SOUNDS[0], sound], RATE, key=jax.random.key(0), midi=60, gate_s=0.2, **SETTINGS
            )
        )


def test_references_of_a_group_are_those_of_each(inverter):
    d, key = inverter.problem.instrument.n_params, jax.random.key(9)
    free, locked = np.ones(d, np.float32), np.zeros(d, np.float32)
    free[3], locked[3] = 0.0, 0.25
    note, window = Note(np.array([60.0]), np.array([0.2]), np.ones(1)), np.ones((1, N), np.float32)
    knobs = {"window": window, "bank": np.zeros((0, d)), "free": free, "locked": locked}
    method = make_method("random", "neutral")
    group = prepare_group(inverter, method, SOUNDS[0][None], note, key[None], **knobs)
    (many,) = references(inverter, group, key[None], count=24)
    alone = inverter.reference(SOUNDS[0], (60.0, 0.2), free, locked, window[0], 24, key)
    assert many.loss == pytest.approx(alone.loss, rel=1e-5)
    np.testing.assert_array_equal(many.u, alone.u)
    assert many.u[3] == 0.25
    assert (many.count, set(many.terms)) == (24, set(alone.terms))


def test_presets_that_are_alike_count_once(found):
    rows = np.zeros((1, 8, found.u.shape[1]), np.float32)
    rows[0, :, 0] = [0.5, 0.5, 0.9, 0.9, 0.1, 0.1, 0.3, 0.7]
    loss = np.array([[2.0, 1.0, 4.0, 3.0, 6.0, 5.0, 8.0, 7.0]])
    rows[0, :, 1] = [0, 1e-3, 0, 1e-3, 0, 1e-3, 0, 0]
    alike = found._replace(members=rows, member_loss=loss)
    assert distinct_members(alike, 0, 8) == [1, 3, 5, 7, 6]
    assert distinct_members(alike, 0, 2) == [1, 3]
