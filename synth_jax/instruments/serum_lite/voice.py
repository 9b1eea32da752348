"""Serum-lite: two morphing unison oscillators and noise into a modulated low-pass; 25 knobs.

    osc 1 ─┐
    osc 2 ─┼─ treble correction ─┬─ low-pass ── amp envelope ── master ── soft clip
    noise ─┼─────────────────────┘     │
           │                  mod envelope, LFO
    LFO ───┴─ pitch

Kinks (where the gradient is one-sided): morph at 1/3 and 2/3, unison at whole numbers, the cutoff where it
meets 0.49 of the rate, envelope corners that fall on a sample, samples that meet the soft clip's knee, and
a saw's or square's edge only in its second derivative. Above 0.164 of the rate a saw's edge is as wide as the
gate that picks it; a small jump of value is left at the wrap, which the gradient does not see.
"""

import jax
import jax.numpy as jnp

from synth_jax.effects import soft_clip
from synth_jax.excitation import Note
from synth_jax.filters import lowpass_then, warped_gain
from synth_jax.instrument import Instrument, make_instrument, n_samples
from synth_jax.instruments.serum_lite.knowledge import KNOWLEDGE
from synth_jax.instruments.serum_lite.table import NAMES, TABLE
from synth_jax.modulators import Adsr, adsr, lfo
from synth_jax.oscillators import REACH, OscParams, base_phase, control_hop, correct, oscillators, white_noise
from synth_jax.params import to_physical
from synth_jax.units import LN2

ENVELOPE_OCTAVES = 4.0
LFO_SEMITONES = 7.0
LFO_OCTAVES = 2.5


def serum_lite(sample_rate: int = 16_000, duration_s: float = 0.5) -> Instrument:
    """The Serum-lite voice at a sample rate and clip length.

    Args:
        sample_rate: in Hz, 8,000 to 96,000.
        duration_s: clip length in seconds, up to 10.
    """
    n = n_samples(sample_rate, duration_s)

    def render(u: jax.Array, note: Note, key: jax.Array) -> jax.Array:
        knobs = dict(zip(NAMES, to_physical(u, TABLE), strict=True))
        return _voice(knobs, note, key, sample_rate=sample_rate, n=n)

    return make_instrument("serum_lite", TABLE, sample_rate, duration_s, render, knowledge=KNOWLEDGE)


def _voice(p: dict[str, jax.Array], note: Note, key: jax.Array, *, sample_rate: int, n: int) -> jax.Array:
    """One note in physical units, `[n]`."""
    dtype = note.midi.dtype
    time_s = jnp.arange(n, dtype=dtype) * (1.0 / sample_rate)
    mix = _oscillators(p, note.midi, sample_rate=sample_rate, n=n)
    mix = mix + p["noise_level"] * white_noise(key, n, dtype)
    cutoff = _cutoff(p, time_s, note.gate_s, sample_rate=sample_rate)
    gain = p["master_volume"] * note.velocity
    output = (note.gate_s, _adsr_knobs(p, "amp"), gain)
    return lowpass_then(_output, mix, cutoff, 1.0 / p["filter_resonance"], time_s, output)


def _output(sound: jax.Array, time_s: jax.Array, knobs: tuple[jax.Array, Adsr, jax.Array]) -> jax.Array:
    """Amp envelope, volume and soft clip, elementwise."""
    gate_s, envelope, gain = knobs
    return soft_clip(sound * (adsr(time_s, gate_s, envelope) * gain))


def _oscillators(p: dict[str, jax.Array], midi: jax.Array, *, sample_rate: int, n: int) -> jax.Array:
    """Both oscillators, treble-corrected, `[n]`."""
    hop = control_hop(sample_rate)
    frames = -(-(n + REACH) // hop)  # the correction looks ahead
    edges_s = jnp.arange(frames + 1, dtype=midi.dtype) * (hop / sample_rate)
    depth = LFO_SEMITONES * p["lfo_amount"] * (1.0 - p["lfo_target"])
    base = base_phase(midi, depth * lfo(edges_s, p["lfo_rate"]), sample_rate=sample_rate, hop=hop)
    frequency = base.increment / hop
    none = jnp.zeros_like(midi)
    knobs = [
        OscParams(
            p[f"{osc}_wave_morph"],
            p[f"{osc}_unison"],
            p[f"{osc}_detune_cents"],
            p[f"{osc}_level"],
            p.get(f"{osc}_semitone_offset", none),
        )
        for osc in ("osc1", "osc2")
    ]
    total = oscillators(knobs, base, frequency)
    return correct(total)[:n]


def _cutoff(p: dict[str, jax.Array], time_s: jax.Array, gate_s: jax.Array, *, sample_rate: int) -> jax.Array:
    """`tan(pi fc / fs)` at every sample, `[n]`."""
    envelope = adsr(time_s, gate_s, _adsr_knobs(p, "mod"))
    depth = LFO_OCTAVES * p["lfo_amount"] * p["lfo_target"]
    octaves = jnp.log(p["filter_cutoff"] / sample_rate) / LN2
    octaves = octaves + ENVELOPE_OCTAVES * p["filter_env_amount"] * envelope
    return warped_gain(octaves + depth * lfo(time_s, p["lfo_rate"]))


def _adsr_knobs(p: dict[str, jax.Array], prefix: str) -> Adsr:
    return Adsr(p[f"{prefix}_attack"], p[f"{prefix}_decay"], p[f"{prefix}_sustain"], p[f"{prefix}_release"])
