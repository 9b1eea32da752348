"""JSON objects: errors name file and remedy, differences their place; leaves stay flat."""

import json
import math

import pytest

from ddsprl.io import UserError
from ddsprl.io.json_files import (
    as_stored,
    first_difference,
    read_object,
    rounded,
    rounded_tree,
    write_flat_leaves,
)


def test_an_object_is_read(tmp_path):
    path = tmp_path / "a.json"
    path.write_text('{"ü": [1, 2.5, null]}', encoding="utf-8")
    assert read_object(path, remedy="none") == {"ü": [1, 2.5, None]}


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"{", "cannot be read"),
        (b"", "cannot be read"),
        (b'{"a": "\xff"}', "cannot be read"),
        (b"[" * 100_000, "cannot be read"),
        (b"[]", "is not an object"),
        (b"3", "is not an object"),
        (None, "cannot be read"),
    ],
)
def test_what_is_none_is_named_with_its_remedy(tmp_path, content, said):
    path = tmp_path / "piece.json"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UserError, match=rf"piece\.json: {said}.*; turn it off and on$"):
        read_object(path, remedy="turn it off and on")


@pytest.mark.parametrize(
    ("earlier", "wanted", "expected"),
    [
        ({"a": 1, "b": [1, {"c": 2}]}, {"b": [1, {"c": 2}], "a": 1}, None),
        ({"a": {"b": {"c": 2}}}, {"a": {"b": {"c": 3}}}, ("a.b.c", "2", "3")),
        ({"a": [1, {"b": "x"}]}, {"a": [1, {"b": "y"}]}, ("a[1].b", '"x"', '"y"')),
        ({"a": [1]}, {"a": [1, 2]}, ("a", "[1]", "[1, 2]")),
        ({"a": 1}, {}, ("a", "1", "null")),
        ({}, {"a": 1}, ("a", "null", "1")),
        ([], {"a": 1}, ("", "[]", '{"a": 1}')),
        ({"a": "x" * 99}, {"a": 1}, ("a", '"' + "x" * 76 + "...", "1")),
    ],
)
def test_the_first_field_that_differs_is_named(earlier, wanted, expected):
    assert first_difference(earlier, wanted) == expected


def test_a_record_is_compared_as_a_file_holds_it():
    record = {"a": (1, 2), "b": {3: "x"}}
    assert first_difference(as_stored(record), json.loads(json.dumps(record))) is None
    assert as_stored(record) == {"a": [1, 2], "b": {"3": "x"}}


def test_rows_of_a_table_stand_on_one_line_each(tmp_path):
    held = {"rows": [{"a": 1, "b": {"c": [2]}}, {"a": 3}], "n": [1, 2]}
    write_flat_leaves(tmp_path / "a.json", held)
    text = (tmp_path / "a.json").read_text(encoding="utf-8")
    assert json.loads(text) == held
    assert text.splitlines()[2:] == [
        '  "rows": [',
        '    {"a": 1, "b": {"c": [2]}},',
        '    {"a": 3}',
        "  ]",
        "}",
    ]


def test_numbers_of_a_tree_are_rounded_and_counts_are_not():
    tree = {"a": [1.23456789, 123456789, math.nan], "b": {"c": 1e-9 / 3, "d": "x"}}
    found = rounded_tree(tree, 3)
    assert found["a"][:2] == [1.23, 123456789] and math.isnan(found["a"][2])
    assert found["b"] == {"c": 3.33e-10, "d": "x"}


def test_what_holds_no_further_object_stands_on_one_line(tmp_path):
    held = {"b": {"y": {"v": [1, 2.5], "u": []}, "x": {}}, "a": [1, 2], "ü": "text"}
    write_flat_leaves(tmp_path / "a.json", held)
    text = (tmp_path / "a.json").read_text(encoding="utf-8")
    assert json.loads(text) == held
    assert text.splitlines() == [
        "{",
        '  "a": [1, 2],',
        '  "b": {',
        '    "x": {},',
        '    "y": {"u": [], "v": [1, 2.5]}',
        "  },",
        '  "ü": "text"',
        "}",
    ]


def test_nothing_is_left_of_what_cannot_be_written(tmp_path):
    with pytest.raises(ValueError, match="JSON"):
        write_flat_leaves(tmp_path / "a.json", {"a": {"b": float("nan")}})
    with pytest.raises(UserError, match="cannot be written"):
        write_flat_leaves(tmp_path / "none" / "a.json", {})
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("value", "digits", "expected"),
    [(3.141592653, 5, "3.1416"), (0.000123456, 3, "0.000123"), (128.0, 12, "128"), (123456.0, 5, "123460")],
)
def test_numbers_are_rounded_to_digits_that_count(value, digits, expected):
    assert json.dumps(rounded(value, digits)) == expected
