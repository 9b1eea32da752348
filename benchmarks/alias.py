"""How well the oscillators are band-limited: worst alias and treble loss, beside a 2-point polyBLEP saw.

The worst alias is the strongest bin, up to Nyquist, that lies outside the main lobe of every partial, against
the strongest partial. `voice` is the whole instrument with its filter wide open; `oscillator` leaves out
filter, envelope and output stage. The treble is measured against ideal partials (1/k for a saw).

    python benchmarks/alias.py [--out benchmarks/results/alias.json] [--plot docs/alias.png]
"""

import argparse
import functools
from collections.abc import Callable
from pathlib import Path

import jax
import jax.numpy as jnp
import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np

import synth_jax
from ddsprl.io.output import versions, write_json
from synth_jax.oscillators import REACH, OscParams, base_phase, control_hop, correct, oscillators
from synth_jax.params import index_of

RATES = (16_000, 44_100)
PITCHES_HZ = (220.0, 440.0, 880.0, 1760.0)
WAVES = {"saw": 1.0 / 3.0, "square": 2.0 / 3.0, "triangle": 1.0}
WINDOW = 2**16
KAISER_BETA = 22.0
MAIN_LOBE = 9  # bins either side of a partial that the window's main lobe covers
SETTLE_S = 0.1
TREBLE_LIMIT = 0.4  # of the sample rate


def midi_of(hz: float) -> np.float32:
    """Note number, rounded to float32 as the instrument will."""
    return np.float32(69.0 + 12.0 * np.log2(hz / 440.0))


def poly_blep_saw(f0_hz: float, sample_rate: int, n: int) -> np.ndarray:
    """Saw with the 2-point polynomial residual (Valimaki and Huovilainen 2007), float64 `[n]`."""
    step = f0_hz / sample_rate
    phase = (np.arange(n) * step) % 1.0
    after = np.minimum(phase / step, 1.0)
    before = np.maximum((phase - 1.0) / step, -1.0)
    residual = (2 * after - after**2 - 1) + (before**2 + 2 * before + 1)
    return 2.0 * phase - 1.0 - residual


