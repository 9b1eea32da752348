"""What is charged: gradients at their measured price, shared work by the target, from budgets that hold."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest

from ddsprl import compare
from ddsprl.comparison import execution, pricing
from ddsprl.comparison.plan import Method
from ddsprl.fitting.core.budget import plan_budget
from ddsprl.fitting.inversion.inverter import InversionConfig
from ddsprl.fitting.solvers.gradient import MultiStartAdam
from ddsprl.fitting.solvers.random_search import RandomSearch
from ddsprl.fitting.solvers.registry import make_solver
from ddsprl.fitting.starts.library import LibraryConfig

from .conftest import strict

CHARGED = """
defaults: {suite: random, targets: 3, seeds: 2, budgets: [96], sample_rate: 8000, seconds: 0.25, group: 1,
  gradient_cost: measured}
methods:
  - {label: paid, solver: random, start: library, count: 8, charge_shared: true, settings: {population: 8}}
  - {label: shown, solver: random, start: library, count: 8, settings: {population: 8}}
  - {label: longer, solver: random, start: neutral, count: 8, times: 3, settings: {population: 8}}
  - label: hybrid
    solver: hybrid
    start: neutral
    count: 4
    settings: {replicas: 2, probes: 0, exchange_every: 0, alone: 0, schedule: {dither: 0.0, patience: 9}}
