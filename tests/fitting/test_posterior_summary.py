"""Summaries of samples and the choice of T, against samples whose truth is known."""

import numpy as np
import pytest

from ddsprl.fitting.posterior.summary import (
    SummarySetup,
    calibrate_temperature,
    effective_samples,
    holds,
    interval,
    ranks,
    split_r_hat,
    summarize,
)

RNG = np.random.default_rng(5)


def test_r_hat_tells_chains_that_agree_from_those_that_do_not():
    same = RNG.normal(size=(400, 4))
    assert split_r_hat(same) == pytest.approx(1.0, abs=0.02)
    # Means half a standard deviation apart: between-variance known in closed form.
    apart = same + np.array([0.0, 0.0, 1.0, 1.0])
    assert split_r_hat(apart) == pytest.approx(np.sqrt(1.0 + (8 / 7) * 0.25), abs=0.05)
    drifting = same + np.linspace(0.0, 3.0, 400)[:, None]
    assert split_r_hat(drifting) > 1.2
    assert split_r_hat(np.full((10, 2), 0.5)) == 1.0
    assert split_r_hat(np.tile([0.1, 0.9], (10, 1))) == np.inf


@pytest.mark.parametrize("rho", [0.0, 0.6, 0.9])
def test_effective_sample_size_of_an_autoregression(rho):
    n, chains = 4000, 4
    x = np.zeros((n, chains))
    noise = RNG.normal(size=(n, chains)) * np.sqrt(1 - rho**2)
    x[0] = RNG.normal(size=chains)
    for t in range(1, n):
        x[t] = rho * x[t - 1] + noise[t]
    wanted = n * chains * (1 - rho) / (1 + rho)
    assert effective_samples(x) == pytest.approx(wanted, rel=0.2)


def test_intervals_of_choices_are_choices():
    samples = np.stack([RNG.uniform(size=999), RNG.integers(0, 5, 999) / 4], axis=1)
    low, high = interval(samples, np.array([0, 5]))
    np.testing.assert_allclose([low[0], high[0]], [0.05, 0.95], atol=0.03)
    assert (low[1], high[1]) == (0.0, 1.0)
    assert holds(low, high, np.array([0.5, 1.0])).all()
    assert not holds(low, high, np.array([0.99, 1.2])).any()


def test_ranks_are_uniform_where_the_truth_is_one_of_the_samples():
    found = np.concatenate(
        [
            ranks(
                np.stack([RNG.normal(size=200), RNG.integers(0, 3, 200)], 1),
                np.array([RNG.normal(), RNG.integers(0, 3)]),
                i,
            )
            for i in range(1000)
        ]
    )
    counts = np.histogram(found, 10, (0, 1))[0]
    assert np.sum((counts - 200) ** 2 / 200) < 27.9  # chi square of 9, 0.1 %


def ladders(count, spreads):
    """Targets with 20 knobs and posteriors of several widths; the truth is one draw off."""
    truths = RNG.uniform(0.3, 0.7, (count, 20))
    miss = 0.05 * RNG.normal(size=truths.shape)
    samples = [
        np.stack([t + m + 0.05 * s * RNG.normal(size=(150, 4, 20)) for s in spreads])
        for t, m in zip(truths, miss, strict=True)
    ]
    return samples, list(truths)


def test_the_temperature_with_the_right_coverage_is_chosen():
    samples, truths = ladders(12, (0.4, 1.03, 1.8))
    found = calibrate_temperature(
        samples,
        truths,
        temperatures=(0.1, 0.2, 0.4),
        choices=np.zeros(20),
        prior_width=np.full(20, 0.9),
        level=0.9,
    )
    assert found.temperature in (0.2, 0.4)
    # Central intervals of a normal that is s times as wide as the error.
    np.testing.assert_allclose(found.coverage, [0.489, 0.910, 0.997], atol=0.06)
    np.testing.assert_array_equal(found.counted, 240)
    wide = calibrate_temperature(
        samples, truths, temperatures=(1, 2, 3), choices=np.zeros(20), prior_width=np.full(20, 0.2)
    )
    assert wide.counted[0] > wide.counted[1]
    never = calibrate_temperature(
        [x[:1] for x in samples],
        truths,
        temperatures=(1,),
        choices=np.zeros(20),
        prior_width=np.full(20, 0.9),
    )
    assert never.temperature == 1


def test_a_summary_names_what_cannot_be_told():
    u = np.concatenate(
        [
            RNG.uniform(size=(60, 2, 4, 1)),
            0.5 + 0.01 * RNG.normal(size=(60, 2, 4, 1)),
            np.full((60, 2, 4, 1), 0.3),
        ],
        3,
    )
    shares = np.full((60, 2), 0.5)
    swaps = np.full((60, 1), np.nan)
    swaps[::2] = 0.4
    names, free = ("wide", "narrow", "locked"), np.array([1.0, 1.0, 0.0])
    setup = SummarySetup(names, (0.1, 0.2), np.zeros(3), free, lambda level: np.full(3, level))
    found = summarize((u, np.zeros((60, 2, 4)), shares, np.stack([shares, shares], 1), swaps), setup)
    assert found.untellable == ("wide",)
    assert found.width[0] == pytest.approx(1.0, abs=0.1)
    assert found.width[1] < 0.06
    assert found.width[2] == 0.0
    assert found.samples.shape == (240, 3)
    assert found.by_temperature.shape == (2, 60, 4, 3)
    np.testing.assert_allclose(found.swaps, 0.4)
    knobs = found.record()["knobs"]
    assert isinstance(knobs, dict)
    assert knobs["narrow"]["r_hat"] < 1.1
