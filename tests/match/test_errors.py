"""Every mistake of a user is one line on stderr and exit code 2, and nothing is written."""

from pathlib import Path

import jax
import numpy as np
import pytest
import soundfile

from ddsprl import match

RATE = 16_000
TONE = 0.3 * np.sin(2 * np.pi * 440 * np.arange(RATE // 2) / RATE)


@pytest.fixture(autouse=True)
def restore_settings():
    names = ("jax_compilation_cache_dir", "jax_persistent_cache_min_compile_time_secs")
    before = {name: getattr(jax.config, name) for name in names}
    yield
    for name, value in before.items():
        jax.config.update(name, value)


@pytest.fixture
def tone(tmp_path) -> Path:
    return wav(tmp_path / "tone.wav", TONE)


def wav(path: Path, samples, rate: int = RATE) -> Path:
    soundfile.write(path, samples, rate, subtype="FLOAT")
    return path


def refused(capsys, tmp_path, *arguments, out=None) -> str:
    """Runs the entry point; returns its only line after checking that nothing has changed."""
    before = sorted(tmp_path.rglob("*"))
    out = tmp_path / "out" if out is None else out
    code = match.main([*map(str, arguments), *(["--out", str(out)] if out else [])])
    shown = capsys.readouterr()
    assert code == 2
    assert shown.out == ""
    assert len(shown.err.splitlines()) == 1, shown.err
    assert shown.err.startswith("error: ")
    assert sorted(tmp_path.rglob("*")) == before
    return shown.err


BAD_FILES = {
    "missing": (None, "no such file"),
    "empty": (b"", "is an empty file"),
    "text": (b"this is not audio\n" * 20, "is not audio"),
    "silent": (np.zeros(8000), "is silent"),
    "offset": (np.full(8000, 0.5), "is silent"),
    "nan": (np.where(np.arange(8000) == 77, np.nan, TONE), "NaN or infinite"),
    "infinite": (np.where(np.arange(8000) == 77, np.inf, TONE), "NaN or infinite"),
    "short": (TONE[:700], "lasts 43.8 ms; at least 50 ms"),
}


@pytest.mark.parametrize("name", BAD_FILES)
def test_a_bad_recording(capsys, tmp_path, tone, name):
    content, message = BAD_FILES[name]
    path = tmp_path / f"{name}.wav"
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content is not None:
        wav(path, content)
    # One bad target among good ones is noticed before any work.
    line = refused(capsys, tmp_path, tone, path)
    assert message in line
    assert str(path) in line


def test_a_directory_without_audio(capsys, tmp_path):
    (tmp_path / "none").mkdir()
    assert "without audio files" in refused(capsys, tmp_path, tmp_path / "none")


def test_no_target(capsys, tmp_path):
    assert "no target" in refused(capsys, tmp_path)


def test_a_misspelt_file_names_the_nearest(capsys, tmp_path, tone):
    assert "did you mean 'tone.wav'?" in refused(capsys, tmp_path, tmp_path / "tome.wav")


def test_two_targets_of_one_name(capsys, tmp_path, tone):
    (tmp_path / "more").mkdir()
    other = wav(tmp_path / "more" / "tone.wav", TONE)
    assert "'tone'" in refused(capsys, tmp_path, tone, other)


@pytest.mark.parametrize("name", ["a\nb.wav", "a\udcff.wav"])
def test_a_name_that_no_preset_can_have(capsys, tmp_path, name):
    line = refused(capsys, tmp_path, wav(tmp_path / "fine.wav", TONE).rename(tmp_path / name))
    assert "rename it" in line


def test_a_file_where_the_output_should_go(capsys, tmp_path, tone):
    assert "not a directory" in refused(capsys, tmp_path, tone, out=tone)
    assert tone.read_bytes()[:4] == b"RIFF"


@pytest.mark.parametrize("occupied_by", ["file", "directory"])
def test_an_existing_result(capsys, tmp_path, tone, occupied_by):
    place = tmp_path / "out" / "tone"
    place.parent.mkdir()
    if occupied_by == "file":
        place.write_text("precious")
    else:
        place.mkdir()
        (place / "precious.txt").write_text("precious")
    assert "exists already" in refused(capsys, tmp_path, tone)


@pytest.mark.parametrize(
    ("lock", "message"),
    [
        ("filter_cutof=800", "did you mean 'filter_cutoff'?"),
        ("filter_cutoff=7", "filter_cutoff is 7, allowed are 30 to 20000 Hz"),
        ("filter_cutoff=nan", "filter_cutoff is nan, allowed are 30 to 20000 Hz"),
        ("filter_cutoff=inf", "allowed are 30 to 20000 Hz"),
        ("filter_cutoff=loud", "'loud' is not a number"),
        ("filter_cutoff=", "'' is not a number"),
        ("filter_cutoff", "expected name=value"),
        ("=800", "no knob ''"),
        ("osc1_unison=2.5", "only whole numbers"),
    ],
)
def test_a_bad_lock(capsys, tmp_path, tone, lock, message):
    line = refused(capsys, tmp_path, tone, "--lock", "lfo_rate=1", "--lock", lock)
    assert message in line
    assert f"--lock {lock}" in line


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("--midi", "128", "allowed are 0 to 127"),
        ("--midi", "-1", "--midi"),
        ("--midi", "nan", "allowed are 0 to 127"),
        ("--midi", "C4", "C4"),
        ("--gate", "0", "allowed are over 0, up to 10 seconds"),
        ("--gate", "11", "up to 10"),
        ("--gate", "nan", "--gate is nan"),
        ("--sample-rate", "7999", "allowed are 8000 to 96000"),
        ("--sample-rate", "44100.5", "44100.5"),
        ("--budget", "0", "at least 1"),
        ("--budget", "-5", "--budget"),
        ("--budget", "many", "many"),
        ("--seed", "-1", "--seed is -1, allowed are 0 to 4294967295"),
        ("--seed", str(10**30), "--seed"),
        ("--max-seconds", "0.1", "allowed are 0.25 to 10"),
        ("--max-seconds", "11", "allowed are 0.25 to 10"),
    ],
)
def test_a_bad_option_value(capsys, tmp_path, tone, option, value, message):
    line = refused(capsys, tmp_path, tone, option, value)
    assert message in line
    assert option in line


