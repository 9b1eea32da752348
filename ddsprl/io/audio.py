"""Recordings in, WAV files out.

`expand_inputs` turns what stands on a command line into a list of files, `load_audio` turns one file into
a mono `Clip` at the wanted rate, or says in one line why that cannot be done, and `write_wav` writes a clip
whole or not at all. Reading is by libsndfile (through `soundfile`), resampling by `soxr`.
"""

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import soundfile
import soxr

from ddsprl.io.errors import UserError, did_you_mean
from ddsprl.io.output import replacing

AUDIO_EXTENSIONS = frozenset(
    (".wav", ".wave", ".rf64", ".w64", ".aif", ".aiff", ".aifc", ".au", ".snd", ".caf")
    + (".flac", ".ogg", ".oga", ".opus", ".mp3")
)
MIN_DURATION_S = 0.05
SILENCE_DBFS = -80.0


@dataclass(frozen=True)
class Clip:
    """A recording, mono and at the rate that was asked for.

    Attributes:
        samples: float32 [n], the mean of the channels.
        sample_rate: of `samples`, in Hz.
        path: the file it came from.
        source_rate: the file's own rate, in Hz.
        channels: the file's number of channels.
        duration_s: the file's own length, in seconds.
    """

    samples: np.ndarray
    sample_rate: int
    path: Path
    source_rate: int
    channels: int
    duration_s: float


def load_audio(path: str | os.PathLike[str], *, sample_rate: int) -> Clip:
    """Reads an audio file as mono samples at a given rate.

    Args:
        path: any file that libsndfile reads.
        sample_rate: the wanted rate, in Hz.

    Returns:
        The clip.

    Raises:
        UserError: the file is missing, a directory, empty, not audio, shorter than 50 ms, holds NaN or
            infinite samples, or is silent (no movement above -80 dBFS).
    """
    path = Path(path)
    _check_file(path)
    frames, source_rate = _read_frames(path)
    n, channels = frames.shape
    duration_s = n / source_rate
    if n == 0:
        raise UserError(f"{path}: holds no audio (0 frames)")
    # Checked as float32, which is what leaves here: 64-bit samples beyond its range are just as unusable.
    with np.errstate(over="ignore"):
        bad = int(np.sum(~np.isfinite(frames.astype(np.float32))))
    if bad:
        raise UserError(f"{path}: holds {bad} NaN or infinite samples of {frames.size}; all must be finite")
    if duration_s < MIN_DURATION_S:
        raise UserError(
            f"{path}: lasts {1000 * duration_s:.1f} ms; at least {1000 * MIN_DURATION_S:.0f} ms are needed"
        )
    mono = frames.mean(axis=1)
    _check_sounds(path, frames, mono, f"in all {channels} channels" if channels > 1 else "throughout")
    if source_rate != sample_rate:
        mono = soxr.resample(mono, source_rate, sample_rate, quality="VHQ")
        _check_sounds(path, mono, mono, f"below {sample_rate / 2:.0f} Hz, the most that the rate carries")
    return Clip(
        samples=np.ascontiguousarray(mono, np.float32),
        sample_rate=sample_rate,
        path=path,
        source_rate=source_rate,
        channels=channels,
        duration_s=duration_s,
    )


def write_wav(
    path: str | os.PathLike[str],
    samples: np.ndarray,
    sample_rate: int,
    *,
    encoding: Literal["float32", "pcm24"] = "float32",
) -> None:
    """Writes mono samples as a WAV file, whole or not at all.

    Args:
        path: the file; replaced if it exists.
        samples: [n], full scale is 1; beyond full scale `float32` keeps the value and `pcm24` clips.
        sample_rate: in Hz.
        encoding: 32-bit float or 24-bit PCM.

    Raises:
        UserError: the file cannot be written.
    """
    samples = np.asarray(samples)
    if samples.ndim != 1:
        raise ValueError(f"samples have shape {samples.shape}; one channel, [n], is written")
    subtype = {"float32": "FLOAT", "pcm24": "PCM_24"}[encoding]
    # libsndfile is handed an open file, so that a path it cannot open is reported by the system's own reason.
    with replacing(path) as temporary, open(temporary, "wb") as file:
        soundfile.write(file, samples, sample_rate, format="WAV", subtype=subtype)


