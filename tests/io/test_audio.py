"""Reading, mixing, resampling and writing audio; every refusal names the file and the cause."""

import numpy as np
import pytest
import soundfile

import ddsprl.io.audio
from ddsprl.io import UserError, expand_inputs, load_audio, write_wav

RATE = 16_000


def tone(hz, sample_rate, duration_s=0.5, amplitude=0.5):
    return amplitude * np.sin(2 * np.pi * hz * np.arange(round(duration_s * sample_rate)) / sample_rate)


def level_db(samples, hz, sample_rate):
    """Level of one partial, by projection on the middle of the clip, in dB of full-scale amplitude."""
    n = samples.size // 2 // 160 * 160
    middle = np.asarray(samples[(samples.size - n) // 2 :][:n], float) * np.hanning(n)
    phase = np.exp(-2j * np.pi * hz * np.arange(n) / sample_rate)
    return 20 * np.log10(2 * abs(np.sum(middle * phase)) / np.sum(np.hanning(n)))


@pytest.mark.parametrize(
    ("name", "subtype", "tolerance"),
    [
        ("a.wav", "PCM_16", 4e-5),
        ("a.wav", "PCM_24", 1e-6),
        ("a.wav", "FLOAT", 1e-7),
        ("a.wav", "DOUBLE", 1e-7),
        ("a.flac", "PCM_24", 1e-6),
        ("a.aiff", "PCM_16", 4e-5),
        ("a.au", "PCM_16", 4e-5),
        ("a.ogg", "VORBIS", 0.05),
    ],
)
def test_formats_round_trip(tmp_path, name, subtype, tolerance):
    samples = tone(440, RATE)
    soundfile.write(tmp_path / name, samples, RATE, subtype=subtype)
    clip = load_audio(tmp_path / name, sample_rate=RATE)
    assert clip.samples.dtype == np.float32
    assert clip.samples.shape == samples.shape
    assert np.max(np.abs(clip.samples - samples)) < tolerance


def test_extension_does_not_matter(tmp_path):
    soundfile.write(tmp_path / "a.wav", tone(440, RATE), RATE)
    (tmp_path / "a.wav").rename(tmp_path / "noextension")
    assert load_audio(tmp_path / "noextension", sample_rate=RATE).samples.size == RATE // 2


def test_channels_are_averaged_and_described(tmp_path):
    path = tmp_path / "a.wav"
    left, right = tone(440, 48_000, 0.25), tone(1000, 48_000, 0.25, 0.2)
    soundfile.write(path, np.stack([left, right], axis=1), 48_000, subtype="FLOAT")
    clip = load_audio(path, sample_rate=48_000)
    np.testing.assert_allclose(clip.samples, (left + right) / 2, atol=1e-7)
    assert (clip.path, clip.sample_rate, clip.source_rate, clip.channels) == (path, 48_000, 48_000, 2)
    assert clip.duration_s == 0.25


@pytest.mark.parametrize("source_rate", [8_000, 11_025, 22_050, 44_100, 48_000, 96_000])
def test_resampling_keeps_level_and_length(tmp_path, source_rate):
    soundfile.write(tmp_path / "a.wav", tone(1000, source_rate), source_rate, subtype="FLOAT")
    clip = load_audio(tmp_path / "a.wav", sample_rate=RATE)
    assert abs(clip.samples.size - RATE // 2) <= 1
    assert abs(level_db(clip.samples, 1000, RATE) - 20 * np.log10(0.5)) < 0.05
    assert clip.source_rate == source_rate


def test_resampling_does_not_alias(tmp_path):
    soundfile.write(tmp_path / "a.wav", tone(1000, 48_000) + tone(11_000, 48_000, amplitude=0.4), 48_000)
    samples = load_audio(tmp_path / "a.wav", sample_rate=RATE).samples
    assert level_db(samples, 5000, RATE) < -80


def bad_files(directory):
    """Path and expected words of the message, for everything that `load_audio` refuses."""
    good = tone(440, RATE)
    soundfile.write(directory / "zero.wav", np.zeros(0), RATE)
    soundfile.write(directory / "silent.wav", np.zeros(RATE), RATE)
    soundfile.write(directory / "offset.wav", np.full(RATE, 0.25), RATE)
    soundfile.write(directory / "quiet.wav", 5e-5 * good, RATE, subtype="FLOAT")
    soundfile.write(directory / "short.wav", good[: int(0.049 * RATE)], RATE)
    soundfile.write(directory / "cancel.wav", np.stack([good, -good], axis=1), RATE, subtype="FLOAT")
    soundfile.write(
        directory / "treble.wav", tone(20_000, 48_000) * np.hanning(24_000), 48_000, subtype="FLOAT"
    )
    for name, value in (("nan", np.nan), ("inf", -np.inf), ("huge", 1e200)):
        spoiled = good.copy()
        spoiled[100] = value
        soundfile.write(directory / f"{name}.wav", spoiled, RATE, subtype="DOUBLE")
    (directory / "empty.wav").touch()
    (directory / "text.wav").write_text("not a sound\n" * 100)
    (directory / "headerless.raw").write_bytes(bytes(1000))
    (directory / "folder.wav").mkdir()
    return {
        "silnt.wav": ["no such file", "did you mean 'silent.wav'"],
        "folder.wav": ["is a directory"],
        "empty.wav": ["empty", "0 bytes"],
        "text.wav": ["not audio"],
        "headerless.raw": ["not audio"],
        "zero.wav": ["0 frames"],
        "nan.wav": ["1 NaN or infinite samples of 8000"],
        "inf.wav": ["NaN or infinite"],
        "huge.wav": ["NaN or infinite"],
        "silent.wav": ["is silent", "-80 dBFS"],
        "offset.wav": ["is silent"],
        "quiet.wav": ["is silent"],
        "short.wav": ["49.0 ms", "at least 50 ms"],
        "cancel.wav": ["channels cancel"],
        "treble.wav": ["is silent", "below 8000 Hz"],
    }


def test_every_refusal_names_file_and_cause_and_writes_nothing(tmp_path):
    cases = bad_files(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    for name, words in cases.items():
        with pytest.raises(UserError) as caught:
            load_audio(tmp_path / name, sample_rate=RATE)
        message = str(caught.value)
        assert message.startswith(f"{tmp_path / name}: ")
        for word in words:
            assert word in message, (name, message)
        assert "\n" not in message
    assert sorted(tmp_path.rglob("*")) == before


def test_exactly_50_ms_is_enough(tmp_path):
    soundfile.write(tmp_path / "a.wav", tone(440, RATE, 0.05), RATE)
    assert load_audio(tmp_path / "a.wav", sample_rate=RATE).samples.size == 800


def test_unreadable_file_is_a_user_error(tmp_path, monkeypatch):
    soundfile.write(tmp_path / "a.wav", tone(440, RATE), RATE)

    def refuse(*args, **kwargs):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("builtins.open", refuse)
    with pytest.raises(UserError, match=r"a\.wav: cannot be read \(Permission denied\)"):
        load_audio(tmp_path / "a.wav", sample_rate=RATE)


@pytest.mark.parametrize(("encoding", "subtype", "bits"), [("float32", "FLOAT", 24), ("pcm24", "PCM_24", 23)])
def test_write_wav_round_trips(tmp_path, encoding, subtype, bits):
    samples = tone(440, RATE).astype(np.float32)
    write_wav(tmp_path / "a.wav", samples, RATE, encoding=encoding)
    info = soundfile.info(tmp_path / "a.wav")
    assert (info.format, info.subtype, info.samplerate, info.channels) == ("WAV", subtype, RATE, 1)
    read, _ = soundfile.read(tmp_path / "a.wav")
    assert np.max(np.abs(read - samples)) <= 2.0**-bits


def test_write_wav_beyond_full_scale(tmp_path):
    write_wav(tmp_path / "f.wav", np.array([1.5, -1.5]), RATE)
    write_wav(tmp_path / "i.wav", np.array([1.5, -1.5]), RATE, encoding="pcm24")
    np.testing.assert_array_equal(soundfile.read(tmp_path / "f.wav")[0], [1.5, -1.5])
    np.testing.assert_allclose(soundfile.read(tmp_path / "i.wav")[0], [1, -1], atol=1e-6)
    with pytest.raises(ValueError, match="one channel"):
        write_wav(tmp_path / "s.wav", np.zeros((2, 8)), RATE)


@pytest.mark.parametrize("failure", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_write_wav_failing_midway_keeps_the_old_file_and_leaves_no_other(tmp_path, monkeypatch, failure):
    path = tmp_path / "a.wav"
    write_wav(path, tone(440, RATE), RATE)
    before = path.read_bytes()

    def half_write(file, *args, **kwargs):
        file.write(b"RIFF half")
        raise failure

    monkeypatch.setattr(ddsprl.io.audio.soundfile, "write", half_write)
    with pytest.raises(UserError if isinstance(failure, OSError) else KeyboardInterrupt) as caught:
        write_wav(path, tone(220, RATE), RATE)
    if isinstance(failure, OSError):
        assert str(caught.value) == f"{path}: cannot be written (No space left on device)"
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_write_wav_where_there_is_no_directory(tmp_path):
    with pytest.raises(UserError, match=r"a\.wav: cannot be written \(No such file or directory\)"):
        write_wav(tmp_path / "none" / "a.wav", tone(440, RATE), RATE)
    assert list(tmp_path.iterdir()) == []


def test_expand_inputs_lists_one_level_sorted_in_the_order_given(tmp_path):
    folder = tmp_path / "folder"
    (folder / "deeper").mkdir(parents=True)
    for name in ("b.wav", "A.FLAC", "c.ogg", "notes.txt", "._b.wav", "deeper/d.wav"):
        (folder / name).touch()
    (tmp_path / "first.bin").touch()
    names = [path.name for path in expand_inputs([tmp_path / "first.bin", str(folder)])]
    assert names == ["first.bin", "A.FLAC", "b.wav", "c.ogg"]


def test_expand_inputs_refusals(tmp_path):
    (tmp_path / "kick.wav").touch()
    (tmp_path / "bare").mkdir()
    (tmp_path / "bare" / "notes.txt").touch()
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "Kick.flac").touch()
    with pytest.raises(UserError, match=r"kik\.wav: no such file.*did you mean 'kick\.wav'"):
        expand_inputs([tmp_path / "kik.wav"])
    with pytest.raises(UserError, match=r"bare: a directory without audio"):
        expand_inputs([tmp_path / "bare"])
    with pytest.raises(UserError, match="no input"):
        expand_inputs([])
    with pytest.raises(UserError) as caught:
        expand_inputs([tmp_path / "kick.wav", tmp_path / "other"])
    assert str(tmp_path / "kick.wav") in str(caught.value)
    assert str(tmp_path / "other" / "Kick.flac") in str(caught.value)
    with pytest.raises(UserError, match="both would write"):
        expand_inputs([tmp_path / "kick.wav", tmp_path / "kick.wav"])
