"""Targets: buckets of random presets, known presets at given notes, recordings.

A bucket of a stage holds presets whose unlocked knobs are uniform and snapped, the locked ones neutral, at
random notes. Presets quieter than -50 LUFS at any of their probes are rejected and counted. A bucket is made
before training, on the host; an episode picks one of its rows.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np

from ddsprl.env.match.types import Targets
from ddsprl.features.loudness import ungated_loudness
from ddsprl.plant import MAX_PROBES, Plant, in_chunks
from synth_jax import Instrument, Note

QUIETEST_LUFS = -50.0
MIDI_RANGE = (36.0, 84.0)
# Of the clip: 0.1 to 0.4 s of half a second.
GATE_RANGE = (0.2, 0.8)
# Streams of random numbers that no two purposes share.
SPLITS = ("train", "held_out", "reference")
_BLOCK, _MOST_BLOCKS = 64, 1024


def make_bucket(
    instrument: Instrument, free: np.ndarray, *, count: int, probes: int, split: str, stage: int, seed: int
) -> tuple[Targets, int]:
    """Random presets of a stage that can be heard.

    Args:
        instrument: the synthesizer.
        free: mask `[d]` of the knobs that differ from the neutral patch.
        count: how many.
        probes: notes of each.
        split: one of `SPLITS`; no two share a preset.
        stage: its number, so that no two stages share random numbers.
        seed: likewise.

    Returns:
        The targets, and how many presets were too quiet.

    Raises:
        ValueError: an unknown split, or presets of this kind can hardly ever be heard.
    """
    if split not in SPLITS:
        raise ValueError(f"split: {split!r} is none of {', '.join(SPLITS)}")
    key = jax.random.key(seed)
    for part in (stage, SPLITS.index(split)):
        key = jax.random.fold_in(key, part)
    kept, found, tried = [], 0, 0
    for block in range(_MOST_BLOCKS):
        draw = _drawer(instrument, probes)(jax.random.fold_in(key, block), jnp.asarray(free))
        u, notes, heard = jax.tree.map(np.asarray, draw)
        rows = np.flatnonzero(heard)[: count - found]
        # Rejections are counted up to the last preset that was kept.
        tried += int(rows[-1]) + 1 if len(rows) == count - found and len(rows) else _BLOCK
        kept.append(jax.tree.map(lambda x, rows=rows: x[rows], (u, notes)))
        found += len(rows)
        if found == count:
            u, notes = jax.tree.map(lambda *x: jnp.concatenate(x), *kept)
            return Targets(notes, u), tried - found
    raise ValueError(f"bucket: of {tried} presets of stage {stage} only {found} can be heard, not {count}")


@functools.lru_cache(maxsize=8)
def _drawer(instrument: Instrument, probes: int):
    """Compiled: a block of presets `[64, d]`, their notes `[64, p]`, and whether each can be heard."""
    gate_low, gate_high = (x * instrument.duration_s for x in GATE_RANGE)
    plant = Plant(instrument)

    def one(u, notes, key):
        audio = plant.at(notes).render(u, key)
        return jnp.min(jax.vmap(lambda x: ungated_loudness(x, instrument.sample_rate))(audio))

    @jax.jit
    def draw(key, free):
        knobs, pitch, gate, noise = (jax.random.fold_in(key, i) for i in range(4))
        u = jax.random.uniform(knobs, (_BLOCK, instrument.n_params))
        u = instrument.snap(jnp.where(free > 0, u, instrument.default))
        shape = (_BLOCK, probes)
        midi = jax.random.uniform(pitch, shape, minval=MIDI_RANGE[0], maxval=MIDI_RANGE[1])
        gate_s = jax.random.uniform(gate, shape, minval=gate_low, maxval=gate_high)
        notes = Note(midi, gate_s, jnp.ones(shape))
        loudness = in_chunks(one, _BLOCK // probes, u, notes, jax.random.split(noise, _BLOCK))
        return u, notes, loudness > QUIETEST_LUFS

    return draw


def preset_targets(instrument: Instrument, u: np.ndarray | jax.Array, notes: Note) -> Targets:
    """Targets from known presets.

    Args:
        instrument: the synthesizer.
        u: knob positions `[count, d]`; snapped here.
        notes: leaves `[count, p]`.

    Raises:
        ValueError: shapes that do not fit.
    """
    given = jnp.asarray(u, jnp.float32)
    if given.ndim != 2 or given.shape[1] != instrument.n_params:
        raise ValueError(f"u: shape {given.shape}; {instrument.name} takes [count, {instrument.n_params}]")
    return Targets(_checked_notes(notes, given.shape[0]), instrument.snap(given))


def recording_targets(instrument: Instrument, audio: np.ndarray | jax.Array, notes: Note) -> Targets:
    """Targets from recordings, whose knobs nobody knows: episodes then start at the neutral patch.

    Args:
        instrument: the synthesizer.
        audio: `[count, p, n]` at the instrument's rate and length, one clip a probe.
        notes: pitch, gate and velocity of each clip, leaves `[count, p]`.

    Raises:
        ValueError: shapes that do not fit, or samples that are not finite.
    """
    given = jnp.asarray(audio, jnp.float32)
    if given.ndim != 3 or given.shape[2] != instrument.n_samples:
        raise ValueError(f"audio: shape {given.shape}; allowed is [count, probes, {instrument.n_samples}]")
    if not bool(jnp.all(jnp.isfinite(given))):
        raise ValueError("audio: has samples that are not finite")
    checked = _checked_notes(notes, given.shape[0])
    if jnp.shape(checked.midi)[1] != given.shape[1]:
        raise ValueError(f"audio: {given.shape[1]} clips a target for {jnp.shape(checked.midi)[1]} notes")
    return Targets(checked, None, given)


def _checked_notes(notes: Note, count: int) -> Note:
    leaves = [jnp.asarray(x, jnp.float32) for x in notes]
    shapes = {x.shape for x in leaves}
    shape = leaves[0].shape
    if len(shapes) != 1 or len(shape) != 2 or shape[0] != count or not 1 <= shape[1] <= MAX_PROBES:
        allowed = f"each [{count}, probes] with 1 to {MAX_PROBES} probes"
        raise ValueError(f"notes: shapes {sorted(shapes)}; allowed are {allowed}")
    return Note(*leaves)
