"""The objective's bookkeeping, loudness matching, penalties and weightings."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ddsprl.features.loudness import ungated_loudness
from ddsprl.losses import (
    TERMS,
    Objective,
    ObjectiveConfig,
    ObjectiveWeights,
    match_loudness,
    multi_resolution_stft,
)
from ddsprl.losses.psychoacoustic import WEIGHTINGS, a_weighting_db, bin_weights, equal_loudness_db
from tests.losses.sounds import SAMPLE_RATE, N, tone

OBJECTIVE = Objective(ObjectiveConfig(), SAMPLE_RATE)
TRACES = []


@jax.jit
def compare(audio, target_audio, weights):
    TRACES.append(1)
    return OBJECTIVE(audio, OBJECTIVE.prepare(target_audio), weights)


def result(audio, target_audio, weights=None):
    return compare(jnp.asarray(audio), jnp.asarray(target_audio), weights or ObjectiveWeights())


def test_terms_are_named_weighted_and_summed_without_retracing():
    audio, target = tone(rolloff=2.0, gain=0.2), tone()
    plain = result(audio, target)
    doubled = result(audio, target, ObjectiveWeights(mr=2.0))
    assert set(plain.terms) == set(TERMS)
    np.testing.assert_allclose(plain.total, sum(plain.terms.values()), rtol=1e-6)
    np.testing.assert_allclose(doubled.terms["mr"], 2.0 * plain.raw["mr"], rtol=1e-6)
    np.testing.assert_allclose(doubled.total - plain.total, plain.terms["mr"], rtol=1e-4)
    assert len(TRACES) == 1


def test_mr_term_is_the_multi_resolution_stft_of_matched_clips():
    audio, target = tone(rolloff=2.0, gain=0.1), tone()
    matched = match_loudness(jnp.asarray(audio), jnp.asarray(target), SAMPLE_RATE)
    expected = multi_resolution_stft(matched, jnp.asarray(target))
    np.testing.assert_allclose(result(audio, target).raw["mr"], expected, rtol=1e-4)


def test_spectral_terms_ignore_a_gain_within_the_limit_but_loudness_does_not():
    found = result(0.5 * tone(), tone())
    np.testing.assert_allclose(found.gain_db, 6.02, atol=0.01)
    for name in ("mr", "mfcc", "cent", "log_mel", "envelope", "transport"):
        assert found.raw[name] < 2e-3, name
    np.testing.assert_allclose(found.raw["loud"], 6.02, atol=0.01)


def test_gain_is_limited_to_12_db():
    np.testing.assert_allclose(result(0.03 * tone(), tone()).gain_db, 12.0)
    np.testing.assert_allclose(result(tone(), 0.03 * tone()).gain_db, -12.0)
    np.testing.assert_allclose(result(tone(), np.zeros(N, np.float32)).gain_db, -12.0)
    soft = match_loudness(jnp.asarray(0.03 * tone()), jnp.asarray(tone()), SAMPLE_RATE)
    change = ungated_loudness(soft, SAMPLE_RATE) - ungated_loudness(jnp.asarray(0.03 * tone()), SAMPLE_RATE)
    np.testing.assert_allclose(change, 12.0, atol=0.01)


def test_matched_loss_has_no_slope_along_the_gain():
    objective = Objective(ObjectiveConfig(terms=("mr",)), SAMPLE_RATE)
    target = objective.prepare(jnp.asarray(tone()))
    audio = jnp.asarray(tone(rolloff=2.0, seed=1))
    value, slope = jax.jit(jax.value_and_grad(lambda g: objective(g * audio, target).total))(0.8)
    assert abs(slope) < 1e-3 * value


def test_penalties_are_zero_on_honest_sounds():
    found = result(tone(f0_hz=65.0, rolloff=2.0, gain=0.1), tone(gain=0.1))
    for name in ("dc", "clip", "overshoot"):
        assert found.raw[name] == 0.0, name


def test_penalties_fire():
    quiet = tone(gain=0.1)
    np.testing.assert_allclose(result(quiet + 0.1, quiet).raw["dc"], 0.08, atol=2e-3)
    assert result(np.clip(20 * quiet, -1, 1), quiet).raw["clip"] > 0.3
    np.testing.assert_allclose(result(2.0 * quiet, quiet).raw["overshoot"], 5.02, atol=0.01)
    assert result(0.5 * quiet, quiet).raw["overshoot"] == 0.0


def test_target_may_have_the_fault_itself():
    faulty = np.clip(20 * tone(), -1, 1) * 0.7 + 0.3
    found = result(faulty, faulty)
    assert max(found.raw[name] for name in ("dc", "clip", "overshoot")) < 1e-6


def test_a_term_left_out_is_not_computed():
    objective = Objective(ObjectiveConfig(terms=("loud", "envelope")), SAMPLE_RATE)
    compare_two = jax.jit(lambda x, y: objective(x, objective.prepare(y)))
    assert "fft_length={1024}" not in str(compare_two.lower(jnp.zeros(N), jnp.zeros(N)).compile().as_text())
    assert set(compare_two(jnp.asarray(tone()), jnp.asarray(tone())).terms) == {"loud", "envelope"}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"terms": ("mfc",)}, "mfcc"),
        ({"weighting": "iso22"}, "iso226"),
        ({"mel_n_fft": 4096}, "4096"),
        ({"n_ffts": (1024, 1024)}, "twice"),
    ],
)
def test_config_names_what_is_wrong(options, message):
    with pytest.raises(ValueError, match=message):
        ObjectiveConfig(**options)


def test_weights_name_what_is_wrong():
    with pytest.raises(ValueError, match="weights: unknown 'mfc'; did you mean 'mfcc'"):
        ObjectiveWeights(mfc=1.0)


def test_weights_have_the_terms_defaults_in_their_order():
    given = ObjectiveWeights(cent=0.25)
    assert list(vars(given)) == list(TERMS)
    assert vars(given) == {name: term.weight for name, term in TERMS.items()} | {"cent": 0.25}
    assert jax.tree.leaves(given) == list(vars(given).values())


def test_objective_and_config_are_hashable():
    assert hash(OBJECTIVE) == hash(Objective(ObjectiveConfig(), SAMPLE_RATE))


def test_float64():
    with jax.enable_x64(True):
        audio, target = (jnp.asarray(s, jnp.float64) for s in (tone(rolloff=2.0), tone()))
        found = OBJECTIVE(audio, OBJECTIVE.prepare(target))
        assert found.total.dtype == jnp.float64
        total = float(found.total)
    np.testing.assert_allclose(result(tone(rolloff=2.0), tone()).total, total, rtol=1e-3)


def test_weighting_curves():
    # IEC 61672-1, table 3, and the 40 and 60 phon contours of ISO 226:2003.
    a_weighting = a_weighting_db(np.array([100.0, 1000.0, 8000.0]))
    np.testing.assert_allclose(a_weighting, [-19.1, 0.0, -1.1], atol=0.1)
    np.testing.assert_allclose(equal_loudness_db(np.array([1000.0]), 60.0), 60.0, atol=0.1)
    np.testing.assert_allclose(equal_loudness_db(np.array([100.0]), 40.0), 64.4, atol=0.1)


@pytest.mark.parametrize("name", [name for name in WEIGHTINGS if name != "none"])
def test_weighting_counts_the_ear_s_range_more(name):
    weights = bin_weights(name, SAMPLE_RATE, 1024)
    assert weights is not None
    np.testing.assert_allclose(np.mean(weights), 1.0)
    assert weights[3 * 64] > 5.0 * weights[3] > 0.0
    audio, target = jnp.asarray(tone(f0_hz=50.0)), jnp.asarray(tone(f0_hz=55.0))
    loss = {}
    for weighting in ("none", name):
        objective = Objective(ObjectiveConfig(terms=("mr",), weighting=weighting), SAMPLE_RATE)
        loss[weighting] = objective(audio, objective.prepare(target)).total
    assert loss[name] > 0.0
    assert not np.allclose(loss[name], loss["none"], rtol=0.02)
