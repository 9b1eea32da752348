"""Progress of training on stderr: nothing when quiet, lines in a pipe, a bar on a terminal."""

import math

from ddsprl.training.progress import Status, train_progress

BEGUN = Status(0, 100, math.nan, math.nan, 1, 0.0)
LATER = Status(100, 100, 1.2345, 0.25, 3, 318.4)


def run(quiet: bool) -> None:
    with train_progress(quiet=quiet) as display:
        display.say("demonstrations of stage 1")
        display.update(BEGUN)
        display.update(LATER)


def test_what_is_not_known_yet_is_said_in_words():
    assert BEGUN.text == "no episode ended yet, stage 1, 0 steps/s"
    assert LATER.text == "loss 1.234, solved 25%, stage 3, 318 steps/s"


def test_quiet_says_nothing(capsys):
    run(quiet=True)
    captured = capsys.readouterr()
    assert captured.out == captured.err == ""


def test_a_pipe_gets_lines(capsys):
    run(quiet=False)
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.splitlines() == [
        "demonstrations of stage 1",
        f"0/100: {BEGUN.text}",
        f"100/100: {LATER.text}",
    ]


def test_a_terminal_gets_a_bar(capsys, monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "160")
    run(quiet=False)
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "demonstrations of stage 1" in captured.err
    assert "100/100" in captured.err and "318 steps/s" in captured.err
