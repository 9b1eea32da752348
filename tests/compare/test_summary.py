"""Tables say what the runs say: recomputed here by plain NumPy, without the package's statistics."""

import re

import numpy as np
import pytest
from matplotlib.image import imread

from ddsprl.comparison.curves import anytime, draw_curves
from ddsprl.comparison.markdown import markdown, tables
from ddsprl.comparison.page import chosen_targets, write_page
from ddsprl.comparison.results import RUN_DIGITS, curve_of, separate
from ddsprl.comparison.searching import CURVE_POINTS, thinned
from ddsprl.comparison.summary import summarise
from ddsprl.io.json_files import rounded_tree

from .conftest import BUDGETS, LABELS, SEEDS, TARGETS, made_up


@pytest.fixture(scope="module")
def results() -> dict:
    made, _ = separate(made_up())
    return made | {"summary": summarise(made, ("hybrid", "cma_es"))}


@pytest.fixture(scope="module")
def curves() -> dict:
    return separate(made_up())[1]


def excesses(results, part, budget, label, judge="loss") -> np.ndarray:
    """[targets, seeds], straight from the runs."""
    rows = []
    for target in results["targets"]:
        if target["part"] != part:
            continue
        low, high = (target["references"][name][judge] for name in ("floor", "best_4096"))
        runs = [r for r in results["runs"] if (r["target"], r["budget"]) == (target["name"], budget)]
        rows.append([(r[judge] - low) / (high - low) for r in runs if r["method"] == label])
    return np.array(rows)


@pytest.mark.parametrize("judge", ["loss", "yardstick"])
def test_the_excess_is_the_median_over_targets_of_the_mean_over_seeds(results, judge):
    for entry in results["summary"]:
        for label in LABELS:
            expected = np.median(excesses(results, entry["part"], entry["budget"], label, judge).mean(1))
            estimate, low, high = entry["methods"][label][f"{judge}_excess"]
            assert estimate == pytest.approx(expected, rel=1e-9)
            assert low <= estimate <= high
    assert len(results["summary"]) == len(TARGETS) * len(BUDGETS)


def test_wins_count_every_pair_of_seeds(results):
    entry = next(e for e in results["summary"] if (e["part"], e["budget"]) == ("bank", 512))
    for pair in entry["wins"]["loss"]:
        a, b = (excesses(results, "bank", 512, pair[x]) for x in ("a", "b"))
        expected = np.mean(a[:, :, None] < b[:, None, :])
        assert pair["rate"][0] == pytest.approx(expected)
    assert len(entry["wins"]["loss"]) == 3


def test_the_ratio_is_of_medians(results):
    for entry in results["summary"]:
        a, b = (excesses(results, entry["part"], entry["budget"], x).mean(1) for x in ("hybrid", "cma_es"))
        assert entry["ratio"]["loss"][0] == pytest.approx(np.median(a) / np.median(b))
        assert entry["ratio"]["loss"][1] <= entry["ratio"]["loss"][0] <= entry["ratio"]["loss"][2]


def test_success_is_at_the_one_percent_reference():
    made = made_up()
    percent = {t["name"]: t["references"]["percent"]["loss"] for t in made["targets"]}
    for run in made["runs"]:
        if run["method"] == "hybrid":
            run["loss"] = percent[run["target"]] * (1.0 if run["seed"] == 0 else 1.01)
    entry = summarise(made)[0]
    assert entry["methods"]["hybrid"]["loss_success"][0] == pytest.approx(1 / SEEDS)


def test_a_target_that_measures_nothing_is_left_out_for_all():
    made = made_up()
    made["targets"][0]["references"]["best_4096"]["loss"] = 0.0
    entry = summarise(made)[0]
    assert entry["left_out"] == {"loss": 1, "yardstick": 0}
    for label in LABELS:
        expected = np.median(excesses(made, "random", BUDGETS[0], label).mean(1)[1:])
        assert entry["methods"][label]["loss_excess"][0] == pytest.approx(expected)


def test_recordings_have_plain_ratios_and_no_success():
    made = made_up()
    for target in made["targets"]:
        target["part"] = "recordings"
        del target["references"]["floor"], target["references"]["percent"]
    for run in made["runs"]:
        run["parameter_error"] = None
    made["rejected"] = {}
    entry = (made | {"summary": summarise(made)})["summary"][0]
    losses = [[r["loss"] for r in made["runs"] if r["target"] == t["name"]] for t in made["targets"]]
    assert entry["targets"] == len(losses)
    row = entry["methods"]["random"]
    best = [t["references"]["best_4096"]["loss"] for t in made["targets"]]
    runs = [r for r in made["runs"] if r["method"] == "random" and r["budget"] == BUDGETS[0]]
    plain = [np.mean([r["loss"] for r in runs if r["target"] == t["name"]]) for t in made["targets"]]
    assert row["loss_excess"][0] == pytest.approx(np.median(np.divide(plain, best)))
    assert row["loss_success"] is None and row["parameter_error"] is None
    text = markdown(made | {"summary": [entry]})
    assert "parameter error" not in text and "at 1 %," not in text


def test_the_table_shows_the_summary(results):
    text = markdown(results)
    for entry in results["summary"]:
        estimate, low, high = entry["methods"]["hybrid"]["loss_excess"]
        assert f"| {estimate:.3f} [{low:.3f}, {high:.3f}] |" in text
    assert "hybrid / cma_es" in text
    assert "3 of the random presets" in text
    assert all(len(row) == len(table.header) for table in tables(results) for row in table.rows)


