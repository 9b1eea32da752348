"""Progress on stderr: nothing when quiet, lines in a pipe, a bar on a terminal."""

import itertools
import time

import pytest

from ddsprl.io import progress_display


def run(quiet):
    with progress_display(quiet=quiet) as display:
        display.say("two phases")
        display.update(0, 2, "no loss yet", "search")
        display.update(1, 2, "best loss 2.0", "search")
        display.update(2, 2, "best loss 1.5", "search")
        display.update(1, 9, "best loss 1.25", "polish")


def test_quiet_says_nothing(capsys):
    run(quiet=True)
    captured = capsys.readouterr()
    assert captured.out == "" and captured.err == ""


def test_a_pipe_gets_a_line_when_a_phase_begins_and_ends(capsys):
    run(quiet=False)
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.splitlines() == [
        "two phases",
        "search: 0/2, no loss yet",
        "search: 2/2, best loss 1.5",
        "polish: 1/9, best loss 1.25",
    ]


@pytest.mark.parametrize(("every_s", "lines"), [(60.0, [0, 3, 6]), (30.0, [0, 2, 4, 6])])
def test_a_pipe_gets_a_line_now_and_then(capsys, monkeypatch, every_s, lines):
    clock = itertools.count(100.0, 25.0)
    monkeypatch.setattr(time, "monotonic", lambda: next(clock))
    with progress_display(quiet=False, every_s=every_s) as display:
        for step in range(8):
            display.update(step, 8, "", "search")
    steps = [line.split()[1] for line in capsys.readouterr().err.splitlines()]
    assert steps == [f"{step}/8," for step in lines]


def test_a_terminal_gets_a_bar_on_stderr(capsys, monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "120")
    run(quiet=False)
    captured = capsys.readouterr()
    assert captured.out == ""
    assert all(text in captured.err for text in ("two phases", "polish", "1/9", "best loss 1.25"))


def test_the_display_is_closed_after_an_error(capsys, monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")
    with pytest.raises(KeyboardInterrupt), progress_display(quiet=False) as display:
        display.update(1, 2, "", "search")
        raise KeyboardInterrupt
    assert capsys.readouterr().err.endswith("\x1b[2K")  # a transient bar clears its line
