"""Oscillator phase that stays exact for minutes in float32, and carries exact gradients.

A single-precision running phase loses 1e-7 of its value per sum: at 1 kHz it is out of tune with its own
float64 version after a second. Time is therefore cut into short frames, and the phase at each frame's start
is kept as whole multiples of 2^-11 cycle (whole numbers, summed without error) plus a small remainder:

    inc          cycles per frame = hi + lo                  (two floats, from a table of semitones)
    ticks        round(inc * 2^11)                           whole; sums stay under 2^24: exact
    remainder    inc - ticks * 2^-11, |.| <= 2^-12           summed as a float: carries the gradient

Inside a frame the phase moves by at most a few tens of cycles, so plain arithmetic is exact enough.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from synth_jax.numerics import materialize, prefix_sum
from synth_jax.units import LN2

TICKS = 2**11
RATIO_STEPS = 2**6
LOWEST_NOTE, HIGHEST_NOTE = -24, 160


class BasePhase(NamedTuple):
    """Phase of the played note, before detune and offset; time is cut in frames of `hop` samples.

    Attributes:
        increment: cycles per frame of the unmodulated note, scalar.
        whole: whole cycles at the frame's start, exact; no gradient, `[frames]`.
        part: the rest of them; no gradient, `[frames]`.
        progress: cycles since the frame's start, `[frames, hop]`.
        rate: cycles per sample, `[frames, hop]`.
        period: samples per cycle, `[frames, hop]`; its twin, so that no voice has to divide.
        elapsed: cycles since the clip's start, rounded; used by gradients only, `[frames, hop]`.
    """

    increment: jax.Array
    whole: jax.Array
    part: jax.Array
    progress: jax.Array
    rate: jax.Array
    period: jax.Array
    elapsed: jax.Array


def control_hop(sample_rate: int) -> int:
    """Frame length in samples: the largest power of two under 2 ms, at least 16."""
    return max(16, 2 ** int(np.log2(0.002 * sample_rate)))


def base_phase(midi: jax.Array, semitones: jax.Array, *, sample_rate: int, hop: int) -> BasePhase:
    """Phase of a note whose pitch is bent by `semitones` at the frame edges, linear in frequency between.

    Args:
        midi: note number, scalar, may be fractional.
        semitones: pitch modulation at the frame edges, `[frames + 1]`.
        sample_rate: in Hz.
        hop: frame length in samples.
    """
    dtype = semitones.dtype
    hi, lo = _frame_increment(midi, sample_rate=sample_rate, hop=hop)
    bend = jnp.expm1(semitones * (LN2 / 12.0))
    per_sample = (hi + lo) / hop
    start, slope = per_sample * (1.0 + bend[:-1]), per_sample * jnp.diff(bend)
    start, slope = materialize(start)[:, None], materialize(slope)[:, None]
    tau = jnp.arange(hop, dtype=dtype)
    progress = tau * (start + tau * (slope * (0.5 / hop)))
    rate = start + tau * (slope * (1.0 / hop))
    turns = prefix_sum((hi + lo) * (1.0 + 0.5 * (bend[:-1] + bend[1:])))
    whole, part = _note_turns(*jax.lax.stop_gradient((hi, lo, bend)))
    return BasePhase(hi + lo, whole, part, progress, rate, 1.0 / rate, turns[:, None] + progress)


def frame_starts(base: BasePhase, ratio: jax.Array, offset: np.ndarray) -> jax.Array:
    """Phase modulo 1 at the start of every frame, for each voice; no gradient (see `unison`).

    A voice is at `ratio` times the note's phase. Of the note's phase the whole cycles are known exactly, so
    the product is taken in two parts: with the leading 7 bits of the ratio it is exact, with the rest small.

    Args:
        base: phase of the note.
        ratio: frequency ratio of each voice, `[voices]`.
        offset: start phase of each voice in cycles, `[voices]`.

    Returns:
        Cycles, `[voices, frames]`.
    """
    ratio = jax.lax.stop_gradient(ratio)[:, None]
    coarse = jnp.round(ratio * RATIO_STEPS) * (1.0 / RATIO_STEPS)
    exact = coarse * base.whole
    rest = (ratio - coarse) * base.whole + ratio * base.part
    return (exact - jnp.floor(exact)) + rest + jnp.asarray(offset, ratio.dtype)[:, None]


def _note_turns(hi: jax.Array, lo: jax.Array, bend: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Cycles of the note at the start of every frame: whole ones, exactly, and the rest; `[frames]` each."""
    rest = lo + (hi + lo) * (0.5 * (bend[:-1] + bend[1:]))
    ticks = jnp.round((hi + rest) * TICKS)
    remainder = (hi - ticks * (1.0 / TICKS)) + rest
    cycles = jnp.floor(ticks * (1.0 / TICKS))
    turns, cycles, drift = prefix_sum(jnp.stack([ticks - cycles * TICKS, cycles, remainder]))
    turns = turns * (1.0 / TICKS)
    carried = jnp.floor(turns)
    return cycles + carried, (turns - carried) + drift


def _frame_increment(midi: jax.Array, *, sample_rate: int, hop: int) -> tuple[jax.Array, jax.Array]:
    """Cycles per frame of a note as two floats, accurate to 1e-9 relative in float32."""
    notes = np.arange(LOWEST_NOTE, HIGHEST_NOTE + 1)
    cycles = 440.0 * 2.0 ** ((notes - 69.0) / 12.0) * hop / sample_rate
    table_hi = np.float32(cycles)
    table_lo = cycles - table_hi
    nearest = jnp.clip(jnp.round(jax.lax.stop_gradient(midi)), LOWEST_NOTE, HIGHEST_NOTE)
    index = nearest.astype(jnp.int32) - LOWEST_NOTE
    hi = jnp.asarray(table_hi, midi.dtype)[index]
    lo = jnp.asarray(table_lo, midi.dtype)[index]
    return hi, lo + hi * jnp.expm1((midi - nearest) * (LN2 / 12.0))
