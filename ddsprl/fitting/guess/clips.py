"""Examples that a guess is trained on, and their equals: what else sounds like a clip, without a render.

    symmetries = synth.knowledge.symmetries             # None where none are known
    clip = heard_clip(symmetries, audio, u, note)       # features, once
    batch = equals_of(symmetries, key, batch)           # others at every pass

See `synth_jax.knowledge.Symmetries` for what equals are.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from ddsprl.fitting.guess.features import (
    DURATION_S,
    HIGHEST_MIDI,
    LEVEL_DB,
    LOWEST_MIDI,
    GuessFeatures,
    guess_features,
)
from synth_jax import Note
from synth_jax.knowledge import Symmetries
from synth_jax.units import amplitude_to_db


class Clips(NamedTuple):
    """Rendered examples; leaves `[n, ...]`, for one example without the leading axis.

    Attributes:
        u: knob positions, float32 `[d]`.
        features: float16.
        note: at which it was played, float32.
        peak: largest magnitude of the sound, float32, scalar.
        exchanged: the features that differ when the sound is taken for the exchanged preset's, at that one's
            note: `relative` and `numbers`, float16. The clip's own where there is no such preset within the
            range of notes.
    """

    u: jax.Array
    features: GuessFeatures
    note: Note
    peak: jax.Array
    exchanged: tuple[jax.Array, jax.Array]


def heard_clip(symmetries: Symmetries | None, audio: jax.Array, u: jax.Array, note: Note) -> Clips:
    """The example that a render `[N_SAMPLES]` of the preset `u [d]` makes."""
    features = other = guess_features(audio, note.midi, note.gate_s)
    if symmetries is not None:
        _, elsewhere = symmetries.exchanged(u, note)
        moved = guess_features(audio, elsewhere.midi, note.gate_s)
        other = jax.tree.map(lambda a, b: jnp.where(_learnt(elsewhere), a, b), moved, features)
    features, other = jax.tree.map(lambda x: x.astype(jnp.float16), (features, other))
    return Clips(u, features, note, jnp.max(jnp.abs(audio)), (other.relative, other.numbers))


def equals_of(symmetries: Symmetries | None, key: jax.Array, clips: Clips) -> Clips:
    """A random equal of every clip of a batch; its features in float32, and nothing to exchange."""
    clips = jax.tree.map(lambda x: x.astype(jnp.float32), clips)
    if symmetries is None:
        return clips
    return jax.vmap(lambda k, clip: _equal(symmetries, k, clip))(jax.random.split(key, len(clips.u)), clips)


def _equal(symmetries: Symmetries, key: jax.Array, clip: Clips) -> Clips:
    keys = jax.random.split(key, 4)
    swapped, elsewhere = symmetries.exchanged(clip.u, clip.note)
    swap = _learnt(elsewhere) & jax.random.bernoulli(keys[0])
    u = jnp.where(swap, swapped, clip.u)
    features = clip.features
    relative, numbers = (
        jnp.where(swap, other, own)
        for other, own in zip(clip.exchanged, (features.relative, features.numbers), strict=True)
    )
    u, gain = symmetries.turned_up(keys[1], u, clip.peak)
    # The only feature that depends on the level (`guess_features`).
    numbers = numbers.at[2].add(amplitude_to_db(gain) / LEVEL_DB)
    u = symmetries.rebalanced(keys[2], u)
    u = symmetries.redrawn(keys[3], u, clip.note.gate_s, jnp.float32(DURATION_S))
    note = jax.tree.map(lambda a, b: jnp.where(swap, a, b), elsewhere, clip.note)
    same = features._replace(relative=relative, numbers=numbers)
    return Clips(u, same, note, gain * clip.peak, (relative, numbers))


def _learnt(note: Note) -> jax.Array:
    """Whether a note is among those that are learnt."""
    return (note.midi >= LOWEST_MIDI) & (note.midi <= HIGHEST_MIDI)
