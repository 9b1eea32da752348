"""The flagship instrument as a whole: rates, lengths, extremes, precision, edges."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import synth_jax
from synth_jax import Note

KEY = jax.random.key(0)
SINE, SAW = 0.0, 1.0 / 3.0


@functools.cache
def make(sample_rate=16_000, duration_s=0.2):
    synth = synth_jax.serum_lite(sample_rate=sample_rate, duration_s=duration_s)
    return synth, jax.jit(synth.render)


def units(synth, **physical) -> np.ndarray:
    """Knob positions for physical values; the rest: one saw, filter open, full sustain, moderate volume."""
    plain = {"osc1_wave_morph": SAW, "osc1_level": 1.0, "osc2_level": 0.0, "filter_cutoff": 20_000.0}
    plain |= {"amp_sustain": 1.0, "amp_attack": 0.001, "master_volume": 0.5}
    values = plain | physical
    assert set(values) <= {spec.name for spec in synth.table}
    return np.array([spec.to_unit(values.get(spec.name, spec.default)) for spec in synth.table], np.float32)


def play(midi=60.0, gate_s=0.15, velocity=1.0, key=KEY, sample_rate=16_000, duration_s=0.2, **physical):
    synth, render = make(sample_rate, duration_s)
    note = Note(*(jnp.float32(x) for x in (midi, gate_s, velocity)))
    return np.asarray(render(jnp.asarray(units(synth, **physical)), note, key), np.float64)


def rms(x) -> float:
    return float(np.sqrt(np.mean(np.square(x))))


@pytest.mark.parametrize("sample_rate", [16_000, 22_050, 44_100, 48_000])
def test_extremes_are_finite_and_hold_no_burst(sample_rate):
    """Notes far out of range, with the offset and the vibrato pushing further; the length fills no frame."""
    synth, _ = make(sample_rate, 0.0503)
    u, notes = [], []
    for midi, offset in (
        (0.0, -12.0),
        (0.0, 12.0),
        (60.0, 0.0),
        (115.0, 12.0),
        (127.0, 12.0),
        (127.0, -12.0),
    ):
        for target, resonance in ((0.0, 0.7), (1.0, 10.0)):
            u.append(
                units(
                    synth,
                    osc2_level=1.0,
                    osc2_wave_morph=SAW,
                    osc2_semitone_offset=offset,
                    lfo_amount=1.0,
                    lfo_rate=15.0,
                    lfo_target=target,
                    filter_resonance=resonance,
                    osc2_unison=7.0,
                )
            )
            notes.append(midi)
    batch = jax.jit(jax.vmap(synth.render, (0, Note(0, 0, 0), None)))
    audio = np.asarray(
        batch(
            jnp.asarray(np.stack(u)),
            Note(jnp.asarray(notes, jnp.float32), jnp.full(len(u), 0.04), jnp.ones(len(u))),
            KEY,
        )
    )
    assert audio.shape[1] == round(sample_rate * 0.0503)
    assert np.all(np.isfinite(audio))
    assert np.abs(audio).max() <= 1.0
    # Nothing folds back: a note wholly above the band is silent.
    if sample_rate == 16_000:
        assert rms(audio[-4:-2]) < 1e-6


@pytest.mark.parametrize("n", [1, 33, 1601])
def test_odd_lengths(n):
    synth, render = make(16_000, n / 16_000)
    audio = render(jnp.asarray(units(synth)), Note(), KEY)
    assert audio.shape == (n,)
    assert np.all(np.isfinite(audio))


def test_a_longer_clip_begins_with_the_shorter_one():
    """The end of a clip is not a click: it sounds as if the clip went on."""
    short, long = play(duration_s=0.1), play(duration_s=0.2)
    np.testing.assert_allclose(short, long[: len(short)], atol=1e-5)


def test_first_sample_is_silent():
    for morph in (SINE, SAW, 2 / 3, 1.0):
        audio = play(osc1_wave_morph=morph, osc1_unison=5.0)
        assert audio[0] == 0.0
        assert np.abs(audio[:4]).max() < 0.3


@pytest.mark.parametrize(("f0_hz", "least_db"), [(1000.0, 66.0), (440.0, 100.0)])
def test_float32_saw_stays_with_float64_for_ten_seconds(f0_hz, least_db):
    synth, _ = make(44_100, 10.0)
    midi = np.float32(69.0 + 12.0 * np.log2(f0_hz / 440.0))
    u = units(synth)
    outs = []
    for dtype in (jnp.float32, jnp.float64):
        with jax.enable_x64(True):
            note = Note(*(jnp.asarray(np.float32(x), dtype) for x in (midi, 9.0, 1.0)))
            out = jax.jit(synth.render)(jnp.asarray(u, dtype), note, jax.random.key(0))
            assert out.dtype == dtype
            outs.append(np.asarray(out, np.float64))
    error, sound = outs[0] - outs[1], outs[1]
    assert 20 * np.log10(rms(sound) / rms(error)) >= least_db
    held = slice(8 * 44_100, 9 * 44_100)
    assert 20 * np.log10(rms(sound[held]) / rms(error[held])) >= least_db - 6.0


def test_velocity_is_a_linear_gain():
    loud = play(velocity=1.0, master_volume=0.3)
    np.testing.assert_allclose(play(velocity=0.5, master_volume=0.3), 0.5 * loud, atol=1e-6)
    np.testing.assert_allclose(play(velocity=0.0), 0.0, atol=0.0)


def test_gate_and_envelope_shape_the_level():
    audio = play(gate_s=0.05, amp_release=0.1)
    assert rms(audio[:800]) > 0.1
    assert np.all(audio[round(0.1501 * 16_000) :] == 0.0)


def test_key_feeds_the_noise_only():
    other = jax.random.key(9)
    np.testing.assert_array_equal(play(), play(key=other))
    silent: dict[str, Any] = {"osc1_level": 0.0, "noise_level": 1.0}
    first, second = play(**silent), play(key=other, **silent)
    assert rms(first) > 0.1
    assert abs(np.corrcoef(first, second)[0, 1]) < 0.1
    np.testing.assert_array_equal(first, play(**silent))


def test_all_levels_at_zero_is_silence():
    np.testing.assert_array_equal(play(osc1_level=0.0), 0.0)


def test_snapped_unison_sounds_as_whole_voices():
    synth, render = make()
    for voices in range(1, 8):
        u = units(synth, osc1_unison=float(voices), osc1_detune_cents=30.0)
        near = u.copy()
        near[[spec.name for spec in synth.table].index("osc1_unison")] += np.float32(0.07)
        exact = np.asarray(render(jnp.asarray(u), Note(), KEY))
        np.testing.assert_allclose(
            render(synth.snap(jnp.asarray(near).clip(0, 1)), Note(), KEY), exact, atol=1e-5
        )
        np.testing.assert_allclose(render(synth.snap(jnp.asarray(u)), Note(), KEY), exact, atol=1e-5)


def test_lfo_moves_pitch_by_seven_semitones_and_cutoff_by_two_octaves_and_a_half():
    """A quarter of the LFO's cycle in, a sine is 7 semitones up; at target 1 its pitch stays."""
    lfo: dict[str, Any] = {"osc1_wave_morph": SINE, "lfo_rate": 2.5, "lfo_amount": 1.0, "amp_release": 4.0}
    window = np.kaiser(320, 6.0)

    def pitch_hz(audio, at_s):
        part = audio[round(at_s * 16_000) - 160 : round(at_s * 16_000) + 160] * window
        return np.argmax(np.abs(np.fft.rfft(part, 2**16))) * 16_000 / 2**16

    bent, steady = play(midi=81.0, lfo_target=0.0, **lfo), play(midi=81.0, lfo_target=1.0, **lfo)
    assert pitch_hz(bent, 0.1) == pytest.approx(880 * 2 ** (7 / 12), rel=2e-3)
    assert pitch_hz(steady, 0.1) == pytest.approx(880, rel=2e-3)
    noise: dict[str, Any] = {"osc1_level": 0.0, "noise_level": 1.0, "filter_cutoff": 500.0}
    open_, closed = play(lfo_target=1.0, **(lfo | noise)), play(**noise)
    at = slice(1500, 1700)
    assert 10 * np.log10(np.mean(open_[at] ** 2) / np.mean(closed[at] ** 2)) == pytest.approx(7.5, abs=1.5)


def test_filter_envelope_opens_four_octaves():
    noise: dict[str, Any] = {"osc1_level": 0.0, "noise_level": 1.0, "mod_sustain": 1.0, "mod_attack": 0.001}
    by_envelope = play(filter_cutoff=200.0, filter_env_amount=1.0, **noise)
    np.testing.assert_allclose(
        by_envelope[200:2400], play(filter_cutoff=3200.0, **noise)[200:2400], atol=1e-3
    )


def test_settings_are_checked_at_the_door():
    for settings, said in (
        ({"sample_rate": 4_000}, "sample_rate 4000"),
        ({"sample_rate": 44_100.5}, "sample_rate"),
        ({"duration_s": 0.0}, "duration_s"),
        ({"duration_s": 10.5}, "duration_s"),
    ):
        with pytest.raises(ValueError, match=said):
            synth_jax.serum_lite(**settings)  # pyright: ignore[reportArgumentType]
    synth, _ = make()
    with pytest.raises(ValueError, match="vmap"):
        synth.render(jnp.zeros((2, 25)), Note(), KEY)