@functools.lru_cache
def compiled(sample_rate: int) -> tuple[Callable, Callable]:
    """`(morph, midi) -> audio` of the whole instrument with its filter open, and of an oscillator alone."""
    n = WINDOW + int(SETTLE_S * sample_rate)
    synth = synth_jax.serum_lite(sample_rate=sample_rate, duration_s=n / sample_rate)
    knobs = {"osc1_level": 1.0, "osc2_level": 0.0, "filter_cutoff": 20_000.0, "amp_sustain": 1.0}
    knobs["master_volume"] = 0.5
    u = [spec.to_unit(knobs.get(spec.name, spec.default)) for spec in synth.table]
    morph_at = index_of(synth.table, "osc1_wave_morph")

    @jax.jit
    def voice(morph, midi):
        note = synth_jax.Note(midi=midi, gate_s=n / sample_rate)
        return synth.render(jnp.asarray(u, jnp.float32).at[morph_at].set(morph), note, jax.random.key(0))

    @jax.jit
    def oscillator(morph, midi):
        hop = control_hop(sample_rate)
        base = base_phase(midi, jnp.zeros(-(-(n + REACH) // hop) + 1), sample_rate=sample_rate, hop=hop)
        one, none = jnp.ones(()), jnp.zeros(())
        params = OscParams(morph=morph, unison=one, detune_cents=none, level=one, semitones=none)
        return correct(oscillators([params], base, base.increment / hop))[:n]

    return voice, oscillator


def play(which: int, wave: str, f0_hz: float, sample_rate: int) -> np.ndarray:
    """A steady tone of the instrument (0) or the oscillator alone (1), float64."""
    sound = compiled(sample_rate)[which]
    return np.asarray(sound(jnp.float32(WAVES[wave]), jnp.asarray(midi_of(f0_hz))), np.float64)


def spectrum(audio: np.ndarray) -> np.ndarray:
    """Amplitudes `[WINDOW // 2 + 1]` of the last `WINDOW` samples; a sine of amplitude 1 reads 1."""
    window = np.kaiser(WINDOW, KAISER_BETA)
    return np.abs(np.fft.rfft(audio[-WINDOW:] * window)) * (2.0 / window.sum())


def partial_amplitudes(audio: np.ndarray, frequencies: np.ndarray) -> np.ndarray:
    """Amplitudes at frequencies in cycles per sample, not read off the bins: that is up to 0.3 dB low."""
    window = np.kaiser(WINDOW, KAISER_BETA)
    waves = np.exp(-2j * np.pi * np.multiply.outer(frequencies, np.arange(WINDOW)))
    return np.abs(waves @ (audio[-WINDOW:] * window)) * (2.0 / window.sum())


def ideal_partial(wave: str, k: np.ndarray) -> np.ndarray:
    """Amplitude of the k-th partial of the ideal wave."""
    odd = k % 2 == 1
    return {
        "saw": 2.0 / (np.pi * k),
        "square": np.where(odd, 4.0 / (np.pi * k), 0.0),
        "triangle": np.where(odd, 8.0 / (np.pi * k) ** 2, 0.0),
    }[wave]


def measure(audio: np.ndarray, *, wave: str, f0_hz: float, sample_rate: int) -> dict[str, float]:
    """Worst alias and extremes of the treble error of one steady tone, in dB.

    Returns:
        `alias_db` against the strongest partial; `loss_db` and `boost_db`, the largest loss and gain of a
        partial below 0.4 of the rate against the ideal wave, relative to the fundamental.
    """
    amplitude = spectrum(audio)
    k = np.arange(1, int(sample_rate / 2 / f0_hz) + 1)
    k = k[ideal_partial(wave, k) > 0.0]
    at = np.rint(k * f0_hz / sample_rate * WINDOW).astype(int)
    partials = partial_amplitudes(audio, k * f0_hz / sample_rate)
    alias = amplitude.copy()
    alias[:MAIN_LOBE] = 0.0
    for i in at:
        alias[max(i - MAIN_LOBE, 0) : i + MAIN_LOBE + 1] = 0.0
    error_db = 20.0 * np.log10(partials / ideal_partial(wave, k))
    error_db = (error_db - error_db[0])[k * f0_hz < TREBLE_LIMIT * sample_rate]
    return {
        "alias_db": float(20.0 * np.log10(alias.max() / partials.max())),
        "loss_db": float(-error_db.min()),
        "boost_db": float(error_db.max()),
    }


def tone_row(sample_rate: int, f0_hz: float) -> dict[str, object]:
    """Every measurement of one pitch at one rate."""
    n = WINDOW + int(SETTLE_S * sample_rate)
    where = {"f0_hz": f0_hz, "sample_rate": sample_rate}
    baseline = measure(poly_blep_saw(f0_hz, sample_rate, n), wave="saw", **where)
    row = {**where, "poly_blep": baseline}
    for wave in WAVES:
        row[f"{wave}_voice"] = measure(play(0, wave, **where), wave=wave, **where)
        row[f"{wave}_oscillator"] = measure(play(1, wave, **where), wave=wave, **where)
    row["better_by_db"] = baseline["alias_db"] - row["saw_voice"]["alias_db"]
    return row


def print_table(rows: list[dict]) -> None:
    """One line a tone."""
    print("worst alias, dB, and treble error below 0.4 of the rate (loss / boost, dB)")
    print("  rate    f0 | polyBLEP      saw  better    square  triangle | saw voice    saw oscillator")
    for r in rows:
        treble = "   ".join(
            f"{r[k]['loss_db']:5.2f} / {r[k]['boost_db']:4.2f}" for k in ("saw_voice", "saw_oscillator")
        )
        print(
            f"{r['sample_rate']:6d} {r['f0_hz']:5.0f} | {r['poly_blep']['alias_db']:8.1f} "
            f"{r['saw_voice']['alias_db']:8.1f} {r['better_by_db']:7.1f} "
            f"{r['square_voice']['alias_db']:9.1f} {r['triangle_voice']['alias_db']:9.1f} | {treble}"
        )


def draw(path: Path, *, f0_hz: float = 1760.0, sample_rate: int = 16_000) -> None:
    """Spectra of both saws over the ideal partials."""
    n = WINDOW + int(SETTLE_S * sample_rate)
    figure, axes = plt.subplots(2, 1, figsize=(9, 6.5), sharex=True, sharey=True, layout="constrained")
    k = np.arange(1, int(sample_rate / 2 / f0_hz) + 1)
    ideal_db = 20 * np.log10(ideal_partial("saw", k) / ideal_partial("saw", np.array([1])))
    tones = {
        "2-point polyBLEP": (poly_blep_saw(f0_hz, sample_rate, n), "tab:orange"),
        "synth_jax, whole voice": (play(0, "saw", f0_hz, sample_rate), "tab:blue"),
    }
    frequency_khz = np.fft.rfftfreq(WINDOW, 1.0 / sample_rate) / 1000.0
    for axis, (name, (audio, color)) in zip(axes, tones.items(), strict=True):
        level = spectrum(audio)
        worst_db = measure(audio, wave="saw", f0_hz=f0_hz, sample_rate=sample_rate)["alias_db"]
        axis.plot(frequency_khz, 20 * np.log10(np.maximum(level / level.max(), 1e-7)), color=color, lw=0.8)
        axis.plot(k * f0_hz / 1000.0, ideal_db, "k_", ms=14, mew=1.5, label="ideal partials")
        axis.axhline(worst_db, color="0.5", ls="--", lw=0.8, label=f"worst alias {worst_db:.0f} dB")
        axis.axvline(TREBLE_LIMIT * sample_rate / 1000.0, color="0.8", lw=0.8)
        axis.set(
            title=f"{name}: saw, {f0_hz:.0f} Hz at {sample_rate / 1000:g} kHz", ylabel="dB", ylim=(-100, 6)
        )
        axis.legend(loc="lower left", fontsize=8)
    axes[1].set(xlabel="frequency, kHz", xlim=(0, sample_rate / 2000))
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)
    plt.close(figure)


def main() -> None:
    """Measure, print, write, draw."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/alias.json"))
    parser.add_argument("--plot", type=Path, default=Path("docs/alias.png"))
    options = parser.parse_args()
    rows = [tone_row(rate, f0_hz) for rate in RATES for f0_hz in PITCHES_HZ]
    print_table(rows)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    write_json(options.out, {"versions": versions(), "tones": rows})
    draw(options.plot)


if __name__ == "__main__":
    main()
