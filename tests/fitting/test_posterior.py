"""Posteriors against numerical integration, and the laws of the moves."""

from dataclasses import dataclass, replace
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

import laws
from ddsprl.fitting.core.solver import Space
from ddsprl.fitting.posterior import moves as moves
from ddsprl.fitting.posterior.chains import Chains, swap_neighbours
from ddsprl.fitting.posterior.moves import Knobs
from ddsprl.fitting.posterior.priors import UniformPrior, bank_prior
from ddsprl.fitting.posterior.sampling import KnobNames, PosteriorConfig, sample_posterior
from synth_jax.instruments.serum_lite import NAMES, TABLE, serum_lite

KEY = jax.random.key(11)
T = 0.1


class Well(NamedTuple):
    """Two smooth knobs, tilted and partly beyond a stop, and a discrete one; a fourth says nothing."""

    free: jax.Array


@dataclass(frozen=True)
class Wells:
    """A loss with a known posterior; nothing is rendered."""

    def space(self, target: Well) -> Space:
        return Space(target.free, jnp.full(4, 0.25), jnp.asarray([0.0, 0.0, 3.0, 0.0]))

    def snap(self, u):
        return u.at[..., 2].set(jnp.round(2.0 * u[..., 2]) / 2.0)

    def loss(self, u):
        a, b, c, _ = u
        return (
            4.0 * (a - 0.9) ** 2 + 2.0 * (a - 0.9) * (b - 0.1) + 1.5 * (b - 0.1) ** 2 + 0.25 * c * (1.0 + a)
        )

    def scores(self, u, target, key):
        return jax.vmap(self.loss)(u)

    def gradients(self, u, target, key):
        return jax.vmap(jax.value_and_grad(self.loss))(u)


WELLS = Wells()
WELL_NAMES = ("a", "b", "c", "nothing")


def sampled(config, *, free=(1.0, 1.0, 1.0, 1.0), prior=None, seed=0):
    starts = np.full((1, 2, 4), 0.5, np.float32)
    starts[:, 1] = 0.2
    keys = jax.random.split(jax.random.key(seed), 1)
    target = Well(jnp.asarray([free]))
    return sample_posterior(WELLS, target, starts, keys, KnobNames(WELL_NAMES), config=config, prior=prior)[0]


def exact(temperature=T, density=None):
    """Marginals of the first three knobs on a grid: points, and weights that sum to 1."""
    points = (np.arange(400) + 0.5) / 400
    a, b, c = np.meshgrid(points, points, [0.0, 0.5, 1.0], indexing="ij", sparse=True)
    loss = 4.0 * (a - 0.9) ** 2 + 2.0 * (a - 0.9) * (b - 0.1) + 1.5 * (b - 0.1) ** 2 + 0.25 * c * (1.0 + a)
    weight = np.exp(-loss / temperature) * (1.0 if density is None else density(a, b, c))
    weight /= weight.sum()
    return [
        (points, weight.sum(axis=(1, 2))),
        (points, weight.sum(axis=(0, 2))),
        (np.array([0.0, 0.5, 1.0]), weight.sum(axis=(0, 1))),
    ]


def check_marginals(found, marginals):
    for i, (points, weight) in enumerate(marginals):
        samples = found.samples[:, i]
        mean = np.sum(points * weight)
        spread = np.sqrt(np.sum(weight * (points - mean) ** 2))
        error = spread / np.sqrt(found.effective[i])
        assert found.effective[i] > 300
        assert abs(samples.mean() - mean) < 4.0 * error
        assert samples.std() == pytest.approx(spread, rel=5.0 / np.sqrt(found.effective[i]))
        for edge in (0.2, 0.5, 0.85):
            share = weight[points <= edge].sum()
            allowed = 4.0 * np.sqrt(share * (1.0 - share) / found.effective[i]) + 2e-3
            assert abs((samples <= edge).mean() - share) < allowed, (i, edge)


FEW = PosteriorConfig((T, 0.2), chains=8, jumps=1, warm=100, cycles=800)


@pytest.mark.parametrize(
    "config",
    [
        FEW,
        replace(FEW, adapt=False),
        replace(FEW, cycles=1600, jumps=2, drifts=0),
    ],
    ids=["all moves", "another preconditioner", "jumps alone"],
)
def test_samples_agree_with_numerical_integration(config):
    found = sampled(config)
    check_marginals(found, exact())
    assert found.untellable == ("nothing",)
    assert found.r_hat.max() < 1.05
    # What the sound says nothing about has the prior's own interval.
    np.testing.assert_allclose([found.low[3], found.high[3]], [0.05, 0.95], atol=0.03)
    assert found.swaps[0] > 0.3


