"""Errors for the user: nearest names, one line on stderr, exit codes."""

import pytest

from ddsprl.io import UserError, nearest, run_cli
from ddsprl.io.errors import did_you_mean

KNOBS = ["filter_cutoff", "filter_resonance", "lfo_rate"]


def test_nearest_finds_a_misspelt_name_and_nothing_for_nonsense():
    assert nearest("filter_cutof", KNOBS) == "filter_cutoff"
    assert nearest("LFO_Rate", KNOBS) == "lfo_rate"
    assert nearest("xyzzy", KNOBS) is None
    assert nearest("anything", []) is None


def test_did_you_mean_is_empty_without_a_close_name():
    assert did_you_mean("lfo_rat", KNOBS) == "; did you mean 'lfo_rate'?"
    assert did_you_mean("xyzzy", KNOBS) == ""


@pytest.mark.parametrize(("returned", "code"), [(None, 0), (0, 0), (3, 3)])
def test_run_cli_passes_the_code_on(returned, code):
    assert run_cli(lambda: returned) == code


def test_run_cli_prints_one_line_for_a_user_error(capsys):
    def main():
        raise UserError("a\nb.wav: is silent")

    assert run_cli(main) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err == "error: a b.wav: is silent\n"


def test_run_cli_reports_ctrl_c_and_lets_defects_through(capsys):
    def interrupted():
        raise KeyboardInterrupt

    def broken():
        raise ZeroDivisionError

    assert run_cli(interrupted) == 130
    assert "Traceback" not in capsys.readouterr().err
    with pytest.raises(ZeroDivisionError):
        run_cli(broken)
