"""Loudness after ITU-R BS.1770-4: K-weighting, 400 ms blocks, two gates.

The K filter is a high shelf followed by a high pass. The standard tabulates both biquads at 48 kHz
only; here each is described by its analog prototype (frequency, Q, gains) whose bilinear transform,
prewarped at the section's own frequency, gives that table to all its digits, and which is transformed
anew at every other rate. With `s = j tan(pi f / rate) / tan(pi f0 / rate)` the response of a section is

    (high s^2 + band s / Q + low) / (s^2 + s / Q + 1)

The filter is applied in the frequency domain. Its impulse response falls by 20 dB every 10 ms, so 0.25 s
of zeros behind the clip make the circular convolution equal to the recursion from rest within rounding
(-500 dB); only then is the signal cut into blocks, so no block sees an edge.
"""

import dataclasses
import functools
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ddsprl.features.sound import Sound
from synth_jax.units import power_to_db

FLOOR_LUFS = -70.0
"""The absolute gate, and the reading of anything quieter."""

CHANNEL_WEIGHTS = (1.0, 1.0, 1.0, 1.41, 1.41)
"""Left, right, centre, left surround, right surround (BS.1770-4, table 3)."""

_OFFSET_DB = -0.691
_RELATIVE_GATE_DB = -10.0
_SEGMENTS_PER_BLOCK = 4
_TAIL_S = 0.25
_SHORT_TAIL_S = 0.05
_FLOOR_POWER = 10.0 ** ((FLOOR_LUFS - _OFFSET_DB) / 10.0)


@dataclasses.dataclass(frozen=True)
class _Section:
    """Analog prototype of one biquad of the K filter (see the module's formula)."""

    f0_hz: float
    q: float
    high: float
    band: float
    low: float


_SHELF_GAIN = 10.0 ** (3.999843853973347 / 20.0)
_HIGH_PASS_F0_HZ, _HIGH_PASS_Q = 38.13547087602444, 0.5003270373238773
# The table's high pass has the numerator 1, -2, 1, so its gain is that of its denominator at 48 kHz.
_HIGH_PASS_WARP_48K = np.tan(np.pi * _HIGH_PASS_F0_HZ / 48_000.0)
_HIGH_PASS_GAIN = float(1.0 + _HIGH_PASS_WARP_48K / _HIGH_PASS_Q + _HIGH_PASS_WARP_48K**2)
_SECTIONS = (
    _Section(1681.974450955533, 0.7071752369554196, _SHELF_GAIN, _SHELF_GAIN**0.4996667741545416, 1.0),
    _Section(_HIGH_PASS_F0_HZ, _HIGH_PASS_Q, _HIGH_PASS_GAIN, 0.0, 0.0),
)


def k_weighting_biquads(sample_rate: int) -> np.ndarray:
    """Coefficients of the two sections as a recursion.

    Args:
        sample_rate: Hz.

    Returns:
        float64 [2, 6], each row `b0 b1 b2 a0 a1 a2` with a0 = 1 (the layout of SciPy's `sosfilt`).
    """
    rows = []
    for section in _SECTIONS:
        warp = np.tan(np.pi * section.f0_hz / sample_rate)
        high, band, low = section.high, section.band * warp / section.q, section.low * warp**2
        numerator = np.array([high + band + low, 2.0 * (low - high), high - band + low])
        q_term = warp / section.q
        denominator = np.array([1.0 + q_term + warp**2, 2.0 * (warp**2 - 1.0), 1.0 - q_term + warp**2])
        rows.append(np.concatenate([numerator, denominator]) / denominator[0])
    return np.stack(rows)


def _k_response(ratio: Any, sample_rate: int, xp: Any) -> Any:
    """Complex response of the K filter at `ratio = f / rate`, by `xp`, which is NumPy or jax.numpy.

    Multiplying the formula by `(tan(pi f0 / rate) cos(pi f / rate))^2` keeps it finite at half the rate
    and free of cancellation at low frequencies, where a polynomial in `z` loses all digits in float32.
    """
    sine, cosine = xp.sin(np.pi * ratio), xp.cos(np.pi * ratio)
    response = 1.0
    for section in _SECTIONS:
        warp = float(np.tan(np.pi * section.f0_hz / sample_rate))
        s2, s1, s0 = -sine * sine, sine * cosine * (warp / section.q), cosine * cosine * warp**2
        numerator = section.high * s2 + section.low * s0 + 1j * section.band * s1
        response = response * (numerator / (s2 + s0 + 1j * s1))
    return response


