"""MR-STFT against auraloss, and its guard."""

import json
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import soundfile

from ddsprl.losses import multi_resolution_stft, yardstick
from ddsprl.losses.mrstft import DEFAULT_RESOLUTIONS, YARDSTICK_RESOLUTIONS
from ddsprl.losses.spectra import power_spectrum, spectral_norm_of_level
from tests.losses.sounds import SAMPLE_RATE, tone

REFERENCE = Path(__file__).parents[1] / "data" / "reference"
AURALOSS = json.loads((REFERENCE / "auraloss.json").read_text())
COMPILED = {
    "windows_2048_1024_512_hop_quarter": jax.jit(multi_resolution_stft),
    "auraloss_default": jax.jit(yardstick),
}


@pytest.mark.parametrize("pair", AURALOSS["values"]["auraloss_default"])
@pytest.mark.parametrize("setting", COMPILED)
def test_agrees_with_auraloss(setting, pair):
    audio, target = (
        jnp.asarray(soundfile.read(REFERENCE / "signals" / f"{name}.wav", dtype="float32")[0])
        for name in pair.split("|")
    )
    expected = AURALOSS["values"][setting][pair]["total"]
    np.testing.assert_allclose(COMPILED[setting](audio, target), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("setting", "resolutions"),
    [
        ("windows_2048_1024_512_hop_quarter", DEFAULT_RESOLUTIONS),
        ("auraloss_default", YARDSTICK_RESOLUTIONS),
    ],
)
def test_settings_are_those_of_the_reference(setting, resolutions):
    config = AURALOSS["configs"][setting]
    expected = list(zip(config["fft_sizes"], config["hop_sizes"], config["win_lengths"], strict=True))
    assert [tuple(r) for r in resolutions] == expected


def test_silent_target_does_not_explode():
    noise = jnp.asarray(np.random.default_rng(0).uniform(-1, 1, 8_000).astype(np.float32))
    value = multi_resolution_stft(noise, jnp.zeros(8_000))
    assert 10.0 < value < 2_500.0


def test_short_clip():
    short = jnp.asarray(tone(n=300))
    assert np.isfinite(multi_resolution_stft(short, short[::-1]))


def test_steady_level_has_the_predicted_norm():
    resolution = DEFAULT_RESOLUTIONS[1]
    sine = jnp.sqrt(2.0) * 0.1 * jnp.sin(2 * jnp.pi * 1000.0 * jnp.arange(8_000) / SAMPLE_RATE)
    norm = jnp.sqrt(jnp.sum(power_spectrum(sine, resolution)))
    np.testing.assert_allclose(norm, spectral_norm_of_level(8_000, resolution, -20.0), rtol=0.01)
