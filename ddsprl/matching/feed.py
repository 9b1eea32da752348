"""Files in, groups of targets ready to be searched for out: what is done ahead, in a thread of its own."""

import hashlib
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from ddsprl.compile_cache import user_cache_dir
from ddsprl.fitting.core.programs import group_size
from ddsprl.fitting.core.streams import streams_of
from ddsprl.fitting.inversion.groups import prepare_group
from ddsprl.fitting.inversion.inverter import InversionConfig, Inverter, make_problem
from ddsprl.fitting.inversion.methods import Method
from ddsprl.fitting.inversion.recording import Recording, choose_pitch, ready
from ddsprl.fitting.inversion.records import Knobs, Sounds, TargetGroup
from ddsprl.fitting.starts.library import Library, LibraryConfig, Page
from ddsprl.io import Clip, UserError, load_audio
from ddsprl.matching.manifest import DONE, Manifest
from ddsprl.matching.options import MatchOptions
from synth_jax import Note
from synth_jax.presets import shipped_positions

# Pages of the library kept in memory, of 5 MB; there may be hundreds, and all are in the cache folder.
PAGES = 16


class Bad(NamedTuple):
    """A file that cannot be matched.

    Attributes:
        path: of the file.
        content: its size and hash, as far as it could be read.
        reason: why, one line.
    """

    path: Path
    content: dict[str, Any]
    reason: str


class Item(NamedTuple):
    """A recording, and the content of its file."""

    recording: Recording
    content: dict[str, Any]


class Group(NamedTuple):
    """Targets of one length, ready to be searched for.

    Attributes:
        duration_s: of all of them.
        inverter: of this length.
        items: the recordings.
        targets: made ready for the search.
    """

    duration_s: float
    inverter: Inverter
    items: list[Item]
    targets: TargetGroup


class KeptPages(Library):
    """A library that keeps only the pages used last, so that its memory does not grow with the targets."""

    def page(self, midi: float, gate_s: float) -> Page:
        """The page nearest to a note."""
        found = super().page(midi, gate_s)
        place = (found.midi, found.gate_s)
        self._pages[place] = self._pages.pop(place)
        while len(self._pages) > PAGES:
            del self._pages[next(iter(self._pages))]
        return found


@dataclass
class Feed:
    """Turns files into groups; everything here runs in one thread.

    Attributes:
        options: of the run.
        method: how presets will be searched for.
        free: 1 for knobs that may move, `[d]`.
        locked: values of the others, `[d]`.
        manifest: of the run; None for a single target.
        clips: files that were read before; each is taken out when its turn has come.
    """

    options: MatchOptions
    method: Method
    free: np.ndarray
    locked: np.ndarray
    manifest: Manifest | None = None
    clips: dict[Path, Clip] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Nothing is read yet."""
        self._inverters: dict[float, Inverter] = {}
        self._bank: np.ndarray | None = None

    def groups(self, files: Sequence[Path]) -> Iterator[Group | Bad]:
        """Groups as they fill up, each of one length, then what remains; bad files as they are met."""
        waiting: dict[float, list[Item]] = {}
        for file in files:
            content: dict[str, Any] = {"file": file.name, "bytes": None, "sha256": None}
            try:
                content |= fingerprint(file)
                item = self._item(file, content)
            except UserError as error:
                yield Bad(file, content, " ".join(str(error).split()))
                continue
            if item is None:
                continue
            group = waiting.setdefault(item.recording.duration_s, [])
            group.append(item)
            if len(group) == group_size():
                yield self._group(waiting.pop(item.recording.duration_s))
        for _, group in sorted(waiting.items()):
            yield self._group(group)

    def _item(self, file: Path, content: dict[str, Any]) -> Item | None:
        """A file made ready; None if it was finished before."""
        options, result = self.options, self.options.out / file.stem
        check_name(file)
        entry = self.manifest.entries.get(file.stem, {}) if self.manifest else {}
        if entry.get("status") == DONE and result.exists():
            if entry.get("sha256") == content["sha256"]:
                return None
            raise UserError(f"{file}: has changed since {result} was made; remove that to have it made again")
        clip = self.clips.pop(file, None) or load_audio(file, sample_rate=options.sample_rate)
        made = ready(clip, midi=options.midi, gate_s=options.gate, max_s=options.max_seconds)
        return Item(made, content)

    def _group(self, items: list[Item]) -> Group:
        recordings = [item.recording for item in items]
        duration_s = recordings[0].duration_s
        inverter = self._inverter(duration_s)
        # A target's keys depend on its name only, not on what else is matched, or with what together.
        roots = jnp.stack([target_key(self.options.seed, r.clip.path.stem) for r in recordings])
        streams = jax.vmap(streams_of)(roots)
        midi = [choose_pitch(r, inverter, streams.pitch[i]) for i, r in enumerate(recordings)]
        gate_s = np.array([r.gate_s for r in recordings], np.float32)
        sounds = Sounds(
            np.stack([r.audio for r in recordings]),
            Note(np.array(midi, np.float32), gate_s, np.ones_like(gate_s)),
            np.stack([r.window for r in recordings]),
            streams,
        )
        knobs = Knobs(self.free, self.locked, self.shipped(inverter))
        return Group(duration_s, inverter, items, prepare_group(inverter, self.method, sounds, knobs))

    def _inverter(self, duration_s: float) -> Inverter:
        if duration_s not in self._inverters:
            problem = make_problem(self.options.sample_rate, duration_s, instrument=self.options.instrument)
            pages = LibraryConfig(cache_dir=user_cache_dir() / "library")
            config = InversionConfig(library=pages)
            library = KeptPages(problem.instrument, pages)
            self._inverters[duration_s] = Inverter(problem, config, library)
        return self._inverters[duration_s]

    def shipped(self, inverter: Inverter) -> np.ndarray:
        """Presets that come with the instrument, `[b, d]`; b may be 0."""
        if self._bank is None:
            self._bank = shipped_positions(inverter.problem.instrument.name)
        return self._bank


def target_key(seed: int, name: str) -> jax.Array:
    """The key of a target, from which all its streams come."""
    number = zlib.crc32(name.encode("utf-8", "surrogateescape")) & 0x7FFFFFFF
    return jax.random.fold_in(jax.random.key(seed), number)


def check_name(file: Path) -> None:
    """Refuse a name that a preset cannot have.

    Raises:
        UserError: saying so.
    """
    if not file.name.isprintable():
        raise UserError(f"{file!r}: a preset cannot be named after it; rename it to printable characters")


def fingerprint(file: Path) -> dict[str, Any]:
    """Size and content hash of a file.

    Raises:
        UserError: it cannot be read.
    """
    try:
        with open(file, "rb") as opened:
            digest = hashlib.file_digest(opened, "sha256").hexdigest()
            return {"bytes": opened.tell(), "sha256": digest}
    except OSError as error:
        raise UserError(f"{file}: cannot be read ({error.strerror or error})") from error