def _fft_length(n: int) -> int:
    """Smallest even length of at least `n` whose only prime factors are 2, 3 and 5."""
    best = 1 << max(1, (n - 1).bit_length())
    for threes in range(12):
        for fives in range(8):
            odd = 3**threes * 5**fives
            twos = max(1, (-(-n // odd) - 1).bit_length())
            best = min(best, odd << twos)
    return best


def k_weight(audio: jax.Array, sample_rate: int) -> jax.Array:
    """Apply the K filter, from rest.

    Args:
        audio: [..., n].
        sample_rate: Hz.

    Returns:
        [..., n].
    """
    n = audio.shape[-1]
    length = _fft_length(n + int(_TAIL_S * sample_rate))
    ratio = jnp.arange(length // 2 + 1, dtype=audio.dtype) / length
    response = _k_response(ratio, sample_rate, jnp)
    return jnp.fft.irfft(jnp.fft.rfft(audio, length) * response, length)[..., :n]


def _lufs(power: jax.Array) -> jax.Array:
    """Weighted mean square to LUFS, floored at -70 (BS.1770-4, equation 2)."""
    return jnp.maximum(_OFFSET_DB + power_to_db(power, _FLOOR_POWER), FLOOR_LUFS)


def _gated_power(block_power: jax.Array) -> jax.Array:
    """Mean power of the blocks above both gates, 0 if there is none (BS.1770-4, equations 4 to 7)."""

    def mean_where(gate: jax.Array) -> jax.Array:
        count = jnp.maximum(jnp.sum(gate), 1).astype(block_power.dtype)
        return jnp.sum(jnp.where(gate, block_power, 0.0)) / count

    above_absolute = block_power > _FLOOR_POWER
    relative_gate = mean_where(above_absolute) * 10.0 ** (_RELATIVE_GATE_DB / 10.0)
    return mean_where(above_absolute & (block_power > relative_gate))


def integrated_loudness(
    audio: jax.Array, sample_rate: int, *, channel_weights: Sequence[float] | None = None
) -> jax.Array:
    """Gated, integrated loudness of a programme.

    Blocks of 400 ms overlap by 75 %. A clip under 400 ms is one block, its whole length. The gates are
    decisions and carry no gradient; the powers that pass them do.

    Args:
        audio: [n] (mono) or [channels, n], 1.0 is full scale.
        sample_rate: Hz; a block is four times `round(sample_rate / 10)` samples.
        channel_weights: one weight a channel; by default left, right, centre and the two surrounds of
            `CHANNEL_WEIGHTS`. A low-frequency channel is not part of the measure: leave it out.

    Returns:
        Scalar, LUFS, at least -70.

    Raises:
        ValueError: if there are more channels than default weights, or another number of weights.
    """
    channels = jnp.atleast_2d(audio)
    weights = CHANNEL_WEIGHTS[: channels.shape[0]] if channel_weights is None else tuple(channel_weights)
    if len(weights) != channels.shape[0]:
        raise ValueError(
            f"channel_weights: {len(weights)} weights for {channels.shape[0]} channels; pass one a channel"
        )
    power = jnp.square(k_weight(channels, sample_rate))
    power = jnp.sum(power * jnp.asarray(weights, power.dtype)[:, None], axis=0)
    segment = round(sample_rate / 10)
    segments = power.shape[-1] // segment
    if segments < _SEGMENTS_PER_BLOCK:
        return _lufs(jnp.mean(power))
    segment_power = jnp.mean(power[: segments * segment].reshape(segments, segment), axis=-1)
    blocks = segments - _SEGMENTS_PER_BLOCK + 1
    block_power = sum(segment_power[k : k + blocks] for k in range(_SEGMENTS_PER_BLOCK)) / _SEGMENTS_PER_BLOCK
    return _lufs(_gated_power(jnp.asarray(block_power)))


@functools.lru_cache(maxsize=32)
def _energy_weights(n: int, sample_rate: int) -> tuple[int, np.ndarray]:
    """FFT length for a clip of `n`, and the weight of each bin's power in the mean square."""
    length = _fft_length(n + int(_SHORT_TAIL_S * sample_rate))
    response = _k_response(np.arange(length // 2 + 1) / length, sample_rate, np)
    weights = np.abs(response) ** 2 * (2.0 / (length * n))
    weights[[0, -1]] *= 0.5
    weights.setflags(write=False)
    return length, weights


def ungated_loudness(audio: jax.Array, sample_rate: int) -> jax.Array:
    """Loudness of a whole clip as one block, without gates: one FFT and a dot product.

    By Parseval the energy is summed in the frequency domain, so the few milliseconds that the filter
    rings on after the clip count too; on a clip that fades out this equals the mean square of
    `k_weight` within 0.01 LU, on one cut off in full swing within 0.1 LU at 100 ms and longer.

    Args:
        audio: [n], mono, 1.0 is full scale.
        sample_rate: Hz.

    Returns:
        Scalar, LUFS, at least -70; zero gradient at the floor.
    """
    length, weights = _energy_weights(audio.shape[-1], sample_rate)
    spectrum = jnp.fft.rfft(audio, length)
    power = jnp.square(spectrum.real) + jnp.square(spectrum.imag)
    return _lufs(jnp.vdot(power, jnp.asarray(weights, power.dtype), precision=jax.lax.Precision.HIGHEST))


def loudness_lufs(sound: Sound) -> jax.Array:
    """`integrated_loudness` of a sound, scalar, LUFS."""
    return integrated_loudness(sound.audio, sound.sample_rate)


def ungated_loudness_lufs(sound: Sound) -> jax.Array:
    """`ungated_loudness` of a sound, scalar, LUFS."""
    return ungated_loudness(sound.audio, sound.sample_rate)
