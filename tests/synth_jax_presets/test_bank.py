"""The shipped presets: each loads, each is itself, and each does what its family is known for."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import synth_jax
from synth_jax import Note
from synth_jax.presets import load_bank, shipped_presets_dir

RATE = 16_000
HOP = 80
FAMILIES = (
    "bass", "lead", "pad", "pluck", "keys", "brass", "strings", "bell", "percussion", "noise", "modulation"
)  # fmt: skip
BANK = load_bank(shipped_presets_dir())


def family(tag):
    return [pytest.param(i, id=preset.name) for i, preset in enumerate(BANK) if tag in preset.tags]


@pytest.fixture(scope="module")
def render():
    """All presets in one call: a note for each, or one for all, to `[presets, samples]`."""
    synth = synth_jax.serum_lite(RATE, 3.0)
    u = jnp.stack([jnp.asarray(preset.to_unit(synth.table)) for preset in BANK])
    batch = jax.jit(jax.vmap(synth.render, (0, 0, None)))

    def call(notes):
        stacked = Note(*(jnp.array(field, jnp.float32) for field in zip(*notes, strict=True)))
        return np.asarray(batch(u, stacked, jax.random.key(3)))

    return call


@pytest.fixture(scope="module")
def sounds(render):
    return render([preset.note for preset in BANK])


def level(audio):
    """RMS of 20 ms windows, a frame every 5 ms."""
    power = np.convolve(audio**2, np.full(4 * HOP, 1 / (4 * HOP)))[: len(audio) : HOP]
    return np.sqrt(power)


def rise_s(audio):
    """Seconds until half of the loudest frame's level."""
    frames = level(audio)
    return float(np.argmax(frames >= 0.5 * frames.max())) * HOP / RATE


def length_s(audio):
    """Seconds until the sound stays 40 dB under its loudest frame."""
    frames = level(audio)
    return float(np.flatnonzero(frames > 0.01 * frames.max())[-1] + 1) * HOP / RATE


def spectrum(audio):
    # No window: it would weigh the attack of a short sound by nothing.
    power = np.abs(np.fft.rfft(audio)) ** 2
    return np.fft.rfftfreq(len(audio), 1 / RATE), power


def centroid_hz(audio):
    frequency, power = spectrum(audio)
    return float((frequency * power).sum() / power.sum())


def share(audio, low_hz, high_hz):
    """Part of the power between two frequencies."""
    frequency, power = spectrum(audio)
    return float(power[(frequency >= low_hz) & (frequency < high_hz)].sum() / power.sum())


def pitch_hz(i):
    return 440.0 * 2.0 ** ((BANK[i].note.midi - 69.0) / 12.0)


def gated(audio, i):
    return audio[: round(BANK[i].note.gate_s * RATE)]


def test_the_bank_is_complete_and_in_order():
    assert len(BANK) >= 36
    for tag in FAMILIES:
        assert len(family(tag)) >= 3, tag
    files = sorted(shipped_presets_dir().glob("*.json"))
    for path, preset in zip(files, BANK, strict=True):
        assert path.stem == re.sub(r"[^a-z0-9]+", "-", preset.name.lower())
        assert preset.tags[0] in FAMILIES
        assert preset.comment
        assert preset.note is not None


def test_loudness(sounds):
    assert np.isfinite(sounds).all()
    peak_db = 20 * np.log10(np.abs(sounds).max(1))
    for preset, peak in zip(BANK, peak_db, strict=True):
        assert -12.0 <= peak <= -0.5, (preset.name, peak)
    driven = np.mean(np.abs(sounds) > 10 ** (-3 / 20), axis=1)
    assert driven.max() < 0.02


def test_no_two_presets_sound_alike(render):
    """Mean distance of third-octave spectra over 0.13 s frames, all at one note; 60 dB of range."""
    audio = render([Note(57.0, 0.5)] * len(BANK))[:, : 12 * 2048].reshape(len(BANK), 12, 2048)
    power = np.abs(np.fft.rfft(audio * np.hanning(2048))) ** 2
    edges = np.unique(np.geomspace(3, 1024, 25).astype(int))
    bands = np.add.reduceat(power, edges[:-1], axis=-1)
    bands_db = 10 * np.log10(bands + 1e-6 * bands.max((1, 2), keepdims=True))
    distance = np.abs(bands_db[:, None] - bands_db[None]).mean((2, 3)) + 99 * np.eye(len(BANK))
    i, j = np.unravel_index(distance.argmin(), distance.shape)
    assert distance[i, j] > 1.0, (BANK[i].name, BANK[j].name, distance[i, j])


@pytest.mark.parametrize("i", family("bass"))
def test_a_bass_is_low(i, sounds):
    assert pitch_hz(i) < 150.0
    assert share(sounds[i], 20.0, 300.0) > 0.5
    assert share(sounds[i], 0.45 * pitch_hz(i), 1.1 * pitch_hz(i)) > 0.05


