"""BS.1770-4: the standard's table, the EBU's conformance cases, pyloudnorm, and the fast form."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.signal

from ddsprl.features import integrated_loudness, k_weight, k_weighting_biquads, ungated_loudness

# BS.1770-4, tables 1 and 2.
TABLE_48K = np.array(
    [
        [1.53512485958697, -2.69169618940638, 1.19839281085285, 1.0, -1.69065929318241, 0.73248077421585],
        [1.0, -2.0, 1.0, 1.0, -1.99004745483398, 0.99007225036621],
    ]
)
# EBU Tech 3341, cases 1 to 5: peak dBFS, seconds, reading in LUFS.
EBU_CASES = {
    1: ((-23,), (20,), -23),
    2: ((-33,), (20,), -33),
    3: ((-36, -23, -36), (10, 60, 10), -23),
    4: ((-72, -36, -23, -36, -72), (10, 10, 60, 10, 10), -23),
    5: ((-26, -20, -26), (20, 20.1, 20), -23),
}

integrated = jax.jit(integrated_loudness, static_argnames="sample_rate")
ungated = jax.jit(ungated_loudness, static_argnames="sample_rate")


def sine(frequency_hz: float, sample_rate: int, seconds: float, amplitude: float = 1.0) -> np.ndarray:
    """A sine as float32 [n]."""
    time_s = np.arange(round(seconds * sample_rate)) / sample_rate
    return (amplitude * np.sin(2.0 * np.pi * frequency_hz * time_s)).astype(np.float32)


def test_biquads_at_48_khz_are_the_table():
    np.testing.assert_allclose(k_weighting_biquads(48_000), TABLE_48K, atol=1e-13)


@pytest.mark.parametrize("rate", [16_000, 44_100, 48_000])
def test_k_weighting_equals_the_recursion(rate):
    audio = np.random.default_rng(0).standard_normal(4000).astype(np.float32)
    expected = scipy.signal.sosfilt(k_weighting_biquads(rate), audio.astype(np.float64))
    np.testing.assert_allclose(k_weight(jnp.asarray(audio), rate), expected, atol=1e-5)


def test_full_scale_997_hz_reads_minus_3_01():
    assert abs(float(integrated(sine(997.0, 48_000, 3.0), 48_000)) + 3.01) < 0.02


@pytest.mark.parametrize("case", EBU_CASES)
def test_ebu_case(case):
    levels_db, seconds, expected = EBU_CASES[case]
    tone = sine(1000.0, 48_000, sum(seconds))
    lengths = [round(s * 48_000) for s in seconds]
    gain = np.repeat(10.0 ** (np.array(levels_db) / 20.0), lengths)
    mono = (tone * gain).astype(np.float32)
    assert abs(float(integrated(np.stack([mono, mono]), 48_000)) - expected) < 0.1


@pytest.mark.parametrize("rate", [16_000, 44_100, 48_000])
@pytest.mark.parametrize("frequency_hz", [60, 997, 4000])
def test_sines_agree_with_pyloudnorm(pyloudnorm_values, frequency_hz, rate):
    expected = pyloudnorm_values[f"sine{frequency_hz}_-20dBFS@{rate}"]
    assert abs(float(integrated(sine(frequency_hz, rate, 3.0, 0.1), rate)) - expected) < 0.1


def test_signals_agree_with_pyloudnorm(pyloudnorm_values, signals):
    for name, audio in signals.items():
        expected = pyloudnorm_values[f"signals/{name}.wav"]
        measured = float(integrated(audio, 16_000))
        assert abs(measured - (-70.0 if expected is None else expected)) < 0.1, name


def test_surround_channels_weigh_1_41():
    tone = sine(997.0, 16_000, 0.5, 0.1)
    silence = np.zeros_like(tone)
    front = integrated(np.stack([tone, silence, silence, silence, silence]), 16_000)
    back = integrated(np.stack([silence, silence, silence, tone, silence]), 16_000)
    np.testing.assert_allclose(back - front, 10.0 * np.log10(1.41), atol=1e-3)


def test_channels_without_a_weight_are_refused():
    with pytest.raises(ValueError, match="5 weights for 6 channels"):
        integrated_loudness(jnp.zeros((6, 8000)), 16_000)
    lone = integrated_loudness(jnp.ones((1, 800)), 16_000, channel_weights=[0.5])
    assert float(lone) > -70.0


def test_gating_ignores_silence_and_the_ungated_reading_does_not():
    tone = sine(997.0, 16_000, 2.0, 0.1)
    padded = np.concatenate([tone, np.zeros_like(tone)])
    assert abs(float(integrated(padded, 16_000)) - float(integrated(tone, 16_000))) < 0.4
    drop_db = ungated(tone, 16_000) - ungated(padded, 16_000)
    np.testing.assert_allclose(drop_db, 10.0 * np.log10(2.0), atol=0.01)


@pytest.mark.parametrize("measure", [integrated, ungated])
def test_short_clips_are_one_block_and_silence_reads_the_floor(measure):
    assert float(measure(np.zeros(1600, np.float32), 16_000)) == -70.0
    assert float(measure(np.zeros(16_000, np.float32), 16_000)) == -70.0
    # -3.01 is the reading at 48 kHz; the shelf, warped anew at 16 kHz, is 0.05 dB lower at 997 Hz.
    assert abs(float(measure(sine(997.0, 16_000, 0.3), 16_000)) + 3.05) < 0.1


def test_the_fast_form_agrees_with_the_recursion(signals):
    for name in ("harmonic", "noise", "chirp", "decay"):
        biquads = k_weighting_biquads(16_000)
        filtered = np.asarray(scipy.signal.sosfilt(biquads, signals[name].astype(np.float64)))
        expected = -0.691 + 10.0 * np.log10(np.mean(filtered**2))
        assert abs(float(ungated(signals[name], 16_000)) - expected) < 0.01, name


def test_loudness_gradient_is_that_of_a_gain():
    audio = jnp.asarray(sine(997.0, 16_000, 0.5, 0.1))
    for measure in (integrated_loudness, ungated_loudness):
        slope = jax.jit(jax.grad(functools.partial(lambda gain, m: m(gain * audio, 16_000), m=measure)))(1.0)
        np.testing.assert_allclose(slope, 20.0 / np.log(10.0), rtol=1e-3)
