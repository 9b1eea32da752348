"""Batch inversion: sounds in, knob positions out, in memory.

    found = ddsprl.invert(targets, 16_000, midi=60.0, gate_s=0.4, key=jax.random.key(0))

Notes that are not given are estimated. Every target goes through the same rounds (`ddsprl.fitting.search`);
no file is touched.
"""

from collections.abc import Sequence
from typing import NamedTuple

import jax
import numpy as np

from ddsprl.fitting.inverter import (
    GRADIENT_COST,
    InversionConfig,
    Inverter,
    Progress,
    default_inverter,
    group_size,
    make_problem,
)
from ddsprl.fitting.library import Library
from ddsprl.fitting.recording import most_plausible, pitch_hypotheses
from ddsprl.io import estimate_gate
from synth_jax import Note

Notes = tuple[np.ndarray, np.ndarray, np.ndarray]


class Inversion(NamedTuple):
    """What an inversion finds; leading axis is the target.

    Attributes:
        u: knob positions of the best preset, snapped, `[B, d]`.
        loss: its loss as the preset sounds, mean over fresh noise keys, `[B]`.
        relaxed_loss: best loss before the discrete knobs were snapped, `[B]`.
        yardstick: outside judge's value, mean over fresh noise keys, `[B]`.
        terms: weighted loss terms, each `[B]`.
        audio: sound of the best preset, `[B, n]`.
        members: all presets that were polished, snapped, best first, `[B, k, d]`.
        member_loss: their losses, `[B, k]`.
        curve: best loss after each evaluation step, `[B, points]`.
        curve_renders: renders (gradients charged) spent at those, `[points]`.
        curve_snapped: whether discrete knobs were snapped then, `[points]`.
        renders: forward renders a target.
        gradients: value-and-gradient evaluations a target.
        library_renders: renders spent on the library in this call, all targets together.
        midi: notes at which the presets were played, `[B]`.
        gate_s: their gates, `[B]`.
        free: 1 for knobs that could move, `[d]`.
        names: of the knobs, in the order of `u`.
    """

    u: np.ndarray
    loss: np.ndarray
    relaxed_loss: np.ndarray
    yardstick: np.ndarray
    terms: dict[str, np.ndarray]
    audio: np.ndarray
    members: np.ndarray
    member_loss: np.ndarray
    curve: np.ndarray
    curve_renders: np.ndarray
    curve_snapped: np.ndarray
    renders: int
    gradients: int
    library_renders: int
    midi: np.ndarray
    gate_s: np.ndarray
    free: np.ndarray
    names: tuple[str, ...]


def invert(
    targets: np.ndarray | jax.Array,
    sample_rate: int,
    *,
    key: jax.Array,
    midi: float | Sequence[float] | np.ndarray | None = None,
    gate_s: float | Sequence[float] | np.ndarray | None = None,
    library: Library | None = None,
    bank: np.ndarray | None = None,
    budget: int = 9_000,
    config: InversionConfig | None = None,
    inverter: Inverter | None = None,
    free: np.ndarray | None = None,
    locked: np.ndarray | None = None,
    window: np.ndarray | None = None,
    progress: Progress | None = None,
) -> Inversion:
    """Find a preset for each of a batch of sounds.

    Args:
        targets: `[B, n]`, one note each, starting at its onset; all of one length.
        sample_rate: in Hz.
        key: PRNG key; noise of candidates, jumps and judgement. Do not reuse the key of a rendered target.
        midi: note number, one for all or one each; estimated if None.
        gate_s: seconds the key is held, likewise.
        library: pages of random presets to start from; made in memory if None, and kept for later calls.
        bank: further knob vectors to start from, `[k, d]`.
        budget: renders a target, a gradient charged as `GRADIENT_COST`.
        config: of the search.
        inverter: compiled programs to reuse between calls; overrides `library` and `config`.
        free: 1 for knobs that may move, `[d]`; all by default.
        locked: values of the others, `[d]`.
        window: gain over time of targets and candidates alike, `[B, n]`; 0 where a recording was cut off.
        progress: called with (rounds done, rounds in all, best loss).

    Returns:
        The record of findings, NumPy arrays. After a `KeyboardInterrupt` (Ctrl-C, or raised by `progress`)
        it holds the targets reached, each as good as it got by then.

    Raises:
        ValueError: targets that are not `[B, n]`, not finite, or notes that do not fit them.
    """
    audio = np.asarray(targets, np.float32)
    if audio.ndim != 2 or not audio.size:
        raise ValueError(f"targets has shape {audio.shape}; expected [batch, samples]")
    if not np.isfinite(audio).all():
        raise ValueError("targets holds values that are not finite")
    count, n = audio.shape
    if inverter is None:
        settings = config or InversionConfig()
        if library is None:
            inverter = default_inverter(sample_rate, n, settings)
        else:
            inverter = Inverter(make_problem(sample_rate, n / sample_rate), settings, library)
    synth = inverter.problem.instrument
    if (synth.sample_rate, synth.n_samples) != (sample_rate, n):
        made_for = f"{synth.n_samples} samples at {synth.sample_rate} Hz"
        raise ValueError(f"targets have {n} samples at {sample_rate} Hz; the inverter is made for {made_for}")
    d, before = synth.n_params, inverter.library.renders
    bank = _array("bank", bank, np.zeros((0, d)), None if bank is None else (len(bank), d))
    free, locked = _array("free", free, np.ones(d)), _array("locked", locked, np.zeros(d))
    window = _array("window", window, np.ones_like(audio))
    notes = _notes(audio, midi, gate_s, inverter, jax.random.fold_in(key, count))
    parts = _search(audio, notes, (free, locked), window, bank, inverter, key, budget, progress)
    found = _collect(parts, inverter, budget, inverter.library.renders - before)
    reached = len(found.loss)
    return found._replace(midi=notes[0][:reached], gate_s=notes[1][:reached], free=free)


