"""The 25 knobs of Serum-lite."""

from typing import Any

import numpy as np

from synth_jax.params import ParamSpec, Table


def _oscillator(number: int, *, morph: float, level: float) -> list[ParamSpec]:
    osc, group = f"osc{number}", f"Oscillator {number}"

    def spec(name: str, low: float, high: float, default: float, text: str, **extra: Any) -> ParamSpec:
        return _knob(f"{osc}_{name}", low, high, default, text, group=group, **extra)

    return [
        spec("wave_morph", 0.0, 1.0, morph, "sine, saw, square, triangle at 0, 1/3, 2/3, 1"),
        spec("unison", 1.0, 7.0, 1.0, "voices, spread evenly, equal power", unit="voices", integer=True),
        spec("detune_cents", 0.0, 50.0, 5.0, "offset of the outermost voice", unit="cents"),
        spec("level", 0.0, 1.0, level, "gain"),
    ]


def _envelope(prefix: str, group: str) -> list[ParamSpec]:
    def spec(name: str, low: float, high: float, default: float, text: str, **extra: Any) -> ParamSpec:
        return _knob(f"{prefix}_{name}", low, high, default, text, group=group, module="ENV", **extra)

    return [
        spec("attack", 0.001, 2.0, 0.005, "linear rise", unit="s", scale="log"),
        spec("decay", 0.005, 2.0, 0.3, "fall to the sustain level", unit="s", scale="log"),
        spec("sustain", 0.0, 1.0, 0.7, "level while the key is held"),
        spec("release", 0.02, 4.0, 0.2, "fall after the key is let go", unit="s", scale="log"),
    ]


def _filter(name: str, low: float, high: float, default: float, text: str, **extra: Any) -> ParamSpec:
    return _knob(f"filter_{name}", low, high, default, text, group="Filter", module="FILTER", **extra)


def _lfo(name: str, low: float, high: float, default: float, text: str, **extra: Any) -> ParamSpec:
    return _knob(f"lfo_{name}", low, high, default, text, group="LFO", module="LFO", **extra)


def _knob(name: str, low: float, high: float, default: float, text: str, **extra: Any) -> ParamSpec:
    extra = {"module": "OSC"} | extra
    return ParamSpec(name=name, low=low, high=high, default=default, help=text, **extra)


TABLE: Table = (
    *_oscillator(1, morph=0.0, level=0.7),
    *_oscillator(2, morph=0.5, level=0.6),
    _knob(
        "osc2_semitone_offset",
        -12.0,
        12.0,
        0.0,
        "offset from the played note, fractions allowed",
        unit="semitones",
        group="Oscillator 2",
    ),
    _knob("noise_level", 0.0, 1.0, 0.0, "white noise", group="Mixer"),
    _filter("cutoff", 30.0, 20_000.0, float(np.sqrt(30.0 * 20_000.0)), "low-pass", unit="Hz", scale="log"),
    _filter("resonance", 0.1, 10.0, 0.7, "gain at the cutoff", unit="Q"),
    _filter("env_amount", -1.0, 1.0, 0.0, "times 4 octaves of the mod envelope"),
    *_envelope("amp", "Amp envelope"),
    *_envelope("mod", "Mod envelope"),
    _lfo("rate", 0.05, 15.0, 5.0, "sine", unit="Hz", scale="log"),
    _lfo("amount", 0.0, 1.0, 0.0, "depth"),
    _lfo("target", 0.0, 1.0, 0.0, "crossfade: 7 semitones of pitch at 0, 2.5 octaves of cutoff at 1"),
    _knob("master_volume", 0.0, 1.0, 0.7, "gain before the soft clip", group="Mixer"),
)
NAMES = tuple(spec.name for spec in TABLE)
