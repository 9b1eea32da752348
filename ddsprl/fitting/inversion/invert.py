"""Batch inversion: sounds in, knob positions out, in memory.

    found = ddsprl.invert(targets, 16_000, midi=60.0, gate_s=0.4, key=jax.random.key(0), method="hybrid")

    for index, found in ddsprl.invert_stream(sounds, 16_000, key=jax.random.key(0)):
        ...                                              # as many sounds as there are, a group at a time

Notes that are not given are estimated. No file is touched.
"""

from collections.abc import Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, NamedTuple

import jax
import numpy as np

from ddsprl.fitting.core.budget import Progress
from ddsprl.fitting.core.programs import group_size
from ddsprl.fitting.core.streams import Streams, streams_of
from ddsprl.fitting.inversion.groups import prepare_group
from ddsprl.fitting.inversion.inverter import InversionConfig, Inverter, default_inverter, make_problem
from ddsprl.fitting.inversion.methods import DEFAULT_BUDGET, DEFAULT_METHOD, make_method
from ddsprl.fitting.inversion.recording import most_plausible, pitch_hypotheses
from ddsprl.fitting.inversion.records import Inversion, Knobs, Sounds, TargetGroup, joined
from ddsprl.fitting.inversion.searching import SolverSearch, further
from ddsprl.fitting.starts.library import Library
from ddsprl.io import estimate_gate
from ddsprl.io.ahead import ahead
from synth_jax import Note
from synth_jax.instruments import DEFAULT_INSTRUMENT

# One for all targets, or one each.
Each = float | Sequence[float] | np.ndarray | None
GIVEN = "given"


@dataclass(frozen=True)
class Setup:
    """What is searched with; all of it may be left out.

    Attributes:
        config: sizes of the programs.
        library: pages of random presets for starts that need one; made in memory if None, and kept for later
            calls.
        inverter: compiled programs to reuse between calls, in the place of `config` and `library`.
        bank: presets made by hand, `[b, d]`, for the starts `bank`, `best` and `mixed`.
        free: 1 for knobs that may move, `[d]`; all by default.
        locked: values of the others, `[d]`.
        window: gain over time of targets and candidates alike, `[B, n]`; 0 where a recording was cut off.
    """

    config: InversionConfig = InversionConfig()
    library: Library | None = None
    inverter: Inverter | None = None
    bank: np.ndarray | None = None
    free: np.ndarray | None = None
    locked: np.ndarray | None = None
    window: np.ndarray | None = None

    def inverter_of(self, instrument: str, sample_rate: int, n: int) -> Inverter:
        """The inverter for clips of `n` samples; one that was given has an instrument of its own."""
        if self.inverter is not None:
            return self.inverter
        if self.library is None:
            return default_inverter(sample_rate, n, self.config, instrument)
        problem = make_problem(sample_rate, n / sample_rate, instrument=instrument)
        return Inverter(problem, self.config, self.library)


@dataclass(frozen=True)
class Search:
    """How presets are searched for.

    Attributes:
        method: a name of `ddsprl.fitting.solvers.registry.SOLVERS`.
        start: of `ddsprl.fitting.starts.registry.STARTS`, where the solver begins; the default if None. Where
            a sound is outside of what the guess was trained for, the mixture `best` takes its place, and
            `task.start_note` of the findings says so.
        budget: renders a target; a gradient counts as `GRADIENT_COST`.
        given: knob positions to begin at, `[k, d]` for all targets or `[B, k, d]`; the start is then `given`.
    """

    method: str = DEFAULT_METHOD
    start: str | None = None
    budget: int = DEFAULT_BUDGET
    given: np.ndarray | None = None

    def searcher(self) -> SolverSearch:
        """The solver with its start and budget.

        Raises:
            ValueError: an unknown name, or a start that goes without or against `given`.
        """
        start, given = self.start, self.given
        if (start == GIVEN and given is None) or (start not in (None, GIVEN) and given is not None):
            raise ValueError(
                f"start is {start!r} and given is {given!r:.40}; the start 'given' needs positions"
            )
        return SolverSearch(make_method(self.method, start if given is None else GIVEN), self.budget)


class Streamed(NamedTuple):
    """Findings of one group of a stream.

    Attributes:
        index: places of its targets in the stream, counted from 0, `[B]`.
        found: what was found for them, in this order.
    """

    index: np.ndarray
    found: Inversion


