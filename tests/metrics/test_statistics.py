"""Intervals over targets against SciPy, closed forms and coverage."""

import numpy as np
import pytest
import scipy.stats

from ddsprl.metrics import (
    excess_ratio,
    mean_interval,
    median_interval,
    median_ratio_interval,
    share_interval,
    win_rate_interval,
)

RNG = np.random.default_rng(3)
LOSSES = RNG.lognormal(0.0, 0.7, (40, 3))


@pytest.mark.parametrize(
    ("interval", "statistic"),
    [(median_interval, np.median), (mean_interval, np.mean)],
    ids=["median", "mean"],
)
def test_scipy_bootstraps_the_same(interval, statistic):
    scores = LOSSES.mean(1)
    ours = interval(LOSSES, seed=0, resamples=40_000)
    theirs = scipy.stats.bootstrap(
        (scores,), statistic, n_resamples=40_000, method="percentile", rng=np.random.default_rng(1)
    ).confidence_interval
    assert ours.estimate == statistic(scores)
    width = theirs.high - theirs.low
    np.testing.assert_allclose(ours[1:], theirs, atol=0.04 * width)


def test_the_interval_of_a_mean_is_that_of_the_normal_law():
    values = np.random.default_rng(0).normal(2.0, 1.0, 400)
    found = mean_interval(values, seed=5, level=0.9)
    half = scipy.stats.norm.ppf(0.95) * values.std() / np.sqrt(values.size)
    np.testing.assert_allclose([found.low, found.high], values.mean() + [-half, half], atol=0.05 * half)


def test_a_share_is_drawn_from_the_binomial_law():
    reached = np.arange(50) < 20
    found = share_interval(np.where(reached, 0.5, 2.0), 1.0, seed=2, resamples=50_000)
    expected = scipy.stats.binom.ppf([0.025, 0.975], 50, 0.4) / 50
    np.testing.assert_allclose(found, [0.4, *expected], atol=1e-12)


def test_repeated_seeds_add_no_confidence():
    once = mean_interval(LOSSES[:, 0], seed=0)
    np.testing.assert_allclose(once, mean_interval(np.repeat(LOSSES[:, :1], 7, axis=1), seed=0))
    pooled = mean_interval(np.repeat(LOSSES[:, 0], 7), seed=0)
    assert pooled.high - pooled.low < 0.5 * (once.high - once.low)


def test_the_interval_covers_the_truth_as_often_as_it_says():
    rng = np.random.default_rng(11)
    # Targets differ by 1, seeds within a target by 1: what is to be covered is the mean over all targets.
    runs = rng.normal(0.0, 1.0, (300, 40, 1)) + rng.normal(0.0, 1.0, (300, 40, 3))
    found = [mean_interval(run, seed=i, resamples=500) for i, run in enumerate(runs)]
    covered = np.mean([low <= 0.0 <= high for _, low, high in found])
    assert 0.90 <= covered <= 0.98


def test_the_same_seed_draws_the_same_targets():
    assert mean_interval(LOSSES, seed=1) == mean_interval(LOSSES, seed=1)
    assert mean_interval(LOSSES, seed=1) != mean_interval(LOSSES, seed=2)
    shifted, scaled = mean_interval(LOSSES + 1.0, seed=1), mean_interval(2.0 * LOSSES, seed=1)
    np.testing.assert_allclose(shifted, np.array(mean_interval(LOSSES, seed=1)) + 1.0)
    np.testing.assert_allclose(scaled, 2.0 * np.array(mean_interval(LOSSES, seed=1)))


def test_many_targets_are_drawn_in_parts(monkeypatch):
    whole = median_interval(LOSSES, seed=4, resamples=1001)
    monkeypatch.setattr("ddsprl.metrics.statistics._DRAWS_AT_ONCE", 40 * 100)
    assert median_interval(LOSSES, seed=4, resamples=1001) == whole


