"""Onset, gate and length: against tones whose envelope is known, and against recordings with a known gate."""

from pathlib import Path

import numpy as np
import pytest
import soundfile

from ddsprl.io import choose_length, estimate_gate, fit_length, trim_onset

RATE = 16_000
TARGETS = Path(__file__).parents[1] / "data" / "targets"


def adsr_tone(
    gate_s,
    *,
    attack_s=0.01,
    decay_s=0.1,
    sustain=0.6,
    release_s=0.2,
    hz=220.0,
    duration_s=2.0,
    sample_rate=RATE,
):
    """Five partials under a linear attack and quadratic decay and release, with noise at -60 dB."""
    t = np.arange(round(duration_s * sample_rate)) / sample_rate

    def keyed(t):
        decay = sustain + (1 - sustain) * np.clip(1 - (t - attack_s) / decay_s, 0, 1) ** 2
        return np.where(t < attack_s, t / attack_s, decay)

    released = keyed(np.array(gate_s)) * np.clip(1 - (t - gate_s) / release_s, 0, 1) ** 2
    partials = sum(np.sin(2 * np.pi * hz * k * t) / k for k in range(1, 6))
    noise = np.random.default_rng(0).standard_normal(t.size)
    return 0.5 * np.where(t < gate_s, keyed(t), released) * partials + 5e-4 * noise


def plucked(decay_db_s, duration_s=1.0, hz=220.0):
    t = np.arange(round(duration_s * RATE)) / RATE
    return np.sin(2 * np.pi * hz * t) * 10 ** (-decay_db_s * t / 20)


def recording(name):
    samples, sample_rate = soundfile.read(TARGETS / name, dtype="float32")
    return samples, sample_rate


@pytest.mark.parametrize("lead_s", [0.05, 0.3, 1.0])
@pytest.mark.parametrize("noise_db", [-200.0, -60.0, -35.0])
def test_onset_after_leading_noise(lead_s, noise_db):
    rng = np.random.default_rng(1)
    lead = rng.standard_normal(round(lead_s * RATE)) * 10 ** (noise_db / 20) * 0.5
    trimmed, onset_s = trim_onset(np.concatenate([lead, plucked(30.0)]), RATE)
    assert lead_s - 0.008 <= onset_s <= lead_s
    assert trimmed.size == lead.size + RATE - round(onset_s * RATE)