def test_drifts_alone_agree_where_no_choice_has_to_be_made():
    found = sampled(
        PosteriorConfig((T,), chains=8, jumps=0, drifts=2, warm=100, cycles=800), free=(1, 1, 0, 1)
    )
    points, _ = exact()[0]
    a, b = np.meshgrid(points, points, indexing="ij")
    weight = np.exp(-(4.0 * (a - 0.9) ** 2 + 2.0 * (a - 0.9) * (b - 0.1) + 1.5 * (b - 0.1) ** 2) / T)
    # The locked choice is snapped: 0.25 rounds to 0.
    weight /= weight.sum()
    check_marginals(found, [(points, weight.sum(axis=1)), (points, weight.sum(axis=0))])
    np.testing.assert_allclose(found.samples[:, 2], found.samples[0, 2])
    assert found.width[2] == 0.0
    assert 0.4 < found.acceptance["drift"][0] < 0.75


def test_every_temperature_samples_its_own_posterior():
    found = sampled(FEW)
    points, weight = exact(0.2)[0]
    hot = found.by_temperature[1].reshape(-1, 4)[:, 0]
    assert hot.mean() == pytest.approx(np.sum(points * weight), abs=0.02)
    assert hot.std() > found.samples[:, 0].std() + 0.02


def test_a_bank_is_a_prior():
    bank = np.array([[0.2, 0.3, 0.0, 0.5], [0.3, 0.8, 0.5, 0.5], [0.9, 0.2, 0.5, 0.5]])
    prior = bank_prior(bank, np.array([0.0, 0.0, 3.0, 0.0]))
    found = sampled(replace(FEW, jumps=2), prior=prior)
    widths = np.asarray(prior.width)

    def density(a, b, c):
        total = 0.0
        for row in bank:
            part = 1.0
            for i, u in ((0, a), (1, b)):
                stops = -row[i] / widths[i], (1.0 - row[i]) / widths[i]
                part = part * (0.9 * stats.truncnorm.pdf(u, *stops, row[i], widths[i]) + 0.1)
            total = total + part * (0.9 * (c == row[2]) + 0.1 / 3.0)
        return total

    check_marginals(found, exact(density=density))
    # The fourth knob is as the prior has it, narrow: its interval is as wide as the prior's.
    assert found.width[3] == pytest.approx(1.0, abs=0.12)


def test_widths_of_the_uniform_prior():
    widths = UniformPrior().widths(np.array([0, 3, 7, 30]), 0.9)
    for width, count in zip(widths[1:], (3, 7, 30), strict=True):
        low, high = np.quantile(np.linspace(0, 1, count), [0.05, 0.95], method="inverted_cdf")
        assert width == pytest.approx(high - low)
    assert widths[0] == 0.9


def test_swaps_keep_the_balance():
    """Two temperatures, two levels of loss: the joint chances are those of Boltzmann."""
    temperatures, levels = jnp.asarray([0.5, 1.0]), jnp.asarray([0.0, 0.8])
    chance = np.exp(-np.asarray(levels)[None] / np.asarray(temperatures)[:, None])
    chance /= chance.sum(axis=1, keepdims=True)
    draws = 40_000
    cold, hot = jax.random.split(KEY)
    place = jnp.stack(
        [
            (jax.random.uniform(key, (draws,)) < chance[r, 1]).astype(jnp.int32)
            for r, key in enumerate((cold, hot))
        ]
    )
    chains = Chains(place[..., None] * 1.0, levels[place], jnp.zeros(2), jnp.zeros((2, 1)), jnp.int32(0))
    after, share = swap_neighbours(chains, temperatures, jax.random.key(3))
    both = 2 * np.asarray(after.x[0, :, 0]) + np.asarray(after.x[1, :, 0])
    wanted = (chance[0][:, None] * chance[1][None]).ravel()
    np.testing.assert_allclose(np.bincount(both.astype(int), minlength=4) / draws, wanted, atol=0.008)
    np.testing.assert_array_equal(after.loss, levels[after.x[..., 0].astype(int)])
    # By hand: only "cold low, hot high" may refuse.
    refused = chance[0, 0] * chance[1, 1] * (1.0 - np.exp(-(1 / 0.5 - 1.0) * 0.8))
    assert float(share[0]) == pytest.approx(1.0 - refused, abs=0.01)
    idle, none = swap_neighbours(chains._replace(cycle=jnp.int32(1)), temperatures, KEY)
    np.testing.assert_array_equal(idle.x, chains.x)
    assert np.isnan(none[0])


