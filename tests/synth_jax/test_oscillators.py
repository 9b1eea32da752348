"""Phase, unison and the bank's own backward pass."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from plain_wave import plain_wave
from synth_jax.oscillators import REACH, OscParams, base_phase, control_hop, correct, oscillators
from synth_jax.oscillators.unison import MAX_VOICES, START_PHASES, tuned, unison_voices, voice_positions

RATE, HOP = 16_000, control_hop(16_000)
SINE, SAW = 0.0, 1.0 / 3.0


def knobs(*, morph=SINE, unison=1.0, detune_cents=0.0, level=1.0, semitones=0.0, dtype=None) -> OscParams:
    return OscParams(
        *(jnp.asarray(x, dtype or jnp.float32) for x in (morph, unison, detune_cents, level, semitones))
    )


@functools.partial(jax.jit, static_argnames="n")
def play(params: OscParams, midi, *, n=RATE):
    base = base_phase(midi, jnp.zeros(-(-(n + REACH) // HOP) + 1), sample_rate=RATE, hop=HOP)
    return correct(oscillators([params], base, base.increment / HOP))[:n]


def tone(params: OscParams, midi: float = 57.0) -> np.ndarray:
    return np.asarray(play(params, jnp.float32(midi)), np.float64)


def hz(midi: float, cents: float = 0.0) -> float:
    return 440.0 * 2.0 ** ((midi - 69.0 + cents / 100.0) / 12.0)


def peaks_hz(audio: np.ndarray, count: int) -> np.ndarray:
    """Frequencies of the strongest partials, by parabola through the log spectrum; ascending."""
    pad = 8 * len(audio)
    level = np.log(np.abs(np.fft.rfft(audio * np.kaiser(len(audio), 9.0), pad)) + 1e-12)
    at = np.flatnonzero((level[1:-1] > level[:-2]) & (level[1:-1] > level[2:])) + 1
    at = np.sort(at[np.argsort(level[at])[-count:]])
    left, middle, right = level[at - 1], level[at], level[at + 1]
    return (at + 0.5 * (left - right) / (left - 2 * middle + right)) * RATE / pad


def plain_bank(params: list[OscParams], base, frequency):
    """The bank as one would write it first: phase is ratio times elapsed cycles, nothing is wrapped.

    The edges of all voices of an oscillator are as wide as those of the undetuned one.
    """
    total = 0.0
    for p in params:
        knobs = tuned(p, frequency)
        voices = unison_voices(knobs)
        rate = base.rate * knobs.ratio
        for v in range(MAX_VOICES):
            late = voices.ratio[v] * base.elapsed + START_PHASES[v] - 0.25
            total += voices.gain[v] * plain_wave(late, rate, 1.0 / rate, voices.shape)
    return total


def test_bank_and_its_backward_pass_equal_autodiff_of_the_plain_sum():
    with jax.enable_x64(True):
        rng = np.random.default_rng(4)
        params = [
            knobs(morph=0.21, unison=2.4, detune_cents=31.0, level=0.8, semitones=0.3, dtype=jnp.float64),
            knobs(morph=0.83, unison=6.7, detune_cents=12.0, level=0.5, semitones=-7.2, dtype=jnp.float64),
        ]
        midi, bend = jnp.asarray(62.37), jnp.asarray(rng.uniform(-7, 7, 11))
        direction = jnp.asarray(rng.standard_normal((10, HOP)))

        def value(bank, params, midi, bend):
            base = base_phase(midi, bend, sample_rate=RATE, hop=HOP)
            return jnp.vdot(direction, bank(params, base, base.increment / HOP))

        ours, theirs = (
            jax.jit(jax.value_and_grad(functools.partial(value, bank), argnums=(0, 1, 2)))(params, midi, bend)
            for bank in (oscillators, plain_bank)
        )
        for a, b in zip(jax.tree.leaves(ours), jax.tree.leaves(theirs), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("voices", range(1, MAX_VOICES + 1))
def test_voice_positions_of_whole_numbers(voices):
    positions, gains = voice_positions(jnp.float32(voices))
    expected = np.linspace(-1.0, 1.0, voices) if voices > 1 else [0.0]
    np.testing.assert_allclose(positions[:voices], expected, atol=1e-6)
    np.testing.assert_allclose(gains, np.where(np.arange(MAX_VOICES) < voices, voices**-0.5, 0.0), atol=1e-6)


def test_fractional_unison_is_continuous_and_of_equal_power():
    n = np.linspace(1.0, MAX_VOICES, 1201)
    positions, gains = (np.asarray(x) for x in jax.vmap(voice_positions)(jnp.asarray(n, jnp.float32)))
    np.testing.assert_allclose((gains**2).sum(axis=1), 1.0, atol=1e-5)
    assert np.abs(np.diff(gains, axis=0)).max() < 0.01
    heard = np.minimum(gains[1:], gains[:-1]) > 1e-3
    assert np.abs(np.diff(positions, axis=0))[heard].max() < 0.02
    whole = tone(knobs(unison=3.0, detune_cents=20.0))
    for near in (2.9999, 3.0001):
        assert np.abs(tone(knobs(unison=near, detune_cents=20.0)) - whole).max() < 2e-3


@pytest.mark.parametrize("voices", [1, 2, 4, 7])
def test_whole_unison_is_the_additive_model(voices):
    """Detuned sines, evenly spread, equal power, with the published start phases."""
    audio = tone(knobs(unison=float(voices), detune_cents=50.0), midi=45.0)
    time_s = np.arange(RATE) / RATE
    cents = np.linspace(-50.0, 50.0, voices) if voices > 1 else [0.0]
    model = np.sum(
        [
            np.sin(2 * np.pi * (hz(45.0, c) * time_s + START_PHASES[v])) / np.sqrt(voices)
            for v, c in enumerate(cents)
        ],
        axis=0,
    )
    np.testing.assert_allclose(audio[8:], model[8:], atol=4e-3)


def test_detune_is_the_outermost_offset():
    np.testing.assert_allclose(
        peaks_hz(tone(knobs(unison=3.0, detune_cents=50.0), midi=81.0), 3),
        [hz(81.0, -50.0), hz(81.0), hz(81.0, 50.0)],
        rtol=2e-4,
    )
    assert peaks_hz(tone(knobs(semitones=-6.5), midi=81.0), 1)[0] == pytest.approx(hz(74.5), rel=1e-4)


def test_unison_keeps_the_power():
    power = [
        np.mean(tone(knobs(morph=SAW, unison=float(n), detune_cents=50.0)) ** 2) for n in (1, 2, 3, 5, 7)
    ]
    assert np.abs(10 * np.log10(np.array(power) / power[0])).max() < 1.0


def test_phase_bend_is_continuous_at_fractional_notes():
    """The phase that a frame ends with is the phase that the next one starts with."""
    midi, bend = jnp.float32(60.49), jnp.linspace(-7.0, 7.0, 126)
    base = base_phase(midi, bend, sample_rate=RATE, hop=HOP)
    audio = np.asarray(oscillators([knobs()], base, base.increment / HOP)).ravel().astype(np.float64)
    # A sine bends slowly: its second difference stays near that of the highest pitch.
    highest = 2 * np.pi * hz(67.49) / RATE
    assert np.abs(np.diff(audio, n=2)).max() < 1.05 * highest**2


def test_partials_above_the_band_fade_out():
    for midi, low, high in ((112.0, 0.97, 1.03), (121.0, 0.0, 1e-6), (146.0, 0.0, 1e-6)):
        assert low <= np.abs(tone(knobs(), midi)[100:-100]).max() <= high


@pytest.mark.parametrize(("f0_hz", "worst_db"), [(440.0, -48.0), (880.0, -42.0), (1760.0, -36.0)])
def test_saw_aliases_little_and_keeps_its_treble(f0_hz, worst_db):
    """A 2-point polyBLEP saw has -34, -30 and -23 dB here; benchmarks/alias.py has the whole table."""
    audio = tone(knobs(morph=SAW), 69.0 + 12.0 * np.log2(f0_hz / 440.0))
    window = np.kaiser(RATE, 22.0)
    level = np.abs(np.fft.rfft(audio * window)) * (
        2.0 / window.sum()
    )  # bins of 1 Hz: the partials lie on them
    at = np.arange(1, int(RATE / 2 / f0_hz) + 1) * round(f0_hz)
    partials = level[at]
    near = np.abs(np.arange(len(level))[:, None] - np.concatenate([[0], at])).min(axis=1) < 10
    assert 20 * np.log10(level[~near].max() / partials.max()) < worst_db
    error_db = 20 * np.log10(partials * np.arange(1, len(at) + 1) / partials[0])[at < 0.4 * RATE]
    assert error_db.min() > -2.8
    assert error_db.max() < 0.7


@pytest.mark.parametrize("sample_rate", [8_000, 16_000, 22_050, 44_100, 48_000, 96_000])
def test_control_hop_is_a_power_of_two_under_two_milliseconds(sample_rate):
    hop = control_hop(sample_rate)
    assert hop & (hop - 1) == 0
    assert sample_rate * 0.001 < hop <= max(16, sample_rate * 0.002)
