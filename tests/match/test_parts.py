"""Parts of a run over many targets: the manifest, reading ahead, the clock, the options of a method."""

import json
import threading
import time

import jax
import numpy as np
import pytest

from ddsprl.fitting.core.streams import streams_of
from ddsprl.fitting.inversion.methods import DEFAULT_METHOD, DEFAULT_START, METHODS
from ddsprl.io import UserError
from ddsprl.io.ahead import ahead
from ddsprl.matching.clock import Clock
from ddsprl.matching.feed import target_key
from ddsprl.matching.manifest import Manifest, made_by
from ddsprl.matching.options import check, parse_options

OPTIONS = {"budget": 100, "lock": []}


def refused(*arguments) -> str:
    with pytest.raises(UserError) as error:
        check(parse_options(["a.wav", "--out", "o", *arguments]))
    return str(error.value)


def opened(out, options=OPTIONS) -> Manifest:
    manifest = Manifest(out)
    manifest.read(options)
    manifest.open()
    return manifest


@pytest.mark.parametrize("method", METHODS)
def test_every_method_is_allowed(method):
    check(parse_options(["a.wav", "--out", "o", "--method", method]))


def test_a_misspelt_method_or_start_names_the_nearest():
    assert "did you mean 'hybrid'?" in refused("--method", "hybird")
    assert "did you mean 'library'?" in refused("--method", "adam", "--start", "libary")
    assert "allowed are" in refused("--method", "adam", "--start", "given")


def test_what_a_method_cannot_do_is_refused():
    assert "at least 64" in refused("--method", "random", "--budget", "63")
    assert "allowed are 1 to 8" in refused("--top", "9")
    assert "allowed are 1 to 8" in refused("--top", "0")


def test_a_manifest_goes_on(tmp_path):
    first = opened(tmp_path / "out")
    first.add({"name": "a", "status": "done"})
    first.add({"name": "a\udcff", "status": "failed"})
    first.close({"targets": 1})
    second = opened(tmp_path / "out")
    assert second.run == first.run
    assert (second.status("a"), second.status("a\udcff"), second.status("b")) == ("done", "failed", None)
    second.close({})


def test_a_torn_line_is_cut_off(tmp_path):
    first = opened(tmp_path)
    first.add({"name": "a", "status": "done"})
    assert first._file is not None
    first._file.write(b'{"name": "b", "sta')
    first._file.close()
    second = opened(tmp_path)
    second.add({"name": "c", "status": "done"})
    second.close({})
    rows = [json.loads(row) for row in (tmp_path / "manifest.jsonl").read_text().splitlines()]
    assert [row["name"] for row in rows] == ["a", "c"]


def test_two_processes_do_not_write_together(tmp_path):
    first = opened(tmp_path)
    second = Manifest(tmp_path)
    second.read(OPTIONS)
    with pytest.raises(UserError, match="another process"):
        second.open()
    first.close({})
    second.open()
    second.close({})


@pytest.mark.parametrize("content", ["", "[]", '{"format": 2}'])
def test_a_manifest_that_is_none(tmp_path, content):
    (tmp_path / "manifest.json").write_text(content)
    with pytest.raises(UserError, match="manifest.json"):
        Manifest(tmp_path).read(OPTIONS)


def test_a_line_that_is_no_entry(tmp_path):
    opened(tmp_path).close({})
    (tmp_path / "manifest.jsonl").write_text('{"name": "a", "status": "done"}\n[]\n')
    with pytest.raises(UserError, match="line 2"):
        Manifest(tmp_path).read(OPTIONS)


def test_only_the_own_results_are_known(tmp_path):
    (tmp_path / "result.json").write_text('{"run": "x"}')
    assert made_by(tmp_path, "x") == {"run": "x"}
    assert made_by(tmp_path, "y") is None
    assert made_by(tmp_path / "none", "x") is None


def test_left_overs_of_a_killed_process_are_removed(tmp_path):
    (tmp_path / ".a.0123abcd.partial").mkdir()
    (tmp_path / ".a.0123abcd.partial" / "match.wav").write_text("half")
    (tmp_path / "kept.partial").mkdir()
    opened(tmp_path).close({})
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "kept.partial",
        "manifest.json",
        "manifest.jsonl",
    ]


def test_items_come_in_order_and_not_too_far_ahead():
    made = []

    def items():
        for i in range(6):
            made.append((i, threading.current_thread().name))
            yield i

    taken = []
    for item in ahead(items()):
        time.sleep(0.02)
        assert len(made) <= item + 3
        taken.append(item)
    assert taken == list(range(6))
    assert {name for _, name in made} == {"ahead"}


def test_an_error_arrives_in_its_turn():
    def items():
        yield 1
        raise ValueError("broken")

    got = ahead(items())
    assert next(got) == 1
    with pytest.raises(ValueError, match="broken"):
        next(got)


def test_waiting_may_be_ended():
    hold = threading.Event()

    def items():
        hold.wait(5)
        yield 1

    def stop():
        hold.set()
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        next(ahead(items(), waiting=stop))


def test_the_clock_tells_inside_from_outside():
    """Three groups of 10 s, of which 9, 8 and 7 s inside, on clocks begun long before; then 5 s outside."""
    wall, busy = [100.0], [40.0]
    clock = Clock(lambda: busy[0], lambda: wall[0])
    for targets, inside in ((2, 9.0), (3, 8.0), (4, 7.0)):
        wall[0], busy[0] = wall[0] + 10.0, busy[0] + inside
        clock.group_done(0.5, targets, 100 * targets)
    wall[0] += 5.0
    figures = clock.figures()
    steady = figures["after_first_groups"]
    assert (figures["targets"], steady["targets"]) == (9, 7)
    assert (figures["seconds"], steady["seconds"]) == (35.0, 20.0)
    assert steady["outside_share"] == pytest.approx(1 - 15 / 20)
    assert figures["outside_share"] == pytest.approx(1 - 24 / 35)
    assert steady["renders_per_s"] == pytest.approx(700 / 20)


def test_a_prior_is_of_the_posterior():
    check(parse_options(["a.wav", "--out", "o", "--posterior", "--prior", "bank"]))
    assert "did you mean 'bank'?; allowed are table, bank" in refused("--posterior", "--prior", "bnak")
    assert "--posterior, which is not asked for" in refused("--prior", "bank")
    records = [
        parse_options(["a.wav", "--out", "o", *more]).record()["prior"]
        for more in ((), ("--posterior",), ("--posterior", "--prior", "bank"))
    ]
    assert records == [None, "table", "bank"]


def test_keys_depend_on_seed_and_name_only():
    def data(seed, name):
        streams = streams_of(target_key(seed, name))
        return np.stack([jax.random.key_data(key) for key in streams])

    np.testing.assert_array_equal(data(0, "a"), data(0, "a"))
    assert (data(0, "a") != data(0, "b")).any()
    assert (data(0, "a") != data(1, "a")).any()
    # No two purposes share a key.
    assert len(np.unique(data(0, "a"), axis=0)) == len(data(0, "a"))


def test_switches_can_be_put_off():
    assert parse_options(["a.wav", "--out", "o"]).report
    assert not parse_options(["a.wav", "--out", "o", "--no-report"]).report


def test_the_start_is_the_methods_own_unless_given():
    def searched(*arguments):
        record = parse_options(["a.wav", "--out", "o", *arguments]).record()
        return record["method"], record["start"]

    assert searched()[0] == DEFAULT_METHOD
    assert searched("--method", "hybrid") == ("hybrid", DEFAULT_START)
    assert searched("--method", "hybrid", "--start", "cues") == ("hybrid", "cues")
