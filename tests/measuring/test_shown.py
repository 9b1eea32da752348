"""Keys, estimates and tables that measurements share."""

import enum
import zlib

import jax
import numpy as np
import pytest

from ddsprl.measuring.keys import stream
from ddsprl.measuring.machine import machine, place, record, record_text
from ddsprl.measuring.tables import Table, estimate, interval_text, titled
from ddsprl.metrics import median_interval, median_ratio_interval


class Purpose(enum.IntEnum):
    """Of keys."""

    SEARCH = 4


def test_a_key_is_folded_part_by_part():
    expected = jax.random.key(7)
    for part in (4, zlib.crc32(b"random-000"), 2):
        expected = jax.random.fold_in(expected, part)
    found = stream(7, Purpose.SEARCH, "random-000", 2)
    np.testing.assert_array_equal(jax.random.key_data(found), jax.random.key_data(expected))


def test_an_estimate_lies_within_its_interval():
    middle, low, high = estimate(median_interval, np.arange(9.0)) or (0, 1, 0)
    assert low <= middle == 4.0 <= high


def test_there_may_be_nothing_to_estimate():
    assert estimate(median_interval, np.zeros(0)) is None
    # A ratio to nothing is no number.
    assert estimate(median_ratio_interval, np.ones(3), np.zeros(3)) is None


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, ""), (1234.5, "1,234.50"), ([1.0, 0.5, 2.0], "1.00 [0.50, 2.00]")],
)
def test_numbers_as_text(value, text):
    assert interval_text(value, 2) == text


def test_a_table_is_aligned():
    table = Table("Two", ["name", "x"], [["a", "1.25"], ["longer", ""]])
    assert titled(table) == (
        "## Two\n\n| name   | x    |\n| ------ | ---- |\n| a      | 1.25 |\n| longer |      |"
    )


def test_the_place_of_a_measurement():
    found = record("abc")
    assert found["source"] == place("abc")["source"] == "abc"
    assert found["machine"]["cores"] >= 1 and found["machine"].keys() == machine().keys()
    assert set(place("abc")["versions"].items()) <= set(found["versions"].items())
    assert "backend cpu" in record_text(found) and "; python " in record_text(found)
