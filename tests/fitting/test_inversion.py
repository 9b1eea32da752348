"""Batch inversion with the tiny configuration: it recovers sounds, counts what it spends, can be stopped."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ddsprl.fitting import Inversion, Library, LibraryConfig, Setup, invert
from ddsprl.fitting.core.budget import GRADIENT_COST
from ddsprl.fitting.core.driver import FINALISTS
from ddsprl.fitting.core.problem import Problem
from ddsprl.fitting.inversion.inverter import FINAL_KEYS, InversionConfig, Inverter
from ddsprl.fitting.inversion.recording import GUESSES
from ddsprl.losses.objective import Objective, ObjectiveConfig
from ddsprl.plant import Plant, make_instrument
from synth_jax import Note

RATE = 8_000
NOTES = [Note(57.0, 0.15, 1.0), Note(64.5, 0.1, 1.0)]
MIDI, GATE_S = np.array([note.midi for note in NOTES]), np.array([note.gate_s for note in NOTES])
KEY = jax.random.key(1)
OBJECTIVE = Objective(ObjectiveConfig(terms=("loud",)), RATE)
# Of gradient descent from the neutral patch and its copies: sixteen members, a gradient as three renders.
STARTS, STEP = 64, 16 * GRADIENT_COST
BUDGET, LEAST = STARTS + 12 * STEP, STARTS + 2 * STEP


@pytest.fixture(scope="module")
def truth(tiny) -> np.ndarray:
    rng = np.random.default_rng(12)
    u = rng.uniform(0.1, 0.9, (2, tiny.synth.n_params)).astype(np.float32)
    u[:, tiny.index("noise_level")] = 0.02
    u[:, tiny.index("amp_attack")] = 0.2
    u[:, tiny.index("filter_cutoff")] = 0.7
    u[:, tiny.index("master_volume")] = 0.7
    return np.asarray(tiny.synth.snap(jnp.asarray(u)))


@pytest.fixture(scope="module")
def targets(tiny, truth) -> np.ndarray:
    return np.stack(
        [tiny.sound(u, note, seed=70 + i) for i, (u, note) in enumerate(zip(truth, NOTES, strict=True))]
    )


def match(tiny, targets, **changes) -> Inversion:
    settings = {
        "midi": MIDI,
        "gate_s": GATE_S,
        "key": KEY,
        "budget": BUDGET,
        "method": "adam",
        "start": "best",
    }
    settings |= changes
    names = {field.name for field in dataclasses.fields(Setup)}
    setup = Setup(inverter=tiny.inverter, **{name: settings.pop(name) for name in names & set(settings)})
    return invert(targets, RATE, setup=setup, **settings)


@pytest.fixture(scope="module")
def found(tiny, targets) -> Inversion:
    return match(tiny, targets)


def test_it_does_much_better_than_its_starts(tiny, targets):
    found = match(tiny, targets, budget=6 * BUDGET)
    assert (found.loss < 0.8 * found.course.loss[:, 0]).all()


def test_the_record_has_the_documented_shapes(tiny, found, targets):
    d, n, points = tiny.synth.n_params, tiny.synth.n_samples, 13
    shapes = {
        "u": (found.u, (2, d)),
        "loss": (found.loss, (2,)),
        "audio": (found.audio, (2, n)),
        "members": (found.members, (2, FINALISTS, d)),
        "finalists": (found.verdict.finalists.loss, (2, FINALISTS)),
        "yardstick": (found.verdict.yardstick, (2,)),
        "spread": (found.spread, (2, FINALISTS, d)),
        "course": (found.course.loss, (2, points)),
        "renders": (found.course.renders, (2, points)),
        "midi": (found.task.note.midi, (2,)),
        "free": (found.task.free, (2, d)),
        "cost": (found.cost.gradients, (2,)),
    }
    for name, (value, shape) in shapes.items():
        assert isinstance(value, np.ndarray), name
        assert value.shape == shape, name
        assert np.isfinite(value).all(), name
    # One tree map cuts and joins: every leaf has the target first.
    assert all(len(leaf) == 2 for leaf in jax.tree.leaves(found))


def test_the_numbers_agree_with_each_other(tiny, found, targets):
    np.testing.assert_allclose(found.u, tiny.synth.snap(jnp.asarray(found.u)), atol=1e-6)
    np.testing.assert_array_equal(found.u, found.members[:, 0])
    finalists = found.verdict.finalists
    np.testing.assert_array_equal(found.loss, finalists.loss[:, 0])
    assert (found.loss == np.min(finalists.loss, axis=1)).all()
    np.testing.assert_allclose(sum(found.verdict.terms.values()), found.loss, rtol=1e-3)
    for i, note in enumerate(NOTES):
        # The loss, and the sound, are those of the preset: computed here from the outside.
        target = tiny.target(targets[i], note)
        losses = [float(tiny.scores(found.u[i][None], target, jax.random.key(k))[0]) for k in range(4)]
        assert np.mean(losses) == pytest.approx(found.loss[i], rel=0.05)
        one, other = (tiny.sound(found.u[i], note, seed=seed) for seed in (1, 2))
        # Two renders differ by their noise, which a preset may have much of.
        noise = np.std(one - other)
        assert np.std(one - found.audio[i]) < 1.3 * noise + 0.02 * np.std(one)
        assert noise < np.std(one)


def test_curves_fall(found):
    # Up to rounding: a preset that is kept is heard again in another batch.
    assert (np.diff(found.course.loss) <= 1e-4).all()
    assert (np.diff(found.course.renders) > 0).all()


def test_every_render_is_counted():
    calls = []

    def render(u, note, key):
        jax.debug.callback(calls.append, u[0])
        return sine.render_fn(u, note, key)

    sine = make_instrument("sine", RATE, 0.1)
    problem = Problem(Plant(dataclasses.replace(sine, render_fn=render)), OBJECTIVE)
    inverter = Inverter(problem, InversionConfig(library=LibraryConfig(size=20)))
    audio, setup = sine.render(jnp.asarray([0.5, 0.5]), NOTES[0], KEY), Setup(inverter=inverter)
    settings = {"midi": 60, "gate_s": 0.1, "key": KEY, "method": "random", "start": "library", "setup": setup}
    # Nothing is left over for hearing finalists again, which a compiled program does in whole turns.
    found = invert(audio[None], RATE, budget=20 + 64, **settings)
    jax.effects_barrier()
    assert found.cost.library.tolist() == [20]
    cost = sum(int(x[0]) for x in found.cost)
    assert len(calls) == cost
    assert found.cost.renders[0] == 20 + 64


def test_renders_and_gradients_are_counted_right(found):
    assert (found.cost.gradients == 12 * 16).all()
    assert (found.cost.renders + GRADIENT_COST * found.cost.gradients == BUDGET).all()
    assert (found.course.renders[:, -1] == BUDGET).all()
    assert (found.cost.judgement == (FINALISTS + 1) * FINAL_KEYS).all()


def test_equal_keys_give_equal_results_and_others_do_not(tiny, found, targets):
    again = match(tiny, targets[:1], midi=MIDI[0], gate_s=float(GATE_S[0]))
    np.testing.assert_array_equal(again.u, found.u[:1])
    np.testing.assert_array_equal(again.course.loss, found.course.loss[:1])
    assert again.cost.library.sum() == 0
    other = match(tiny, targets[:1], midi=MIDI[:1], gate_s=GATE_S[:1], key=jax.random.key(2), budget=LEAST)
    assert (other.u != found.u[:1]).any()


def test_each_program_is_compiled_once(tiny, found):
    del found
    programs = {name: getattr(tiny.inverter, name) for name in ("_prepare", "judge")}
    counts = {name: program.__wrapped__._cache_size() for name, program in programs.items()}
    assert counts == dict.fromkeys(programs, 1)


def test_library_renders_are_reported(tiny, targets):
    library = Library(tiny.synth, LibraryConfig(size=64))
    library._draw = tiny.inverter.library._draw
    before, tiny.inverter.library = tiny.inverter.library, library
    try:
        found = match(tiny, targets, budget=LEAST)
    finally:
        tiny.inverter.library = before
    assert found.cost.library.tolist() == [64, 64]
    assert library.renders == 2 * 64


def test_locked_knobs_are_exactly_where_they_were_put(tiny, targets):
    d = tiny.synth.n_params
    free, locked = np.ones(d), np.full(d, 0.9)
    held = {"filter_cutoff": 0.61803, "osc1_unison": 2 / 6, "amp_attack": 0.0, "lfo_amount": 1.0}
    for name, value in held.items():
        free[tiny.index(name)], locked[tiny.index(name)] = 0.0, value
    found = match(tiny, targets[:1], midi=MIDI[0], gate_s=GATE_S[0], free=free, locked=locked, budget=LEAST)
    for name, value in held.items():
        assert (found.members[0, :, tiny.index(name)] == np.float32(value)).all(), name
    np.testing.assert_array_equal(found.task.free[0], free)
    assert (found.u[0] != np.float32(0.9)).all()


def test_only_what_the_window_shows_counts(tiny, targets):
    window = np.ones_like(targets)
    window[:, 1000:] = 0.0
    spoiled = targets.copy()
    spoiled[:, 1000:] = np.random.default_rng(0).uniform(-1, 1, spoiled[:, 1000:].shape)
    settings = {"midi": MIDI[0], "gate_s": GATE_S[0], "window": window[:1], "budget": LEAST}
    clean = match(tiny, targets[:1], **settings)
    target = tiny.target(spoiled[0], NOTES[0], window=window[0])
    np.testing.assert_array_equal(np.asarray(target.audio)[1000:], 0.0)
    loss = tiny.scores(clean.u[:1], target, jax.random.key(4))[0]
    assert float(loss) == pytest.approx(clean.loss[0], rel=0.1)


def test_an_interrupted_search_returns_the_best_so_far(tiny, found, targets):
    def stop(done, total, loss):
        assert total == 2 * BUDGET
        assert np.isfinite(loss)
        raise KeyboardInterrupt

    short = match(tiny, targets, progress=stop)
    assert short.u.shape == (1, tiny.synth.n_params)
    assert short.interrupted.tolist() == [True]
    assert short.task.note.midi.tolist() == [MIDI[0]]
    np.testing.assert_array_equal(short.course.loss[0], found.course.loss[0, :2])
    assert np.isfinite(short.loss).all()
    np.testing.assert_allclose(short.u, tiny.synth.snap(jnp.asarray(short.u)), atol=1e-6)
    assert (short.cost.renders[0], short.cost.gradients[0]) == (STARTS, 16)


def test_an_interrupt_in_a_later_target_keeps_the_earlier_ones(tiny, found, targets):
    def stop(done, total, loss):
        if done > BUDGET + LEAST:
            raise KeyboardInterrupt

    three = np.concatenate([targets, targets[:1]])
    short = match(tiny, three, midi=57.0, gate_s=0.15, progress=stop)
    assert short.u.shape == (2, tiny.synth.n_params)
    assert short.interrupted.tolist() == [False, True]
    np.testing.assert_array_equal(short.u[0], found.u[0])
    assert short.course.loss.shape == found.course.loss.shape
    assert np.isfinite(short.course.loss).all()
    assert short.course.renders[1, -1] < short.course.renders[0, -1]


def test_progress_is_told_as_renders_of_the_whole_batch(tiny, targets):
    told = []
    found = match(tiny, targets, budget=LEAST, progress=lambda *x: told.append(x))
    assert {total for _, total, _ in told} == {2 * LEAST}
    done = [done for done, _, _ in told]
    assert done == sorted(done) and done[-1] == 2 * LEAST
    assert told[-1][2] == pytest.approx(found.course.loss[1, -1])


def test_a_note_that_is_not_given_is_estimated(tiny):
    t = np.arange(2000) / RATE
    audio = sum(np.sin(2 * np.pi * 220 * k * t) / k for k in range(1, 12)) * (0.3 * (t < 0.15))
    found = match(tiny, audio[None], midi=None, gate_s=None, budget=LEAST)
    assert found.task.note.midi[0] == pytest.approx(57.0, abs=0.1)
    assert found.task.note.gate_s[0] == pytest.approx(0.15, abs=0.04)
    noise = np.random.default_rng(0).uniform(-0.3, 0.3, (1, 2000))
    assert match(tiny, noise, midi=None, gate_s=0.2, budget=LEAST).task.note.midi[0] in GUESSES


def test_a_bank_is_among_the_starts(tiny, targets, truth):
    found = match(tiny, targets[:1], midi=MIDI[0], gate_s=GATE_S[0], bank=truth[:1], budget=LEAST)
    # The bank holds the truth itself, so that no more than its noise is left.
    target = tiny.target(targets[0], NOTES[0])
    floor = [float(tiny.scores(truth[:1], target, jax.random.key(k))[0]) for k in range(4)]
    assert found.course.loss[0, 0] < 1.2 * np.mean(floor)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"targets": np.zeros(2000)}, r"targets has shape \(2000,\); expected \[batch, samples\]"),
        ({"targets": np.zeros((0, 2000))}, r"targets has shape \(0, 2000\)"),
        ({"targets": np.zeros((1, 1, 2000))}, r"targets has shape"),
        ({"targets": np.full((2, 2000), np.nan)}, "not finite"),
        ({"targets": np.full((2, 2000), np.inf)}, "not finite"),
        ({"targets": np.zeros((2, 1999))}, "1999 samples at 8000 Hz; the inverter is made for 2000"),
        ({"sample_rate": 16_000}, "2000 samples at 16000 Hz; the inverter is made for 2000 samples at 8000"),
        ({"midi": [60.0, 61.0, 62.0]}, r"midi has shape \(3,\); expected one finite number or 2"),
        ({"midi": np.nan}, "midi has shape .* expected one finite number"),
        ({"gate_s": [0.1]}, r"gate_s has shape \(1,\)"),
        ({"gate_s": np.full((2, 1), 0.1)}, "gate_s has shape"),
        ({"window": np.ones((2, 5))}, "window has shape"),
        ({"free": np.ones(3)}, "free has shape"),
        ({"locked": np.ones(3)}, "locked has shape"),
        ({"bank": np.ones((2, 3))}, "bank has shape"),
    ],
)
def test_what_does_not_fit_is_refused(tiny, change, message):
    settings = {"targets": np.zeros((2, 2000)), "sample_rate": RATE, "midi": 60.0, "gate_s": 0.1} | change
    audio, rate = settings.pop("targets"), settings.pop("sample_rate")
    notes = {name: settings.pop(name) for name in ("midi", "gate_s")}
    with pytest.raises(ValueError, match=message):
        invert(audio, rate, key=KEY, setup=Setup(inverter=tiny.inverter, **settings), **notes)


def test_a_setting_that_no_search_has_is_refused(tiny):
    with pytest.raises(TypeError, match="budgit"):
        invert(np.zeros((1, 2000)), RATE, key=KEY, setup=Setup(inverter=tiny.inverter), budgit=3)