"""
PAGE = 40


def with_small_pages(patch: pytest.MonkeyPatch) -> None:
    """A library whose pages 96 renders a target can pay for."""
    small = InversionConfig(library=LibraryConfig(size=PAGE))
    patch.setattr(execution, "InversionConfig", lambda: small)


@pytest.fixture(scope="module")
def charged(tmp_path_factory) -> tuple[Path, list[str]]:
    """A finished comparison with a library of small pages, and the arguments that made it."""
    folder = tmp_path_factory.mktemp("charged")
    (folder / "charged.yaml").write_text(CHARGED)
    arguments = ["--config", str(folder / "charged.yaml"), "--out", str(folder / "out"), "--quiet"]
    with pytest.MonkeyPatch.context() as patch:
        with_small_pages(patch)
        assert compare.main(arguments) == 0
    return folder / "out", arguments


def cost_rows(out: Path) -> dict[str, dict[str, str]]:
    """Rows of the table of costs, by method."""
    text = (out / "table.md").read_text().split("what it cost, a target\n\n")[1].split("\n\n")[0]
    head, _, *lines = ([cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines())
    return {line[0]: dict(zip(head, line, strict=True)) for line in lines}


def test_a_budget_that_shared_work_spends_is_refused_before_anything_is_rendered(tmp_path, capsys):
    config, out = tmp_path / "poor.yaml", tmp_path / "out"
    config.write_text(
        "defaults: {suite: random, targets: 2, budgets: [96], sample_rate: 8000, seconds: 0.25}\n"
        "methods: [{label: poor, solver: random, start: library, count: 8, charge_shared: true}]\n"
    )
    assert compare.main(["--config", str(config), "--out", str(out), "--quiet"]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: poor: 96 renders leave -") and error.count("\n") == 1
    assert not list(out.glob("**/references-*"))


@pytest.mark.slow
def test_shared_work_is_paid_by_the_targets_and_shown(charged):
    results = strict(charged[0] / "results.json")
    runs = {label: [r for r in results["runs"] if r["method"] == label] for label in ("paid", "shown")}
    pages = {tuple(work) for run in runs["paid"] for work in run["works"]}
    assert {page[2] for page in pages} == {PAGE}
    # By the three targets, not by their six runs.
    shared = PAGE * len(pages) / 3
    assert len(runs["paid"]) == 6 and shared > 0
    for run in runs["paid"]:
        assert run["renders"] == 96 - np.ceil(shared)
        assert run["shared"] == pytest.approx(shared)
        assert 95 < run["charged"] <= 96
    for run in runs["shown"]:
        assert run["renders"] == 96
        assert run["charged"] == pytest.approx(96 + shared)
    rows = cost_rows(charged[0])
    for label, renders in (("paid", 96 - np.ceil(shared)), ("shown", 96)):
        assert rows[label]["renders"] == f"{renders:.0f}"
        assert rows[label]["shared renders"] == f"{shared:.0f}"
        assert rows[label]["charged in all"] == f"{renders + shared:.0f}"


@pytest.mark.slow
def test_a_method_may_spend_a_multiple_of_the_budget_of_its_table(charged):
    results = strict(charged[0] / "results.json")
    runs = [run for run in results["runs"] if run["method"] == "longer"]
    assert {(run["budget"], run["renders"]) for run in runs} == {(96, 3 * 96)}
    assert next(m for m in results["options"]["methods"] if m["label"] == "longer")["times"] == 3
    assert cost_rows(charged[0])["longer"]["renders"] == "288"


@pytest.mark.slow
def test_nested_settings_are_in_the_results(charged):
    results = strict(charged[0] / "results.json")
    settings = results["methods"]["hybrid"]["settings"]
    assert (settings["replicas"], settings["schedule"]["dither"], settings["schedule"]["patience"]) == (
        2,
        0,
        9,
    )
    assert settings["schedule"]["first_rate"] == 0.1
    given = next(m for m in results["options"]["methods"] if m["label"] == "hybrid")["settings"]
    assert given["schedule"] == {"dither": 0.0, "patience": 9}


@pytest.mark.slow
def test_a_gradient_is_charged_as_measured(charged):
    results = strict(charged[0] / "results.json")
    assert results["options"]["gradient_cost"] == "measured"
    (cost,) = results["methods"]["hybrid"]["gradient_cost"]
    assert (cost["batch"], cost["samples"]) == (2, 2000)
    price = cost["charged"]
    assert 16 * price == round(16 * price) and cost["measured"] <= price < cost["measured"] + 1 / 16
    for run in results["runs"]:
        if run["method"] == "hybrid":
            assert run["gradients"] == 2 * ((96 - 1) // (2 * price))
            assert run["charged"] == run["renders"] + price * run["gradients"]
            assert 95 < run["charged"] <= 96
            curve = strict(charged[0] / "curves.json")["curves"]["hybrid"]["96"][str(run["seed"])]
            assert curve[run["target"]]["renders"][-1] == 1 + price * run["gradients"]
    assert cost_rows(charged[0])["hybrid"]["a gradient as"] == f"{price:.2f}"


@pytest.mark.slow
def test_the_price_is_kept_when_a_comparison_goes_on(charged, monkeypatch):
    out, arguments = charged
    before = strict(out / "results.json")
    for path in [*(out / "cells").glob("*hybrid*g002.json"), *(out / "cells").glob("cost-hybrid*.json")]:
        path.unlink()
    with_small_pages(monkeypatch)
    monkeypatch.setattr(pricing, "measure", lambda *_, **__: pytest.fail("measured again"))
    assert compare.main(arguments) == 0
    after = strict(out / "results.json")
    assert after["methods"]["hybrid"]["gradient_cost"] == before["methods"]["hybrid"]["gradient_cost"]
    counts = ("target", "loss", "renders", "gradients", "charged")
    assert [[r[k] for k in counts] for r in after["runs"]] == [[r[k] for k in counts] for r in before["runs"]]


class Bowl:
    """As much of a problem as is timed."""

    instrument = SimpleNamespace(n_params=3)

    def scores(self, u, target, key):
        del key
        return jnp.sum((u - target) ** 2, axis=1)

    def gradients(self, u, target, key):
        return self.scores(u, target, key), 2 * (u - target)


def test_the_median_of_rounds_is_measured(monkeypatch):
    """With a clock of its own: a gradient takes 3.6 scores, and every third round is disturbed."""
    shapes, order = set(), []

    def seconds(call):
        found = call()
        slow = isinstance(found, tuple)
        shapes.add((slow, found[1].shape if slow else found.shape))
        order.append(slow)
        return (3.6 if slow else 1.0) * (9.0 if slow and len(order) % 3 == 0 else 1.0)

    monkeypatch.setattr(pricing, "_seconds", seconds)
    problem: Any = Bowl()
    target: Any = jnp.zeros((2, 3))
    found = pricing.measure(problem, target, batch=5, group=2, seed=0)
    assert shapes == {(False, (2, 5)), (True, (2, 5, 3))}
    # In turns, and neither always first.
    assert order[:8] == [False, True, True, False] * 2 and len(order) == 2 * found["rounds"]
    assert found["measured"] == pytest.approx(3.6)
    assert found["score_s"] == pytest.approx(0.1)
    assert pricing.rounded_up(found["measured"]) == 3.625


@pytest.mark.parametrize(
    ("measured", "price"), [(4.0, 4.0), (4.01, 4.0625), (0.3, 1.0), (3.76, 3.8125), (16.3, 16.3125)]
)
def test_a_price_is_rounded_up_to_sixteenths(measured, price):
    assert pricing.rounded_up(measured) == price


@pytest.mark.parametrize("price", [1.0, 3.75, 4.0, 4.25, 5.5, 4.3])
@pytest.mark.parametrize("budget", [7, 8, 40, 41, 2048])
def test_the_driver_spends_what_the_price_leaves(price, budget):
    for solver in (MultiStartAdam(members=3), RandomSearch(population=8)):
        plan = plan_budget(solver, budget, 7, price)
        each = solver.scores + price * solver.gradients
        assert plan.iterations == ((budget - 7) // each,)
        charged = 7 + plan.left + plan.total * each
        assert budget - 1 < charged <= budget + 1e-9
        assert 0 <= plan.left <= plan.most_left < each
        np.testing.assert_allclose(plan.charged(), 7 + each * np.arange(plan.total + 1))


def test_a_method_with_gradients_at_two_batches_pays_the_dearer_price():
    assert pricing.dearest([{"charged": 3.5}, {"charged": 4.25}, {"charged": 4.0}]) == 4.25
    legs = execution.gradient_batches(Method("hybrid", "hybrid"))
    assert legs == (make_solver("hybrid").gradients, 1)
    assert execution.gradient_batches(Method("random", "random")) == ()