def test_the_law_has_the_density_that_its_correction_uses():
    knobs = Knobs(*(jnp.asarray(x) for x in ([1.0, 1.0, 0.0], [1.0] * 3, [0.0, 0.0, 3.0], [0, 1, 2])))
    x, drift = jnp.asarray([0.3, -0.2, 0.5]), jnp.asarray([2.0, -1.0, 0.0])
    alpha, scale, temperature = jnp.float32(0.2), jnp.asarray([0.5, 2.0, 1.0]), jnp.float32(0.3)
    keys = jax.random.split(KEY, 20_000)
    to = jax.vmap(lambda k: moves.drift_move(k, x, drift, alpha, scale, temperature, knobs))(keys)
    mean = np.array([0.3 - 0.2 * 0.5 * 2.0, -0.2 + 0.2 * 2.0 * 1.0])
    spread = np.sqrt(2 * 0.2 * 0.3 * np.array([0.5, 2.0]))
    np.testing.assert_allclose(to[:, :2].mean(axis=0), mean, atol=0.02)
    np.testing.assert_allclose(to[:, :2].std(axis=0), spread, rtol=0.03)
    np.testing.assert_array_equal(to[:, 2], 0.5)
    two = [moves.log_drift_density(row, x, drift, alpha, scale, temperature, knobs) for row in to[:2]]
    wanted = [stats.norm.logpdf(np.asarray(row[:2]), mean, spread).sum() for row in to[:2]]
    assert float(two[0] - two[1]) == pytest.approx(wanted[0] - wanted[1], abs=1e-3)


def test_a_redraw_keeps_the_uniform_density_and_locked_knobs():
    free = jnp.asarray([1.0, 1.0, 1.0, 0.0])
    knobs = Knobs(
        free * jnp.asarray([1, 1, 0, 1]), free, jnp.asarray([0.0, 0, 3, 0]), jnp.asarray([1, 0, 2, 3])
    )
    u = jax.random.uniform(KEY, (20_000, 4))
    u = u.at[:, 2].set(jnp.round(2.0 * u[:, 2]) / 2.0)  # halves as often at the ends
    to = np.asarray(jax.vmap(lambda k, u: moves.redraw(k, u, knobs))(jax.random.split(KEY, len(u)), u))
    np.testing.assert_array_equal(to[:, 3], u[:, 3])
    for i in (0, 1):
        assert stats.kstest(to[:, i], "uniform").pvalue > 1e-3
    assert set(np.unique(to[:, 2])) == {0.0, 0.5, 1.0}
    changed = (to != np.asarray(u)).sum(axis=1)
    swapped = (to[:, 0] == u[:, 1]) & (to[:, 1] == u[:, 0])
    assert swapped.mean() == pytest.approx(moves.EXCHANGE_CHANCE, abs=0.01)
    assert (changed[~swapped] <= 1).all()


def test_oscillators_are_each_others_twins():
    partner = serum_lite().knowledge.partners(TABLE)
    pairs = {(NAMES[i], NAMES[j]) for i, j in enumerate(partner) if i != j}
    assert ("osc1_level", "osc2_level") in pairs
    assert len(pairs) == 8
    assert partner[NAMES.index("osc2_semitone_offset")] == NAMES.index("osc2_semitone_offset")
    np.testing.assert_array_equal(partner[partner], np.arange(len(NAMES)))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"temperatures": (0.2, 0.1)}, "must be above 0 and rise"),
        ({"chains": 5}, "chains is 5; allowed are even numbers from 4"),
        ({"drifts": 0, "jumps": 0}, "nothing would move"),
        ({"cycles": 2}, "cycles is 2"),
    ],
)
def test_settings_that_are_no_sampler_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        PosteriorConfig(**settings)


def test_failed_evaluations_are_survived():
    config = PosteriorConfig((0.05, 0.1), chains=4, jumps=2, warm=20, cycles=100)
    keys = jax.random.split(KEY, 1)
    found = sample_posterior(
        laws.BOWL, laws.bowls(bad=0.3), laws.far_starts(), keys, KnobNames(tuple("abcd")), config=config
    )[0]
    assert np.isfinite(found.samples).all()
    assert ((found.samples >= 0.0) & (found.samples <= 1.0)).all()
    assert (found.loss < 1.0).mean() > 0.99
