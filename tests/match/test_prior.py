"""The prior of a posterior, from its name to the sampler, and from the samples to what is said."""

from types import SimpleNamespace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ddsprl.fitting.findings import analysis
from ddsprl.fitting.findings.analysis import Analysis
from ddsprl.fitting.findings.references import RandomReference
from ddsprl.fitting.inversion.records import TargetGroup
from ddsprl.fitting.posterior.priors import PRIORS, BankPrior, UniformPrior, make_prior
from ddsprl.fitting.posterior.summary import SummarySetup, summarize
from ddsprl.matching.results import _credible
from ddsprl.plant import make_instrument

BANK = np.array([[0.2, 0.0], [0.3, 0.0], [0.25, 1.0]], np.float32)
CHOICES = np.array([0, 2])


def test_a_prior_by_name():
    table, bank = (make_prior(name, bank=BANK, choices=CHOICES) for name in PRIORS)
    near, far = jnp.asarray([0.25, 0.0]), jnp.asarray([0.9, 0.0])
    assert isinstance(table, UniformPrior) and isinstance(bank, BankPrior)
    assert table.log_density(near) == table.log_density(far)
    assert bank.log_density(near) > bank.log_density(far) + 2.0
    assert bank.log_density(near) > bank.log_density(near.at[1].set(1.0))
    with pytest.raises(ValueError, match=r"no prior 'bnak'.*'bank'.*allowed are table, bank"):
        make_prior("bnak", bank=BANK, choices=CHOICES)
    with pytest.raises(ValueError, match="two presets or more"):
        make_prior("bank", bank=BANK[:1], choices=CHOICES)


def test_the_sampler_gets_the_prior_and_starts_that_are_apart(monkeypatch):
    """A group of two with one target in it: the filling is sampled, and left out."""
    asked: dict[str, Any] = {}

    def sample(problem, targets, starts, keys, knobs, **settings):
        asked.update(settings, starts=np.asarray(starts), keys=keys, knobs=knobs)
        return ["first", "filling"]

    monkeypatch.setattr(analysis, "sample_posterior", sample)
    synth = make_instrument("sine", 8_000, 0.05)
    d = synth.n_params
    spread = np.random.default_rng(0).uniform(size=(1, 8, d))
    found: Any = SimpleNamespace(spread=spread)
    inverter: Any = SimpleNamespace(problem=SimpleNamespace(instrument=synth))
    keys: Any = SimpleNamespace(posterior=jax.random.split(jax.random.key(0), 2))
    task: Any = SimpleNamespace(start=np.array(["random"], object))
    none: Any = None
    group = TargetGroup(none, np.zeros((2, 3, d)), keys, none, task, none)
    prior, before = UniformPrior(), Analysis(RandomReference(1, 1.0, {}, np.zeros(d)), {}, [0], None, 0)
    (after,) = analysis.with_posteriors([before], inverter, group, found, prior=prior)
    assert after == before._replace(posterior="first")  # pyright: ignore[reportArgumentType]
    assert asked["prior"] is prior
    assert asked["knobs"].names == tuple(spec.name for spec in synth.table)
    np.testing.assert_allclose(asked["starts"], np.repeat(spread, 2, axis=0), rtol=1e-6)


@pytest.mark.parametrize("prior", PRIORS)
def test_the_result_says_which_prior_was_taken(prior):
    synth = make_instrument("sine", 8_000, 0.05)
    d, rng = len(synth.table), np.random.default_rng(1)
    cycles = (
        rng.uniform(size=(8, 2, 4, d)),
        rng.uniform(size=(8, 2, 4)),
        np.ones((8, 2)),
        np.ones((8, 2, 2)),
        np.ones((8, 1)),
    )
    names = [spec.name for spec in synth.table]
    setup = SummarySetup(names, (0.1, 0.2), np.zeros(d), np.ones(d), lambda level: np.full(d, level))
    record = _credible(summarize(cycles, setup), prior, synth.table)
    assert record is not None and record["prior"] == prior
    assert ("near those of the bank" in record["sentence"]) == (prior == "bank")
    assert _credible(None, None, synth.table) is None
