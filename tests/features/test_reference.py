"""Spectral features against librosa 0.11 (see the README beside the reference values)."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ddsprl.features import Sound, mel_power
from ddsprl.features.centroid import centroid_hz
from ddsprl.features.flatness import flatness
from ddsprl.features.mel import log_mel_db
from ddsprl.features.mfcc import mfcc
from ddsprl.features.rms import frame_rms
from ddsprl.features.rolloff import rolloff_hz
from ddsprl.features.stft import power, stft_magnitude

RATE = 16_000
FRAMING = {"n_fft": 1024, "hop": 256}
# A float32 transform rounds every bin by about 1e-7 of the largest: the shares below which two libraries
# can agree in absolute terms only (in a power, 1e-7 of the largest magnitude times that of the bin).
LINEAR_FEATURES = {"stft_magnitude": 2e-7, "mel_power": 1e-9, "flatness": 1e-6, "rms": 1e-7}
NAMES = ("sine", "harmonic", "noise", "chirp", "decay", "tremolo", "quiet", "silence")


@pytest.fixture(scope="module")
def measured(signals):
    """All features of all reference signals at the reference settings, from one compiled batch."""

    def measure(audio):
        sound = Sound(audio, RATE, **FRAMING)
        return {
            "stft_magnitude": sound[stft_magnitude],
            "stft_power": sound[power].T,
            "mel_power": mel_power(audio, RATE, **FRAMING),
            "log_mel": sound[log_mel_db],
            "mfcc": sound[mfcc],
            "centroid_hz": sound[centroid_hz],
            "rolloff_hz": sound[rolloff_hz],
            "flatness": sound[flatness],
            "rms": sound[frame_rms],
        }

    batch = jax.jit(jax.vmap(measure))(jnp.stack([signals[name] for name in NAMES]))
    return {name: {key: np.asarray(value[i]) for key, value in batch.items()} for i, name in enumerate(NAMES)}


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("feature", LINEAR_FEATURES)
def test_linear_features_agree_within_1e_4(measured, librosa_values, name, feature):
    expected = librosa_values[f"{name}/{feature}"]
    rounding = LINEAR_FEATURES[feature] * expected.max()
    np.testing.assert_allclose(measured[name][feature], expected, rtol=1e-4, atol=rounding)


def test_power_is_the_square_of_the_magnitude(measured):
    values = measured["harmonic"]
    np.testing.assert_allclose(values["stft_power"], values["stft_magnitude"] ** 2, rtol=1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_log_mel_agrees_within_0_02_db(measured, librosa_values, name):
    expected = 10.0 * np.log10(np.maximum(librosa_values[f"{name}/mel_power"], 1e-10))
    audible = expected > -80.0
    np.testing.assert_allclose(measured[name]["log_mel"][audible], expected[audible], atol=0.02)


@pytest.mark.parametrize("name", NAMES)
def test_mfcc_agrees_within_0_02_db(measured, librosa_values, name):
    # A coefficient mixes all bands of its frame: one band in the rounding noise touches them all.
    audible = np.all((power := librosa_values[f"{name}/mel_power"]) > 1e-8, axis=0) | (power.max() == 0.0)
    expected = librosa_values[f"{name}/mfcc"]
    np.testing.assert_allclose(measured[name]["mfcc"][:, audible], expected[:, audible], atol=0.02)
    np.testing.assert_allclose(measured[name]["mfcc"], expected, atol=0.05)


@pytest.mark.parametrize("name", NAMES)
def test_centroid_agrees_within_half_a_hertz(measured, librosa_values, name):
    np.testing.assert_allclose(measured[name]["centroid_hz"], librosa_values[f"{name}/centroid_hz"], atol=0.5)


@pytest.mark.parametrize("name", NAMES)
def test_rolloff_is_the_same_bin(measured, librosa_values, name):
    np.testing.assert_allclose(measured[name]["rolloff_hz"], librosa_values[f"{name}/rolloff_hz"], atol=1e-2)
