"""Progress on stderr: nothing when quiet, lines in a pipe, a bar on a terminal."""

import itertools
import math
import time

import pytest

from ddsprl.io import match_progress


def run(quiet):
    with match_progress(quiet) as progress:
        progress.update(0, 2, math.inf, "search")
        progress.update(1, 2, 2.0, "search")
        progress.update(2, 2, 1.5, "search")
        progress.update(1, 9, 1.25, "polish")


def test_quiet_says_nothing(capsys):
    run(quiet=True)
    captured = capsys.readouterr()
    assert captured.out == "" and captured.err == ""


def test_a_pipe_gets_a_line_when_a_phase_begins_and_ends(capsys):
    run(quiet=False)
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.splitlines() == [
        "search: 0/2, no loss yet",
        "search: 2/2, best loss 1.5000",
        "polish: 1/9, best loss 1.2500",
    ]


def test_a_pipe_gets_a_line_a_minute(capsys, monkeypatch):
    clock = itertools.count(100.0, 25.0)
    monkeypatch.setattr(time, "monotonic", lambda: next(clock))
    with match_progress(False) as progress:
        for step in range(8):
            progress.update(step, 8, 1.0, "search")
    steps = [line.split()[1] for line in capsys.readouterr().err.splitlines()]
    assert steps == ["0/8,", "3/8,", "6/8,"]


def test_a_terminal_gets_a_bar_on_stderr(capsys, monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "120")
    run(quiet=False)
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "polish" in captured.err and "best loss 1.2500" in captured.err


def test_the_display_is_closed_after_an_error(capsys, monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")
    with pytest.raises(KeyboardInterrupt), match_progress(False) as progress:
        progress.update(1, 2, 1.0, "search")
        raise KeyboardInterrupt
    assert capsys.readouterr().err.endswith("\x1b[2K")  # a transient bar clears its line