def invert(
    targets: np.ndarray | jax.Array,
    sample_rate: int,
    *,
    key: jax.Array,
    midi: Each = None,
    gate_s: Each = None,
    instrument: str = DEFAULT_INSTRUMENT,
    setup: Setup | None = None,
    progress: Progress | None = None,
    **search: Any,
) -> Inversion:
    """Find a preset for each of a batch of sounds.

    Args:
        targets: `[B, n]`, one note each, starting at its onset; all of one length.
        sample_rate: in Hz.
        key: PRNG key; noise of candidates, jumps and judgement. Do not reuse the key of a rendered target.
        midi: note number, one for all or one each; estimated if None.
        gate_s: seconds the key is held, one for all or one each; estimated if None.
        instrument: a name of `synth_jax.INSTRUMENTS`.
        setup: knobs, bank, library and compiled programs, where the defaults will not do.
        progress: called with renders charged, those charged in the end, and the best loss.
        **search: fields of `Search`: `method`, `start`, `budget`, `given`.

    Returns:
        The record of findings, NumPy arrays. After a `KeyboardInterrupt` (Ctrl-C, or raised by `progress`)
        it holds the targets reached, each as good as it got by then.

    Raises:
        ValueError: targets that are not `[B, n]`, not finite, or notes that do not fit them; an unknown
            method or start; a start that goes without or against `given`; a budget that does not pay for the
            starts.
    """
    how, setup = Search(**search), setup or Setup()
    searcher, audio = how.searcher(), _checked_sounds(targets)
    inverter = setup.inverter_of(instrument, sample_rate, audio.shape[1])
    knobs = _knobs(inverter, sample_rate, audio, setup)
    window = _array("window", setup.window, np.ones_like(audio))
    before = inverter.library.renders
    # A target's key depends on its place in the batch only, not on how many are worked on together.
    streams = _streams(key, np.arange(len(audio)))
    note = _notes(audio, midi, gate_s, inverter, streams.pitch)
    for_pitch = inverter.library.renders - before
    given = _positions(how.given, len(audio), inverter.problem.instrument.n_params)
    sounds = Sounds(audio, note, window, streams, given)
    found = joined(_searched(inverter, searcher, sounds, knobs, progress))
    found.cost.library[0] += for_pitch
    return found