def test_onset_ignores_a_click_before_the_note():
    samples = np.concatenate([np.zeros(RATE // 2), plucked(30.0)])
    samples[RATE // 5] = 0.9
    assert 0.492 <= trim_onset(samples, RATE)[1] <= 0.5


def test_onset_keeps_a_slow_swell():
    t = np.arange(2 * RATE) / RATE
    samples = np.concatenate([np.zeros(RATE // 2), np.minimum(t, 1.0) * np.sin(2 * np.pi * 220 * t)])
    assert 0.49 <= trim_onset(samples, RATE)[1] <= 0.53


def test_onset_of_a_trimmed_note_is_zero():
    samples = plucked(30.0)
    trimmed, onset_s = trim_onset(samples, RATE)
    assert onset_s == 0.0
    np.testing.assert_array_equal(trimmed, samples)


def test_onset_does_not_depend_on_gain_or_offset():
    samples = np.concatenate([np.zeros(RATE // 4), plucked(30.0)])
    _, onset_s = trim_onset(samples, RATE)
    assert trim_onset(-0.01 * samples, RATE)[1] == onset_s
    assert abs(trim_onset(samples + 0.2, RATE)[1] - onset_s) <= 0.001


@pytest.mark.parametrize("sample_rate", [16_000, 44_100])
def test_gate_of_random_envelopes(sample_rate):
    rng = np.random.default_rng(0)
    errors = []
    for _ in range(40):
        gate_s = rng.uniform(0.2, 1.2)
        samples = adsr_tone(
            gate_s,
            attack_s=np.exp(rng.uniform(np.log(0.001), np.log(0.1))),
            decay_s=np.exp(rng.uniform(np.log(0.005), np.log(0.5))),
            sustain=rng.uniform(0.3, 1.0),
            release_s=np.exp(rng.uniform(np.log(0.02), np.log(0.7))),
            hz=rng.uniform(60, 800),
            sample_rate=sample_rate,
        )
        trimmed, onset_s = trim_onset(samples, sample_rate)
        errors.append(abs(onset_s + estimate_gate(trimmed, sample_rate) - gate_s))
    assert np.median(errors) < 0.008
    assert np.quantile(errors, 0.9) < 0.02


def test_gate_with_exponential_release_tremolo_and_offset():
    t = np.arange(2 * RATE) / RATE
    level = np.where(t < 0.8, 1.0, np.exp(-(t - 0.8) / 0.06))
    samples = level * np.sin(2 * np.pi * 330 * t)
    assert abs(estimate_gate(samples, RATE) - 0.8) < 0.015
    assert abs(estimate_gate(samples + 0.1, RATE) - 0.8) < 0.015
    assert estimate_gate(0.01 * samples, RATE) == pytest.approx(estimate_gate(samples, RATE))
    tremolo = samples * (0.75 + 0.25 * np.sin(2 * np.pi * 6 * t))
    assert abs(estimate_gate(tremolo, RATE) - 0.8) < 0.1


def test_gate_of_a_decaying_note_that_is_damped():
    t = np.arange(2 * RATE) / RATE
    samples = plucked(15.0, 2.0) * 10 ** (-200.0 * np.maximum(t - 0.9, 0.0) / 20)
    assert abs(estimate_gate(samples, RATE) - 0.9) < 0.03


def test_gate_conventions_without_a_visible_release():
    held = adsr_tone(5.0, duration_s=1.0)
    assert estimate_gate(held, RATE) == 1.0
    assert estimate_gate(plucked(80.0), RATE) == pytest.approx(0.5, abs=0.02)  # 40 dB at 80 dB/s
    assert estimate_gate(plucked(25.0), RATE) == 1.0  # still above -40 dB when the clip ends


@pytest.mark.parametrize(
    "name",
    ["gm_piano_60.wav", "gm_trumpet_67.wav", "gm_fingerbass_40.wav", "amsynth_0_60.wav"],
)
def test_gate_of_recordings_with_a_known_one(name):
    samples, sample_rate = recording(name)
    trimmed, onset_s = trim_onset(samples, sample_rate)
    assert onset_s <= 0.01
    assert abs(onset_s + estimate_gate(trimmed, sample_rate) - 0.7) < 0.015


def test_gate_and_length_of_a_one_shot():
    samples, sample_rate = recording("shot_elec_bell.wav")
    assert 0.1 <= estimate_gate(samples, sample_rate) <= 0.3
    assert choose_length(samples, sample_rate) == 0.5


@pytest.mark.parametrize(
    ("gate_s", "release_s", "length_s"),
    [(0.12, 0.1, 0.25), (0.3, 0.1, 0.5), (0.7, 0.2, 1.0), (0.9, 0.4, 2.0)],
)
def test_length_covers_the_tail(gate_s, release_s, length_s):
    assert choose_length(adsr_tone(gate_s, release_s=release_s), RATE) == length_s


def test_length_is_capped_and_ignores_silence_and_noise():
    long = plucked(4.0, 9.0)
    assert choose_length(long, RATE) == 4.0
    assert choose_length(long, RATE, max_s=3.0) == 3.0
    assert choose_length(long, RATE, max_s=10.0) == 10.0
    noisy = np.pad(plucked(60.0), (0, 5 * RATE)) + 0.003 * np.random.default_rng(0).standard_normal(6 * RATE)
    assert choose_length(noisy, RATE) == 1.0
    assert choose_length(plucked(1.0, 1.01), RATE) == 1.0


def test_fit_length_pads_and_cuts():
    samples = np.ones(1000, np.float32)
    padded = fit_length(samples, 1500)
    np.testing.assert_array_equal(padded, np.concatenate([samples, np.zeros(500)]))
    assert padded.dtype == np.float32
    cut = fit_length(samples, 600, fade=100)
    assert cut.shape == (600,) and cut.dtype == np.float32
    np.testing.assert_array_equal(cut[:500], 1.0)
    assert np.all(np.diff(cut[499:]) < 0.0) and cut[-1] == 0.0
    np.testing.assert_array_equal(samples, 1.0)
    np.testing.assert_array_equal(fit_length(samples, 1000), samples)
    assert fit_length(samples, 1).shape == (1,)


def test_silence_has_answers_too():
    silence = np.zeros(RATE // 2)
    assert trim_onset(silence, RATE)[1] == 0.0
    assert estimate_gate(silence, RATE) == 0.5
    assert choose_length(silence, RATE) == 0.5