def expand_inputs(paths: Iterable[str | os.PathLike[str]]) -> list[Path]:
    """Lists the audio files meant by a mixture of files and directories.

    A file is taken whatever its extension; a directory stands for the files in it (one level, hidden ones
    left out) with a known audio extension, sorted by name.

    Args:
        paths: files and directories, in the user's order.

    Returns:
        The files, in that order.

    Raises:
        UserError: nothing is given, a path does not exist, a directory holds no audio, or two files have
            the same stem and so would write to the same result directory.
    """
    files: list[Path] = []
    for path in map(Path, paths):
        if path.is_dir():
            files.extend(_audio_files(path))
        elif path.exists():
            files.append(path)
        else:
            raise UserError(_missing(path))
    if not files:
        raise UserError("no input: give at least one audio file or a directory of them")
    by_stem: dict[str, Path] = {}
    for file in files:
        # Folded, because some file systems do not tell `Kick` from `kick`.
        other = by_stem.setdefault(file.stem.casefold(), file)
        if other is not file:
            raise UserError(
                f"{other} and {file}: both would write to a result directory named {file.stem!r}; "
                "rename one or leave it out"
            )
    return files


def _audio_files(directory: Path) -> list[Path]:
    try:
        entries = sorted(directory.iterdir())
    except OSError as error:
        raise UserError(f"{directory}: cannot be listed ({error.strerror})") from error
    files = [
        entry
        for entry in entries
        if entry.suffix.lower() in AUDIO_EXTENSIONS and not entry.name.startswith(".") and entry.is_file()
    ]
    if not files:
        known = " ".join(sorted(AUDIO_EXTENSIONS))
        raise UserError(f"{directory}: a directory without audio files (looked for {known}, one level deep)")
    return files


def _missing(path: Path) -> str:
    try:
        entries = path.parent.iterdir()
        names = [
            entry.name for entry in entries if entry.is_dir() or entry.suffix.lower() in AUDIO_EXTENSIONS
        ]
    except OSError:
        names = []
    return f"{path}: no such file or directory{did_you_mean(path.name, names)}"


def _check_file(path: Path) -> None:
    if path.is_dir():
        raise UserError(f"{path}: is a directory; an audio file is needed")
    if not path.exists():
        raise UserError(_missing(path))
    if not path.is_file():
        raise UserError(f"{path}: is not a regular file")
    if path.stat().st_size == 0:
        raise UserError(f"{path}: is an empty file (0 bytes)")


def _read_frames(path: Path) -> tuple[np.ndarray, int]:
    """Returns float64 [frames, channels] and the file's rate."""
    try:
        with open(path, "rb") as file:
            # A TypeError is soundfile's way of saying that headerless `.raw` data needs a rate.
            return soundfile.read(file, dtype="float64", always_2d=True)
    except (soundfile.SoundFileError, TypeError, ValueError) as error:
        reason = getattr(error, "error_string", "") or "no known format"
        raise UserError(f"{path}: is not audio that libsndfile can read ({reason.rstrip('. ')})") from error
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror or error})") from error


def _check_sounds(path: Path, frames: np.ndarray, mono: np.ndarray, where: str) -> None:
    """Raises a UserError if nothing moves by more than the threshold; a constant offset is silence."""
    limit = 10.0 ** (SILENCE_DBFS / 20.0)
    if np.max(np.abs(mono - mono.mean())) >= limit:
        return
    if np.max(np.abs(frames - frames.mean(axis=0))) >= limit:
        raise UserError(f"{path}: its channels cancel when mixed to mono (below {SILENCE_DBFS:.0f} dBFS)")
    raise UserError(f"{path}: is silent (below {SILENCE_DBFS:.0f} dBFS {where})")
