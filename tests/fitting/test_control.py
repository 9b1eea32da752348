"""Goals and guards: values that can be computed by hand, and that a problem made of them can be solved."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import signal

from ddsprl.fitting.control.problem import ControlProblem, GuardedProblem, GuardedTarget
from ddsprl.fitting.control.terms import (
    Brightness,
    Damping,
    Heard,
    KnobBand,
    KnobSlew,
    Level,
    LoudnessLimit,
    PeakLimit,
    brightness_octaves,
    hinge,
    weighed,
)
from ddsprl.fitting.core.archive import BAD_LOSS
from ddsprl.fitting.core.solve import solve
from ddsprl.fitting.solvers.hybrid import Hybrid
from ddsprl.plant import Plant
from synth_jax import Note

NOTE = Note(60.0, 0.15, 1.0)
KEY = jax.random.key(1)


@pytest.fixture(scope="module")
def synth(tiny):
    return tiny.synth


def heard(synth, sound=None, *, reference=None, **knobs) -> Heard:
    """The neutral patch with some physical values, and a sound."""
    u = np.array(synth.default)
    names = [spec.name for spec in synth.table]
    for name, value in knobs.items():
        i = names.index(name)
        u[i] = synth.table[i].to_unit(value)
    sound = np.zeros(synth.n_samples) if sound is None else sound
    reference = synth.default if reference is None else reference
    return Heard(jnp.asarray(sound, jnp.float32), jnp.asarray(u, jnp.float32), jnp.asarray(reference))


def tone(synth, hz, amplitude=0.5):
    return amplitude * np.sin(2 * np.pi * hz * np.arange(synth.n_samples) / synth.sample_rate)


def test_the_hinge_is_flat_then_bends_then_is_a_line():
    x = np.linspace(-1.0, 1.0, 2001)
    value = np.asarray(hinge(jnp.asarray(x), 0.25))
    slope = np.asarray(jax.vmap(jax.grad(lambda x: hinge(x, 0.25)))(jnp.asarray(x)))
    assert (value[x <= -0.25] == 0.0).all()
    np.testing.assert_allclose(value[x >= 0.0], x[x >= 0.0] + 0.125, atol=1e-6)
    np.testing.assert_allclose(np.gradient(value, x)[1:-1], slope[1:-1], atol=3e-3)
    assert (np.diff(slope) >= -1e-6).all()
    np.testing.assert_allclose(slope[x > 1e-6], 1.0)


def test_brightness_is_the_octave_of_the_centroid(synth):
    rate = synth.sample_rate
    one = np.asarray(brightness_octaves(jnp.asarray(tone(synth, 2000.0), jnp.float32), rate))
    np.testing.assert_allclose(one, 1.0, atol=0.1)
    noise = np.random.default_rng(0).normal(0.0, 0.2, synth.n_samples)
    # SciPy's frames, and a silence after the sound that must not count.
    magnitude = np.abs(signal.stft(noise, rate, nperseg=1024, noverlap=768, boundary="even", padded=False)[2])
    hz = np.linspace(0.0, rate / 2, 513)
    centroid = (magnitude.sum(1) * hz).sum() / magnitude.sum()
    found = float(brightness_octaves(jnp.asarray(noise, jnp.float32), rate))
    assert abs(found - np.log2(centroid / 1000.0)) < 0.05
    long = np.concatenate([noise, np.zeros(4 * len(noise))])
    assert abs(float(brightness_octaves(jnp.asarray(long, jnp.float32), rate)) - found) < 0.05
    assert Brightness()(heard(synth, tone(synth, 2000.0)), synth) == pytest.approx(-one, abs=1e-5)


def test_silence_is_not_bright_and_its_gradient_is_finite(synth):
    assert Brightness()(heard(synth), synth) > Brightness()(heard(synth, tone(synth, 50.0)), synth)
    faint, loud = (heard(synth, tone(synth, 2000.0, level)) for level in (1e-3, 0.5))
    assert Brightness()(faint, synth) > Brightness()(loud, synth) + 1.0
    for sound in (jnp.zeros(synth.n_samples), faint.sound):
        slope = jax.grad(lambda x: Brightness()(heard(synth)._replace(sound=x), synth))(sound)
        assert np.isfinite(slope).all()


def test_level_and_loudness_limit_are_in_lu(synth):
    # A 1 kHz sine of amplitude a has about 20 log10(a) - 3.01 LUFS (BS.1770-4); less at such a low rate.
    sine = heard(synth, tone(synth, 997.0, 0.5))
    lufs = 20 * np.log10(0.5) - 3.01
    assert Level(lufs=lufs - 6.0)(sine, synth) == pytest.approx(5.52, abs=0.3)
    assert Level(lufs=lufs)(sine, synth) == pytest.approx(0.0, abs=0.1)
    limit = LoudnessLimit(most_lufs=lufs - 3.0)
    assert limit(sine, synth) == pytest.approx(3.0 + 0.5 * limit.margin, abs=0.3)
    assert LoudnessLimit(most_lufs=lufs + 2.0)(sine, synth) == 0.0


def test_the_peak_is_the_largest_sample_of_either_sign(synth):
    sound = np.zeros(synth.n_samples)
    sound[100] = -0.95
    guard = PeakLimit(most=0.9)
    assert guard(heard(synth, sound), synth) == pytest.approx(0.05 + 0.5 * guard.margin, abs=1e-6)
    assert guard(heard(synth, 0.9 * sound), synth) == 0.0


@pytest.mark.parametrize(("q", "inside"), [(0.5, True), (1.9, True), (2.2, False), (10.0, False)])
def test_damping_below_the_bound_is_penalised(synth, q, inside):
    guard = Damping(least=0.5)
    value = float(guard(heard(synth, filter_resonance=q), synth))
    expected = 0.0 if inside else 0.5 - 1.0 / q + 0.5 * guard.margin
    assert value == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize(("q", "away"), [(1.0, 2.5), (7.0, 0.0), (9.0, 0.5)])
def test_a_band_is_left_by_shares_of_its_width(synth, q, away):
    guard = KnobBand("filter_resonance", 6.0, 8.0)
    expected = away + (0.5 * guard.margin if away else 0.0)
    value = guard(heard(synth, filter_resonance=q), synth)
    assert value == pytest.approx(expected, abs=1e-4)


def test_slew_counts_travel_beyond_what_is_free_of_charge(synth):
    guard, there = KnobSlew(most=0.2), heard(synth)
    assert guard(there, synth) == 0.0
    moved = there._replace(u=there.reference.at[0].add(0.5).at[3].add(-0.5).at[4].add(0.1))
    assert guard(moved, synth) == pytest.approx(2 * (0.3 + 0.5 * guard.margin), abs=1e-5)


def test_terms_are_weighted_and_told_apart(synth):
    terms = (Damping(weight=2.0), KnobBand("filter_resonance", 0.2, 1.0, weight=3.0), PeakLimit())
    found = weighed(terms, heard(synth, filter_resonance=5.0), synth)
    assert set(found) == {"Damping", "filter_resonance", "PeakLimit"}
    assert found["Damping"] == pytest.approx(2.0 * (0.5 - 0.2 + 0.01), abs=1e-4)
    assert found["filter_resonance"] == pytest.approx(3.0 * (5.0 + 0.05), abs=1e-3)


def test_what_makes_no_problem_is_refused(synth):
    with pytest.raises(ValueError, match="no terms"):
        ControlProblem(Plant(synth), ())
    with pytest.raises(KeyError, match="filter_resonance"):
        ControlProblem(Plant(synth), (KnobBand("filter_resonanse", 1.0, 2.0),))
    with pytest.raises(ValueError, match="under high"):
        KnobBand("filter_resonance", 2.0, 1.0)


@pytest.fixture(scope="module")
def problem(synth):
    return ControlProblem(Plant(synth), (Brightness(), Damping(least=0.5), PeakLimit(most=0.9)))


def test_loss_scores_and_gradients_agree_and_are_finite(problem):
    target = problem.target(NOTE)
    u = problem.snap(jnp.asarray(np.random.default_rng(0).uniform(size=(3, 25)), jnp.float32))
    loss, slope = jax.jit(problem.gradients)(u, target, KEY)
    np.testing.assert_allclose(loss, jax.jit(problem.scores)(u, target, KEY), rtol=1e-3)
    assert np.isfinite(slope).all()
    assert (np.abs(loss) < BAD_LOSS).all()
    sound, terms = problem.details(u[0], target, KEY)
    assert sound.shape == (problem.instrument.n_samples,)
    assert sum(map(float, terms.values())) == pytest.approx(float(loss[0]), rel=1e-3)


@pytest.mark.slow
def test_a_search_brightens_within_the_guard(problem):
    target = problem.target(NOTE, locked=jnp.asarray(problem.instrument.default))
    group = jax.tree.map(lambda x: x[None], target)
    start = np.array(problem.instrument.default)[None, None]
    found = solve(problem, Hybrid(), group, start, jax.random.split(KEY, 1), budget=241)
    names = [spec.name for spec in problem.instrument.table]
    q = problem.instrument.table[i := names.index("filter_resonance")].to_physical(float(found.u[0, i]))
    assert q <= 2.0
    assert found.loss[0] < found.course.loss[0, 0] - 0.5


def test_guards_add_to_a_match(tiny, synth):
    match = tiny.inverter.problem
    u = np.array(synth.default)
    u[[spec.name for spec in synth.table].index("filter_resonance")] = 0.9
    target = tiny.target(tiny.sound(u, NOTE, 0), NOTE)
    guarded = GuardedProblem(match, (Damping(least=0.5, weight=5.0),))
    group = GuardedTarget(target, synth.default)
    rows = jnp.asarray(np.stack([u, synth.default]), jnp.float32)
    plain = np.asarray(tiny.scores(rows, target, KEY))
    both = np.asarray(jax.jit(guarded.scores)(rows, group, KEY))
    q = 0.1 + 0.9 * 9.9
    np.testing.assert_allclose(both - plain, [5.0 * (0.5 - 1.0 / q + 0.01), 0.0], atol=1e-3)
    loss, slope = jax.jit(guarded.gradients)(rows, group, KEY)
    np.testing.assert_allclose(loss, both, rtol=1e-3, atol=1e-3)
    assert np.isfinite(slope).all()
    assert guarded.space(group).free.shape == (25,)
