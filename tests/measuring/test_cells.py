"""Pieces on disk, the two files of each whole, and work that goes on with what is missing."""

import math
import signal

import numpy as np
import pytest

from ddsprl.io import UserError
from ddsprl.measuring.cells import Cells
from ddsprl.measuring.interruption import Interruption
from ddsprl.measuring.work import Work


def test_the_field_that_differs_is_named(tmp_path):
    a, b = ({"seeds": 1, "methods": [{"label": "x", "settings": {"members": n}}]} for n in (2, 3))
    Cells(tmp_path / "out", "comparison").claim(a)
    Cells(tmp_path / "out", "comparison").claim(a)
    with pytest.raises(UserError, match=r"methods\[0\]\.settings\.members 2, asked for is 3; "):
        Cells(tmp_path / "out", "comparison").claim(b)


def test_work_of_an_earlier_version_is_refused_as_that(tmp_path):
    Cells(tmp_path / "out", "comparison").claim({"seeds": 1})
    with pytest.raises(UserError, match=r"has no instrument: the comparison is of an earlier version"):
        Cells(tmp_path / "out", "comparison").claim({"seeds": 2, "instrument": "sine"})


def test_a_directory_of_something_else_is_left_alone(tmp_path):
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(UserError, match="holds no comparison"):
        Cells(tmp_path, "comparison").claim({"seeds": 1})
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_a_damaged_piece_is_named(tmp_path):
    cells = Cells(tmp_path / "out", "comparison")
    cells.claim({})
    (tmp_path / "out" / "cells" / "piece.json").write_text("{")
    with pytest.raises(UserError, match=r"piece\.json.*remove it"):
        cells.read("piece")


def test_a_piece_comes_back(tmp_path):
    cells = Cells(tmp_path / "out", "evaluation")
    cells.claim({"seed": 1})
    assert (tmp_path / "out" / "evaluation.json").is_file()
    assert not cells.has("piece")
    cells.write("piece", {"loss": 1.5}, {"u": np.arange(3.0)})
    assert cells.has("piece") and cells.read("piece") == {"loss": 1.5}
    np.testing.assert_array_equal(cells.arrays("piece")["u"], [0, 1, 2])


def test_a_signal_does_not_come_between_the_files_of_a_piece(tmp_path, left, monkeypatch):
    with Interruption("gone") as interruption:
        cells = Cells(tmp_path, "evaluation", interruption)
        savez = np.savez_compressed

        def interrupted(*arguments, **arrays):
            signal.raise_signal(signal.SIGINT)
            savez(*arguments, **arrays)

        monkeypatch.setattr(np, "savez_compressed", interrupted)
        with pytest.raises(left, match="130"):
            cells.write("piece", {"loss": 1.5}, {"u": np.arange(3.0)})
    assert cells.has("piece") and len(cells.arrays("piece")["u"]) == 3


def test_only_what_is_missing_is_done(tmp_path, capsys):
    made = []
    with Work(tmp_path, "evaluation", quiet=False) as work:
        work.cells.claim({})

        def make(name):
            made.append(name)
            work.cells.write(name, {})
            return 2.5

        jobs = [(name, lambda name=name: make(name)) for name in "abc"]
        work.do(jobs[:2], "measuring")
        work.do(jobs, "measuring")
    assert made == ["a", "b", "c"]
    shown = capsys.readouterr().err.splitlines()
    assert shown[0] == "measuring: 0/2, no loss yet"
    assert shown[-1] == "measuring: 3/3, best loss 2.5000"


def test_whoever_interrupts_is_told_how_much_is_done(tmp_path, left, capfd):
    with Work(tmp_path, "evaluation", quiet=True) as work:
        work.cells.claim({})
        with pytest.raises(left):
            signal.raise_signal(signal.SIGINT)
        assert capfd.readouterr().err == "interrupted: at the start; the same command goes on\n"

        def make():
            signal.raise_signal(signal.SIGINT)
            return math.nan

        with pytest.raises(left):
            work.do([("a", lambda: math.nan), ("b", make), ("c", make)], "measuring")
        said = capfd.readouterr().err
    assert said == f"interrupted: 1 of 3 pieces are in {tmp_path}; the same command goes on\n"
