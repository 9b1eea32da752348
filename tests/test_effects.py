"""An effect is an instrument that hears a sound, and a chain is one: shown by toys, none is shipped."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ddsprl.env import EnvConfig, make_matcher
from ddsprl.fitting.core.problem import Problem
from ddsprl.fitting.core.solve import solve
from ddsprl.fitting.solvers.registry import make_solver
from ddsprl.losses import Objective, ObjectiveConfig
from ddsprl.plant import Plant, make_plant
from synth_jax import Instrument, Note, ParamSpec, Sound, chain, sine
from synth_jax.instrument import make_instrument
from synth_jax.params import to_physical

RATE, DURATION_S, N = 8_000, 0.1, 800
KEY = jax.random.key(5)
DRIVE = (
    ParamSpec(name="gain", low=1.0, high=30.0, default=1.0, scale="log", module="SHAPE", help="before tanh"),
    ParamSpec(name="level", low=0.0, high=1.0, default=0.8, group="Out", help="after it"),
)
HISS = (ParamSpec(name="amount", low=0.0, high=0.2, default=0.0, help="white noise"),)


def drive(rate: int = RATE, duration_s: float = DURATION_S) -> Instrument:
    def render(u, sound, key):
        del key
        gain, level = to_physical(u, DRIVE)
        return level * jnp.tanh(gain * sound.audio)

    return make_instrument("drive", DRIVE, rate, duration_s, render, hears="sound")


def hiss() -> Instrument:
    def render(u, sound, key):
        return sound.audio + to_physical(u, HISS)[0] * jax.random.normal(key, (N,), u.dtype)

    return make_instrument("hiss", HISS, RATE, DURATION_S, render, hears="sound")


SYNTH, EFFECT, NOISE = sine(RATE, DURATION_S), drive(), hiss()
DRY = 0.3 * np.sin(2.0 * np.pi * 220.0 * np.arange(N) / RATE).astype(np.float32)
U = jnp.asarray([0.4, 0.7])


def check_slopes(value, u: np.ndarray, audio: np.ndarray) -> None:
    """Gradients with respect to knobs and sound against central differences, in float64."""
    with jax.enable_x64(True):
        point = (jnp.asarray(u, jnp.float64), jnp.asarray(audio, jnp.float64))
        slopes = jax.grad(value, argnums=(0, 1))(*point)
        rng = np.random.default_rng(0)
        for place in (0, 1):
            way = jnp.asarray(rng.standard_normal(point[place].shape))
            ends = [
                value(*(x + step * way if i == place else x for i, x in enumerate(point)))
                for step in (1e-6, -1e-6)
            ]
            expected = (ends[0] - ends[1]) / 2e-6
            np.testing.assert_allclose(jnp.vdot(slopes[place], way), expected, rtol=1e-5)


def test_an_effect_differentiates_in_knobs_and_sound():
    def value(u, audio):
        return jnp.sum(jnp.square(EFFECT.render(u, Sound(audio), KEY)))

    check_slopes(value, np.asarray(U), DRY)


def test_an_instrument_refuses_what_it_does_not_hear():
    with pytest.raises(TypeError, match="drive hears a Sound, not a Note"):
        EFFECT.render(U, Note(), KEY)
    with pytest.raises(TypeError, match="sine hears a Note, not a Sound"):
        SYNTH.render(U, Sound(DRY), KEY)
    with pytest.raises(ValueError, match=r"audio has shape \(10,\), drive takes \(800,\)"):
        EFFECT.render(U, Sound(DRY[:10]), KEY)
    with pytest.raises(TypeError, match="drive hears a Sound"):
        make_plant(EFFECT, Note())
    with pytest.raises(ValueError, match="drive hears a sound; this environment plays notes"):
        make_matcher(EnvConfig(), instrument=EFFECT)


def test_a_chain_is_its_parts_in_a_row():
    whole = chain(SYNTH, EFFECT, NOISE)
    assert (whole.name, whole.hears, whole.n_params) == ("sine+drive+hiss", "note", 5)
    u, note = jnp.asarray([0.5, 0.6, 0.3, 0.9, 0.5]), Note(60.0, 0.05, 0.8)
    keys = [jax.random.fold_in(KEY, i) for i in range(3)]
    by_hand = SYNTH.render(u[:2], note, keys[0])
    by_hand = EFFECT.render(u[2:4], Sound(by_hand), keys[1])
    by_hand = NOISE.render(u[4:], Sound(by_hand), keys[2])
    np.testing.assert_array_equal(whole.render(u, note, KEY), by_hand)


def test_a_chains_table_says_whose_its_knobs_are():
    rack = chain(EFFECT, NOISE, EFFECT, name="rack")
    assert (rack.name, rack.hears) == ("rack", "sound")
    names = [spec.name for spec in rack.table]
    assert names == ["drive.gain", "drive.level", "hiss.amount", "drive2.gain", "drive2.level"]
    assert rack.modules == ("drive.SHAPE", "drive.MAIN", "hiss.MAIN", "drive2.SHAPE", "drive2.MAIN")
    assert [spec.group for spec in rack.table[:3]] == ["drive", "drive: Out", "hiss"]
    np.testing.assert_allclose(rack.default[:2], EFFECT.default)


def test_a_chain_of_effects_differentiates_through_all_of_them():
    rack = chain(EFFECT, NOISE, EFFECT)

    def value(u, audio):
        return jnp.sum(jnp.square(rack.render(u, Sound(audio), KEY)))

    check_slopes(value, np.asarray([0.2, 0.8, 0.3, 0.4, 0.6]), DRY)


@pytest.mark.parametrize(
    ("parts", "said"),
    [
        ((EFFECT, SYNTH), "sine hears a note; only effects stand behind drive"),
        ((SYNTH, drive(16_000)), "drive takes 1600 samples at 16000 Hz; sine makes 800 samples at 8000 Hz"),
    ],
)
def test_what_makes_no_chain_is_refused(parts, said):
    with pytest.raises(ValueError, match=said):
        chain(*parts)


def test_a_plant_hears_sounds_as_it_hears_notes():
    sounds = [Sound(DRY), Sound(DRY[::-1].copy())]
    plant = make_plant(NOISE, sounds)
    u = jnp.asarray([0.5])
    heard = plant.render(u, KEY)
    assert heard.shape == (2, N)
    for i, sound in enumerate(sounds):
        alone = NOISE.render(u, sound, jax.random.fold_in(KEY, i))
        np.testing.assert_allclose(heard[i], alone, atol=1e-6)
    np.testing.assert_array_equal(
        Plant(NOISE).play(u, sounds[0], KEY), make_plant(NOISE, sounds[0]).render(u, KEY)[0]
    )
    with pytest.raises(ValueError, match="the plant of hiss has no probes"):
        Plant(NOISE).render(u, KEY)


def test_plants_of_different_sounds_are_a_batch_and_differentiate():
    plants = [make_plant(EFFECT, Sound(scale * DRY)) for scale in (0.5, 1.0, 2.0)]
    batch = jax.tree.map(lambda *x: jnp.stack(x), *plants)
    heard = jax.jit(jax.vmap(lambda plant: plant.render(U, KEY)))(batch)
    for sound, plant in zip(heard, plants, strict=True):
        np.testing.assert_allclose(sound, plant.render(U, KEY), atol=1e-6)
    slope = jax.grad(lambda plant: jnp.sum(plant.render(U, KEY) ** 2))(plants[1])
    gain, level = to_physical(U, DRIVE)
    inner = jnp.tanh(gain * DRY)
    expected = 2.0 * level * inner * level * gain * (1.0 - inner**2)
    np.testing.assert_allclose(slope.probes.audio[0], expected, rtol=1e-4, atol=1e-6)


def test_a_search_finds_the_knobs_of_an_effect():
    judge = Objective(ObjectiveConfig(terms=("mr", "loud"), n_ffts=(256,), mel_n_fft=256), RATE)
    problem = Problem(Plant(EFFECT), judge)
    target = problem.target(EFFECT.render(U, Sound(DRY), KEY), Sound(jnp.asarray(DRY)))
    group = jax.tree.map(lambda x: jnp.asarray(x)[None], target)
    starts = np.array([[[0.9, 0.2], [0.1, 0.9]]], np.float32)
    found = solve(problem, make_solver("adam", members=2), group, starts, KEY[None], budget=600)
    np.testing.assert_allclose(found.u[0], U, atol=0.02)
    with pytest.raises(TypeError, match="drive hears a Sound"):
        problem.target(target.audio, Note())