def _searched(
    inverter: Inverter, searcher: SolverSearch, sounds: Sounds, knobs: Knobs, progress: Progress | None
) -> list[Inversion]:
    """Findings of every group; after Ctrl-C of those that were reached."""
    count, size, parts = len(sounds.audio), group_size(), []
    for first in range(0, count, size):
        some = jax.tree.map(lambda x, first=first: x[first : first + size], sounds)
        group = prepare_group(inverter, searcher.method, some, knobs)
        report = further(progress, first // size, -(-count // size))
        try:
            parts.append(searcher.search(inverter, group, progress=report))
        except KeyboardInterrupt:
            if not parts:
                raise
            break  # before the starts of this group were scored
        if parts[-1].interrupted.any():
            break
    return parts


def invert_stream(
    sounds: Iterable[np.ndarray],
    sample_rate: int,
    *,
    key: jax.Array,
    midi: float | None = None,
    gate_s: float | None = None,
    instrument: str = DEFAULT_INSTRUMENT,
    setup: Setup | None = None,
    **search: Any,
) -> Generator[Streamed, None, None]:
    """Find a preset for each of any number of sounds, a group at a time, in bounded memory.

    While a group is searched for, the next sounds are taken from the iterable, in another thread, and made
    ready. Sounds of one length are grouped; every length is compiled for once, so few lengths are best. A
    sound gets the same preset as it would from `invert` with the same notes given, at the same place.

    Args:
        sounds: arrays `[n]`, one note each, starting at its onset.
        sample_rate: in Hz.
        key: PRNG key.
        midi: note number of all; estimated if None.
        gate_s: seconds the key is held, of all; estimated if None.
        instrument: a name of `synth_jax.INSTRUMENTS`.
        setup: as of `invert`; a library or an inverter is of one length, which all sounds then have.
        **search: as of `invert`.

    Yields:
        Places and findings of each group, in the order in which groups were full.

    Raises:
        ValueError: as of `invert`.
    """
    searcher, setup = Search(**search).searcher(), setup or Setup()
    # Programs belong to an inverter: one for each length.
    inverter_for = cache(lambda n: setup.inverter_of(instrument, sample_rate, n))

    def groups() -> Iterator[tuple[np.ndarray, Inverter, TargetGroup]]:
        for index, audio in _by_length(sounds):
            inverter = inverter_for(audio.shape[1])
            streams = _streams(key, index)
            note = _notes(audio, midi, gate_s, inverter, streams.pitch)
            knobs = _knobs(inverter, sample_rate, audio, setup)
            some = Sounds(audio, note, np.ones_like(audio), streams)
            yield index, inverter, prepare_group(inverter, searcher.method, some, knobs)

    for index, inverter, group in ahead(groups()):
        found = searcher.search(inverter, group)
        yield Streamed(index, found)
        if found.interrupted.any():
            raise KeyboardInterrupt


def _by_length(sounds: Iterable[np.ndarray]) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Places `[m]` and sounds `[m, n]` of full groups as they fill up, and of what remains."""
    waiting: dict[int, list[tuple[int, np.ndarray]]] = {}
    for place, sound in enumerate(sounds):
        audio = np.asarray(sound, np.float32)
        if audio.ndim != 1 or not audio.size or not np.isfinite(audio).all():
            raise ValueError(f"sound {place} has shape {audio.shape}; expected finite samples, [n]")
        group = waiting.setdefault(len(audio), [])
        group.append((place, audio))
        if len(group) == group_size():
            yield _stacked(waiting.pop(len(audio)))
    for _, group in sorted(waiting.items()):
        yield _stacked(group)


def _stacked(group: list[tuple[int, np.ndarray]]) -> tuple[np.ndarray, np.ndarray]:
    return np.array([place for place, _ in group]), np.stack([audio for _, audio in group])


def _checked_sounds(targets: np.ndarray | jax.Array) -> np.ndarray:
    """Targets `[B, n]`."""
    audio = np.asarray(targets, np.float32)
    if audio.ndim != 2 or not audio.size:
        raise ValueError(f"targets has shape {audio.shape}; expected [batch, samples]")
    if not np.isfinite(audio).all():
        raise ValueError("targets holds values that are not finite")
    return audio


def _knobs(inverter: Inverter, sample_rate: int, audio: np.ndarray, setup: Setup) -> Knobs:
    """Free mask, locked positions and bank, checked, for targets that fit the inverter."""
    synth, n = inverter.problem.instrument, audio.shape[1]
    if (synth.sample_rate, synth.n_samples) != (sample_rate, n):
        made_for = f"{synth.n_samples} samples at {synth.sample_rate} Hz"
        raise ValueError(f"targets have {n} samples at {sample_rate} Hz; the inverter is made for {made_for}")
    d, bank = synth.n_params, setup.bank
    return Knobs(
        free=_array("free", setup.free, np.ones(d)),
        locked=_array("locked", setup.locked, np.zeros(d)),
        bank=_array("bank", bank, np.zeros((0, d)), None if bank is None else (len(bank), d)),
    )


def _positions(given: np.ndarray | None, count: int, d: int) -> np.ndarray | None:
    """Positions of every target, `[B, k, d]`, checked."""
    if given is None:
        return None
    array = np.asarray(given, np.float32)
    array = np.broadcast_to(array, (count, *array.shape)) if array.ndim == 2 else array
    if array.ndim != 3 or array.shape[0] != count or array.shape[1] < 1 or array.shape[2] != d:
        raise ValueError(f"given has shape {np.shape(given)}; expected [k, {d}] or [{count}, k, {d}]")
    if not ((array >= 0.0) & (array <= 1.0)).all():
        raise ValueError("given holds positions that are not in [0, 1]")
    return array


def _streams(key: jax.Array, index: np.ndarray) -> Streams:
    roots = jax.vmap(lambda i: jax.random.fold_in(key, i))(index.astype(np.uint32))
    return jax.vmap(streams_of)(roots)


def _array(name: str, given, default: np.ndarray, shape: tuple[int, ...] | None = None) -> np.ndarray:
    array = np.asarray(default if given is None else given, np.float32)
    shape = default.shape if shape is None else shape
    if array.shape != shape:
        raise ValueError(f"{name} has shape {array.shape}; expected {shape}")
    return array


def _notes(audio: np.ndarray, midi: Each, gate_s: Each, inverter: Inverter, keys: jax.Array) -> Note:
    """The note of every target, fields `[B]`; estimated where not given."""
    count, rate = len(audio), inverter.problem.instrument.sample_rate
    gate_s = [estimate_gate(x, rate) for x in audio] if gate_s is None else gate_s
    gate_s = _one_each("gate_s", gate_s, count)
    if midi is None:
        heard = [pitch_hypotheses(x, rate)[0] for x in audio]
        rows = zip(audio, heard, gate_s, keys, strict=True)
        midi = [most_plausible(x, pitches, float(held), inverter, key) for x, pitches, held, key in rows]
    return Note(_one_each("midi", midi, count), gate_s, np.ones(count, np.float32))


def _one_each(name: str, value, count: int) -> np.ndarray:
    array = np.asarray(value, np.float32)
    if array.ndim > 1 or (array.ndim == 1 and len(array) != count) or not np.isfinite(array).all():
        raise ValueError(f"{name} has shape {array.shape}; expected one finite number or {count} of them")
    return np.broadcast_to(array, (count,))