@pytest.mark.parametrize("i", family("lead"))
def test_a_lead_speaks_at_once_and_holds(i, sounds):
    assert rise_s(sounds[i]) < 0.15
    assert pitch_hz(i) > 250.0
    frames = level(gated(sounds[i], i))
    assert frames[-1] > 0.2 * frames.max()
    assert centroid_hz(sounds[i]) > pitch_hz(i)


@pytest.mark.parametrize("i", family("pad"))
def test_a_pad_comes_and_goes_slowly(i, sounds):
    assert rise_s(sounds[i]) > 0.1
    assert length_s(sounds[i]) > BANK[i].note.gate_s + 0.3


@pytest.mark.parametrize("i", [*family("pluck"), *family("bell")])
def test_a_pluck_or_bell_is_struck_and_decays_under_the_key(i, sounds):
    assert rise_s(sounds[i]) < 0.05 or "gong" in BANK[i].tags
    frames = level(gated(sounds[i], i))
    assert frames[-1] < 0.75 * frames.max()
    assert BANK[i].values["amp_sustain"] < 0.2


@pytest.mark.parametrize("i", family("bell"))
def test_a_bell_rings_on_with_partials_off_the_harmonic_series(i, sounds):
    assert length_s(sounds[i]) > BANK[i].note.gate_s + 0.3
    ratio = 2.0 ** (BANK[i].values["osc2_semitone_offset"] / 12.0)
    partial = pitch_hz(i) * ratio
    harmonic = min(abs(ratio - k / 2) for k in range(1, 5))
    assert harmonic > 0.02
    assert share(sounds[i], 0.98 * partial, 1.02 * partial) > 0.02
    if "gong" not in BANK[i].tags:
        assert centroid_hz(sounds[i]) > 500.0


@pytest.mark.parametrize("i", family("keys"))
def test_keys_answer_the_finger(i, sounds):
    assert rise_s(sounds[i]) < 0.05


@pytest.mark.parametrize("i", family("brass"))
def test_brass_opens_after_the_attack(i, sounds):
    """The upper harmonics arrive after the lower ones: the mark of brass (Risset 1966)."""
    values = BANK[i].values
    assert values["filter_env_amount"] > 0.3
    assert values["mod_attack"] > values["amp_attack"]
    early = sounds[i][: round(0.5 * values["mod_attack"] * RATE) + 256]
    peak = round((values["mod_attack"] + 0.02) * RATE)
    later = sounds[i][peak : peak + 1600]
    assert centroid_hz(later * np.hanning(len(later))) > centroid_hz(early * np.hanning(len(early)))


@pytest.mark.parametrize("i", family("strings"))
def test_strings_are_bowed_or_plucked(i, sounds):
    if "pizzicato" in BANK[i].tags:
        assert rise_s(sounds[i]) < 0.05
        assert length_s(sounds[i]) < 0.5
    else:
        assert rise_s(sounds[i]) > 0.03
        frames = level(gated(sounds[i], i))
        assert frames[-40:].max() > 0.3 * frames.max()


@pytest.mark.parametrize("i", family("percussion"))
def test_percussion_is_short(i, sounds):
    assert rise_s(sounds[i]) < 0.03
    assert length_s(sounds[i]) < 0.5


@pytest.mark.parametrize("i", family("hat"))
def test_a_hat_is_all_treble(i, sounds):
    assert share(sounds[i], 4_000.0, 8_000.0) > 0.7


@pytest.mark.parametrize("i", family("kick"))
def test_a_kick_is_all_bass(i, sounds):
    assert share(sounds[i], 20.0, 120.0) > 0.8


@pytest.mark.parametrize("i", family("noise"))
def test_noise_has_no_dominant_line(i, sounds):
    """A tone of a 3 s clip lies in a handful of bins; noise spreads over thousands."""
    _, power = spectrum(sounds[i])
    loudest = np.sort(power)[::-1]
    assert loudest[:20].sum() / power.sum() < 0.5


@pytest.mark.parametrize("i", family("modulation"))
def test_modulation_moves_at_the_rate_of_its_lfo(i, sounds):
    """Centroid over time follows the LFO, or swings by half an octave where the note is one sweep."""
    values = BANK[i].values
    assert values["lfo_amount"] >= 0.4
    audio = gated(sounds[i], i)
    frames = np.lib.stride_tricks.sliding_window_view(audio, 1024)[::64] * np.hanning(1024)
    power = np.abs(np.fft.rfft(frames)) ** 2
    centroid = np.log2((power * np.arange(513)).sum(1) / power.sum(1))
    assert np.ptp(centroid) > 0.5
    if BANK[i].note.gate_s * values["lfo_rate"] > 1.5:
        moving = np.abs(np.fft.rfft((centroid - centroid.mean()) * np.hanning(len(centroid)), 8192))
        rates_hz = np.arange(len(moving)) * (RATE / 64) / 8192
        # Above the LFO's range lie the beats between the note and the frames.
        rate_hz = rates_hz[np.argmax(moving * (rates_hz < 16.0))]
        assert rate_hz == pytest.approx(values["lfo_rate"], rel=0.15)