def _array(name: str, given, default: np.ndarray, shape: tuple[int, ...] | None = None) -> np.ndarray:
    array = np.asarray(default if given is None else given, np.float32)
    shape = default.shape if shape is None else shape
    if array.shape != shape:
        raise ValueError(f"{name} has shape {array.shape}; expected {shape}")
    return array


def _search(audio, notes: Notes, knobs, window, bank, inverter: Inverter, key, budget, progress) -> list:
    """All targets, a group after the other; what `Inverter.run` gives for each, without the filling."""
    count, size, d = len(audio), group_size(), inverter.problem.instrument.n_params
    parts = []
    for first in range(0, count, size):
        # The last group is filled with copies of the last target, so that no other shape is compiled.
        index = np.minimum(np.arange(first, first + size), count - 1)
        chosen = Note(*(x[index] for x in notes))
        free, locked = (np.broadcast_to(x, (size, d)) for x in knobs)
        prepared = inverter.prepare(audio[index], chosen, free, locked, window[index])
        starts = np.stack(
            [
                inverter.starts(audio[i], Note(*(x[i] for x in notes)), bank, inverter.config.candidates)
                for i in index
            ]
        )
        # A target's key depends on its place in the batch only, not on how many are worked on together.
        keys = jax.vmap(lambda i: jax.random.fold_in(key, i))(np.asarray(index, np.uint32))
        report = _offset_progress(progress, first // size, -(-count // size))
        try:
            final, curve, relaxed = inverter.run(prepared, starts, keys, budget=budget, progress=report)
        except KeyboardInterrupt:
            if not parts:
                raise
            break  # before the first round of this group was over
        keep = min(size, count - first)
        parts.append(jax.tree.map(lambda x, keep=keep: np.asarray(x)[:keep], (final, curve, relaxed)))
        if inverter.interrupted:
            break
    return parts


def _notes(audio: np.ndarray, midi, gate_s, inverter: Inverter, key: jax.Array) -> Notes:
    """Midi, gate and velocity of every target, each `[B]`; estimated where not given."""
    count, rate = len(audio), inverter.problem.instrument.sample_rate
    gate_s = [estimate_gate(x, rate) for x in audio] if gate_s is None else gate_s
    gate_s = _one_each("gate_s", gate_s, count)
    if midi is None:
        heard = [pitch_hypotheses(x, rate)[0] for x in audio]
        rows = zip(audio, heard, gate_s, strict=True)
        midi = [most_plausible(x, pitches, float(held), inverter, key) for x, pitches, held in rows]
    return _one_each("midi", midi, count), gate_s, np.ones(count, np.float32)


def _one_each(name: str, value, count: int) -> np.ndarray:
    array = np.asarray(value, np.float32)
    if array.ndim > 1 or (array.ndim == 1 and len(array) != count) or not np.isfinite(array).all():
        raise ValueError(f"{name} has shape {array.shape}; expected one finite number or {count} of them")
    return np.broadcast_to(array, (count,))


def _offset_progress(progress: Progress | None, group: int, groups: int) -> Progress | None:
    if progress is None:
        return None
    return lambda done, rounds, loss: progress(group * rounds + done, groups * rounds, loss)


def _collect(parts, inverter: Inverter, budget: int, library_renders: int) -> Inversion:
    # Where a later group was interrupted its curve is short: nothing got better in what it did not do.
    points = max(curve.shape[1] for _, curve, _ in parts)
    parts = [(f, np.pad(c, ((0, 0), (0, points - c.shape[1])), mode="edge"), r) for f, c, r in parts]
    final, curve, relaxed = jax.tree.map(lambda *x: np.concatenate(x), *parts)
    config = inverter.config
    rounds = curve.shape[1] // (1 + config.steps)
    # An interrupted search has fewer rounds than it was to have, and perhaps none with knobs snapped.
    snapped_from = min(config.snapped_from(config.rounds(budget)), rounds)
    per_round = [config.candidates + config.members] + [config.members * GRADIENT_COST] * config.steps
    return Inversion(
        u=final.members.u[:, 0],
        loss=final.members.loss[:, 0],
        relaxed_loss=relaxed,
        yardstick=final.yardstick,
        terms=final.terms,
        audio=final.audio,
        members=final.members.u,
        member_loss=final.members.loss,
        curve=curve,
        curve_renders=np.cumsum(np.tile(per_round, rounds)),
        curve_snapped=np.repeat(np.arange(rounds) >= snapped_from, 1 + config.steps),
        renders=rounds * (config.candidates + config.members) + config.judgement,
        gradients=rounds * config.steps * config.members,
        library_renders=library_renders,
        midi=np.zeros(0),
        gate_s=np.zeros(0),
        free=np.zeros(0),
        names=tuple(spec.name for spec in inverter.problem.instrument.table),
    )