def test_win_rate_counts_pairs_of_seeds_and_half_ties():
    a = [[1.0, 3.0], [2.0, 2.0], [9.0, 9.0]]
    b = [[2.0, 2.0], [2.0, 1.0], [1.0, 1.0]]
    # Per target: 1/2 of the pairs won; two ties and two losses; none.
    assert win_rate_interval(a, b, seed=0).estimate == pytest.approx((0.5 + 0.25 + 0.0) / 3)
    assert win_rate_interval(b, a, seed=0).estimate == pytest.approx(1.0 - (0.5 + 0.25) / 3)
    assert win_rate_interval(a, a, seed=0).estimate == 0.5
    assert win_rate_interval(np.array(a) + 0.01, a, seed=0, tie=0.02).estimate == 0.5
    assert win_rate_interval(a, [5.0, 5.0, 5.0], seed=0).estimate == pytest.approx(2 / 3)


def test_win_rate_within_a_target_is_the_mann_whitney_statistic():
    a, b = RNG.integers(0, 6, (2, 1, 12)).astype(float)
    u = scipy.stats.mannwhitneyu(a[0], b[0]).statistic  # pairs that A exceeds, ties half
    found = win_rate_interval(a, b, seed=0)
    assert found.estimate == pytest.approx(1.0 - u / 144)
    assert found.low == found.high == found.estimate


def test_win_rate_interval_is_binomial_for_one_seed():
    won = np.arange(64) < 48
    found = win_rate_interval(np.where(won, 0.0, 2.0), np.ones(64), seed=0, resamples=50_000)
    np.testing.assert_allclose(found, [0.75, *scipy.stats.binom.ppf([0.025, 0.975], 64, 0.75) / 64])


def test_shares_use_each_target_s_own_threshold():
    values = [[1.0, 3.0], [1.0, 3.0], [5.0, 5.0]]
    assert share_interval(values, [1.0, 3.0, 4.0], seed=0).estimate == pytest.approx((0.5 + 1.0 + 0.0) / 3)


def test_excess_ratio():
    loss = np.array([[1.0, 2.0], [3.0, 0.5]])
    found = excess_ratio(loss, [1.0, 1.0], [3.0, 2.0])
    np.testing.assert_allclose(found, [[0.0, 0.5], [2.0, -0.5]])
    np.testing.assert_allclose(excess_ratio([2.0, 4.0], 0.0, [4.0, 4.0]), [0.5, 1.0])
    assert np.isnan(excess_ratio([2.0, 4.0], 1.0, [1.0, 0.5])).all()


def test_what_cannot_be_judged_is_refused():
    with pytest.raises(ValueError, match=r"targets \[1\] are not finite"):
        median_interval([[1.0], [np.nan], [2.0]], seed=0)
    with pytest.raises(ValueError, match="shape"):
        mean_interval(np.zeros((2, 2, 2)), seed=0)
    with pytest.raises(ValueError, match="3 targets and B 2"):
        win_rate_interval(np.zeros(3), np.zeros(2), seed=0)
    with pytest.raises(ValueError, match="threshold"):
        share_interval(np.zeros(3), [1.0, np.nan, 1.0], seed=0)


def test_the_ratio_of_medians_draws_both_methods_targets_together():
    rng = np.random.default_rng(5)
    b = rng.uniform(0.5, 2.0, (40, 3))
    found = median_ratio_interval(0.4 * b, b, seed=1)
    # Paired: where A is a multiple of B on every target, no draw can say anything else.
    np.testing.assert_allclose(found, 0.4, rtol=1e-9)
    a = 0.4 * b[rng.permutation(40)]
    loose = median_ratio_interval(a, b, seed=1)
    draws = np.random.default_rng(1).integers(40, size=(10_000, 40))
    ratios = [np.median(a.mean(1)[draw]) / np.median(b.mean(1)[draw]) for draw in draws]
    np.testing.assert_allclose(loose, [0.4, *np.percentile(ratios, [2.5, 97.5])], rtol=1e-9)
    assert np.isnan(median_ratio_interval(b, 0.0 * b, seed=1)).all()
    with pytest.raises(ValueError, match="40 targets and B 39"):
        median_ratio_interval(b, b[1:], seed=1)