def test_curves_fall_to_what_was_found(results, curves):
    found = anytime(results, curves, "random", "cma_es", "renders")
    assert found is not None
    places, excess = found
    assert excess.shape == (TARGETS["random"], len(places))
    assert places[-1] == pytest.approx(max(BUDGETS))
    np.testing.assert_allclose(excess[:, -1], excesses(results, "random", 512, "cma_es").mean(1), atol=1e-4)
    assert (np.diff(excess, axis=1) <= 1e-12).all()


def test_results_hold_no_curves_and_the_curves_are_theirs(results, curves):
    made = made_up()
    for run, before in zip(results["runs"], made["runs"], strict=True):
        assert run == rounded_tree({name: x for name, x in before.items() if name != "curve"}, RUN_DIGITS)
        for name, values in curve_of(curves, run).items():
            np.testing.assert_allclose(values, thinned(before["curve"])[name], rtol=5e-5)
    assert made == made_up()


def test_a_thinned_curve_is_the_same_staircase():
    """Read at every place, as it is drawn."""
    rng = np.random.default_rng(0)
    loss = np.minimum.accumulate(rng.uniform(1, 2, 400) - np.arange(400) // 40 * 0.05)
    loss[-7:] = loss[-7]
    curve = {"renders": np.arange(64, 464), "seconds": np.arange(400) * 0.1, "loss": loss}
    thin = thinned(curve)
    assert (
        len(thin["loss"]) < 60 and thin["renders"][-1] == 463 and thin["seconds"][-1] == pytest.approx(39.9)
    )
    at = np.searchsorted(thin["renders"], curve["renders"], side="right") - 1
    np.testing.assert_array_equal(np.asarray(thin["loss"])[at], loss)
    assert thinned(thin) == thin


def test_a_long_curve_keeps_its_ends():
    places = np.arange(1, 5001)
    thin = thinned({"renders": places, "seconds": places, "loss": 1 / places})
    assert 40 < len(thin["loss"]) <= CURVE_POINTS
    assert thin["renders"][0] == 1 and thin["renders"][-1] == 5000
    assert thinned(thin) == thin
    assert thinned({"renders": [], "seconds": [], "loss": []}) == {"renders": [], "seconds": [], "loss": []}


def test_a_row_shows_all_that_it_cost(results):
    for table in tables(results):
        if "what it cost" in table.title:
            heads = ["method", "renders", "gradients", "a gradient as", "shared renders", "charged in all"]
            assert table.header[:6] == heads
            rows = {row[0]: dict(zip(table.header, row, strict=True)) for row in table.rows}
            assert set(rows) == set(LABELS)
            for label, row in rows.items():
                assert row["a gradient as"] == ("4.00" if label == "hybrid" else "")
                cost = 4 * float(row["gradients"]) + float(row["renders"]) + float(row["shared renders"])
                assert cost == float(row["charged in all"])


def test_mishaps_are_added_up_over_all_runs(results):
    places = [(entry["part"], entry["budget"]) for entry in results["summary"]]
    shown = [table for table in tables(results) if "mishaps" in table.title]
    assert len(shown) == len(places)
    for (part, budget), table in zip(places, shown, strict=True):
        assert table.header == ["method", "not finite", "restarts", "restored", "backed off"]
        rows = {row[0]: row[1:] for row in table.rows}
        for label in LABELS:
            runs = [r for r in results["runs"] if (r["method"], r["budget"]) == (label, budget)]
            runs = [r for r in runs if r["target"].startswith(part)]
            wanted = [
                "" if runs[0][name] is None else f"{sum(r[name] for r in runs):,}"
                for name in ("failures", "restarts", "restored", "backed_off")
            ]
            assert rows[label] == wanted


def test_the_page_needs_nothing_else(results, curves, tmp_path):
    draw_curves(tmp_path / "curves.png", results, curves)
    assert imread(tmp_path / "curves.png").shape[1] == 1400
    names = chosen_targets(results, 4)
    assert len(names) == 4 and {name.split("-")[0] for name in names} == set(TARGETS)
    rng = np.random.default_rng(0)
    sounds = {name: rng.uniform(-1.5, 1.5, 400) for name in names}
    path = tmp_path / "report.html"
    write_page(path, results, tmp_path / "curves.png", target_sounds=sounds, sound_of=lambda _: np.zeros(400))
    text = path.read_text()
    assert_self_contained(text)
    assert text.count("<audio") == 4 * (1 + len(LABELS))


def assert_self_contained(text: str) -> None:
    places = re.findall(r"""(?:src|href)\s*=\s*["']([^"']{0,24})""", text)
    assert places and all(place.startswith("data:") for place in places)
    plain = re.sub(r"base64,[A-Za-z0-9+/=]+", "", text)
    for word in ("http", "//", "url(", "@import", "<script", "<link"):
        assert word not in plain, word


def test_names_are_shown_as_text(results, curves, tmp_path):
    made = dict(results)
    made["targets"] = [dict(t, name=f"<b>{t['name']}") for t in results["targets"]]
    made["runs"] = [dict(r, target=f"<b>{r['target']}") for r in results["runs"]]
    draw_curves(tmp_path / "curves.png", results, curves)
    name = made["targets"][0]["name"]
    write_page(
        tmp_path / "r.html",
        made,
        tmp_path / "curves.png",
        target_sounds={name: np.zeros(9)},
        sound_of=lambda _: np.zeros(9),
    )
    assert "&lt;b&gt;random-0" in (tmp_path / "r.html").read_text()
    assert "<b>random-0" not in (tmp_path / "r.html").read_text()