@pytest.mark.parametrize(
    ("option", "nearest"),
    [("--sed", "--seed"), ("--buget=4", "--budget"), ("--samplerate", "--sample-rate"), ("--lokc", "--lock")],
)
def test_a_misspelt_option_names_the_nearest(capsys, tmp_path, tone, option, nearest):
    assert f"did you mean '{nearest}'?" in refused(capsys, tmp_path, tone, option, "3")


def test_an_option_like_no_other_lists_all(capsys, tmp_path, tone):
    line = refused(capsys, tmp_path, tone, "--xyzzy")
    assert "--lock" in line
    assert "--sample-rate" in line


def test_a_missing_output(capsys, tmp_path, tone):
    assert "--out" in refused(capsys, tmp_path, tone, out="")


def test_a_missing_value(capsys, tmp_path, tone):
    assert "--midi" in refused(capsys, tmp_path, tone, "--out", tmp_path / "out", "--midi", out="")


@pytest.mark.parametrize("option", ["--sample_rate", "--max_seconds"])
def test_underscores_do_as_well(tmp_path, option):
    options = match.parse_options(["a.wav", "--out", str(tmp_path), option, "9000"])
    assert 9000 in (options.sample_rate, options.max_seconds)


def test_locks_add_up():
    options = match.parse_options(["x.wav", "y.wav", "--lock", "a=1", "--lock", "b=2", "-o", "out"])
    assert options.lock == ("a=1", "b=2")
    assert [path.name for path in options.targets] == ["x.wav", "y.wav"]


def test_help_shows_all_options(capsys):
    with pytest.raises(SystemExit) as stop:
        match.main(["--help"])
    shown = capsys.readouterr()
    assert stop.value.code == 0
    names = "--out --seed --budget --lock --midi --gate --sample-rate --max-seconds --quiet"
    assert all(name in shown.out for name in names.split())
    assert shown.err == ""
