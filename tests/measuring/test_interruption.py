"""The first signal and the second: at once, remembered, and after what must be whole."""

import signal
import sys

import pytest

from ddsprl.measuring.interruption import Interruption

SIGNALS = pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])


@SIGNALS
def test_who_remembers_nothing_leaves_at_once(number, left, capfd):
    before = signal.getsignal(number)
    with Interruption(lambda: "asked then") as interruption:
        with pytest.raises(left, match=str(128 + number)):
            signal.raise_signal(number)
        assert capfd.readouterr().err == "asked then\n"
        assert interruption.code == 128 + number
    assert signal.getsignal(number) is before


@SIGNALS
def test_the_first_one_is_remembered_and_the_second_leaves(number, left, capfd):
    with Interruption("stopped", remembers=True) as interruption:
        interruption.check()
        signal.raise_signal(number)
        assert interruption.code == 128 + number
        with pytest.raises(KeyboardInterrupt):
            interruption.check()
        assert capfd.readouterr().err == ""
        with pytest.raises(left, match=str(128 + number)):
            signal.raise_signal(number)
        assert capfd.readouterr().err == "stopped\n"


@SIGNALS
def test_it_is_remembered_once_something_can_be_saved(number, left, capfd):
    with Interruption("nothing to save") as interruption:
        interruption.remember("not saved")
        signal.raise_signal(number)
        assert interruption.code == 128 + number
        with pytest.raises(left, match=str(128 + number)):
            signal.raise_signal(number)
        assert capfd.readouterr().err == "not saved\n"


def test_what_must_be_whole_is_finished(left):
    done = []
    with Interruption() as interruption, pytest.raises(left, match="143"):
        with interruption.whole():
            signal.raise_signal(signal.SIGTERM)
            signal.raise_signal(signal.SIGTERM)
            done.append("written")
        done.append("never")
    assert done == ["written"]


def test_who_remembers_goes_on_after_it(left):
    with Interruption(remembers=True) as interruption:
        with interruption.whole():
            signal.raise_signal(signal.SIGINT)
        assert interruption.code == 130


def test_an_error_within_is_not_hidden(left):
    with Interruption() as interruption, pytest.raises(ZeroDivisionError), interruption.whole():
        raise ZeroDivisionError


def test_the_cursor_is_shown_again_on_a_terminal(left, capfd, monkeypatch):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    with Interruption("stopped"), pytest.raises(left):
        signal.raise_signal(signal.SIGINT)
    assert capfd.readouterr().err == "\r\x1b[K\x1b[?25hstopped\n"
