"""Periodicity: fundamental frequency and how periodic the sound is, per frame and for a clip.

The normalised square difference of McLeod and Wyvill, "A smarter way to find pitch" (ICMC 2005), in the
form `n(lag) = 2 r(lag) / m(lag)`, where r is the autocorrelation of a frame and m the energy of its two
overlapping parts: 1 where the frame repeats exactly after `lag`, about 0 for noise, never outside -1..1,
and without the bias towards short lags of a plain autocorrelation.

1. *Pick.* Of the local maxima behind the first zero crossing, take the earliest one that reaches
   `PICK_SHARE` of the highest. Multiples of the period are as high as the period itself, so "earliest"
   guards against the octave below, and the share against the octave above.
2. *Polish.* A parabola through three samples of a peak is good to about a tenth of a lag: too coarse for
   a period of eight samples. The peaks at 2, 4, 8, ... periods have the same absolute error, so the
   lag is doubled, polished and divided as long as the peak there stays nearly as high.

The clip's estimate is made the same way from r and m summed over the frames, which weights frames by
energy and averages noise out before any decision is taken.

Which lag is picked is a decision without a gradient. The position and the height of the picked peak are
differentiable functions of the audio.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from ddsprl.features.framing import default_hop, frame
from ddsprl.features.sound import Sound
from synth_jax.numerics import safe_divide

DEFAULT_FMIN_HZ = 30.0
DEFAULT_FMAX_HZ = 2200.0
PICK_SHARE = 0.9
"""A peak this high, relative to the highest, may be the period if it comes first."""

LOW_PASS_HZ = 1500.0
"""Partials above it count less. Inharmonic upper partials (stiff strings, FM, ring modulation) would
otherwise outvote the fundamental; noise, which they resemble, stays weakly periodic."""

FRAME_HOPS = 8
"""Default frame length in default hops: 93 ms, a little over three periods at 35 Hz."""

TRACK_HOPS = 2
"""Default hop of the track in default hops: 23 ms."""

_POLISH_SHARE = 0.8
_VOTE_WIDTH = 0.03
_SILENT_ENERGY = 1e-10


class Periodicity(NamedTuple):
    """Pitch of a clip.

    Attributes:
        f0_hz: scalar, the clip's fundamental; 0 where nothing repeats.
        strength: scalar, 0 (noise, silence) to 1 (exactly periodic).
        track_f0_hz: [frames], the same per frame.
        track_strength: [frames].
    """

    f0_hz: jax.Array
    strength: jax.Array
    track_f0_hz: jax.Array
    track_strength: jax.Array


def _even_fft_length(n: int) -> int:
    """A power of two, or three quarters of one, of at least `n`."""
    power = 1 << (n - 1).bit_length()
    return power * 3 // 4 if power * 3 // 4 >= n and power >= 8 else power


def _favour_lows(audio: jax.Array, sample_rate: int) -> jax.Array:
    """Weight the spectrum by a first-order slope above `LOW_PASS_HZ`, in zero phase, same length."""
    n = audio.shape[-1]
    length = _even_fft_length(n + int(10.0 * sample_rate / LOW_PASS_HZ))
    ratio = np.arange(length // 2 + 1) * (sample_rate / length / LOW_PASS_HZ)
    weights = jnp.asarray(1.0 / np.sqrt(1.0 + ratio**2), audio.dtype)
    return jnp.fft.irfft(jnp.fft.rfft(audio, length) * weights, length)[:n]


def _square_difference_parts(frames: jax.Array, lags: int, oversample: int) -> tuple[jax.Array, jax.Array]:
    """Autocorrelation r and overlap energy m of each frame at lags `k / oversample`.

    Args:
        frames: [frames, frame_length].
        lags: how many.
        oversample: lags a sample.

    Returns:
        r [frames, lags], m [frames, lags], with n = 2 r / m.
    """
    length = frames.shape[-1]
    transform = _even_fft_length(length + lags // oversample + 1)
    spectrum = jnp.fft.rfft(frames, transform)
    power = jnp.square(spectrum.real) + jnp.square(spectrum.imag)
    # A longer inverse transform pads the spectrum with zeros: band-limited interpolation between lags.
    correlation = jnp.fft.irfft(power, transform * oversample)[:, :lags] * oversample
    whole = -(-lags // oversample) + 1
    square = jnp.square(frames)
    head = jnp.cumsum(square[:, :whole], axis=-1) - square[:, :whole]
    tail = jnp.cumsum(square[:, ::-1][:, :whole], axis=-1) - square[:, ::-1][:, :whole]
    overlap = 2.0 * jnp.sum(square, axis=-1, keepdims=True) - head - tail
    if oversample > 1:
        fraction = jnp.arange(oversample, dtype=overlap.dtype) / oversample
        step = (overlap[:, 1:] - overlap[:, :-1])[..., None] * fraction
        overlap = (overlap[:, :-1, None] + step).reshape(overlap.shape[0], -1)
    return correlation, overlap[:, :lags]


def _parabola(left: jax.Array, centre: jax.Array, right: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Vertex of the parabola through three equidistant points: offset in -0.5..0.5, and height."""
    slope = 0.5 * (right - left)
    curvature = jnp.maximum(2.0 * centre - left - right, 1e-6)
    offset = jnp.clip(slope / curvature, -0.5, 0.5)
    return offset, centre + 0.5 * slope * offset


def _peak_near(curve: jax.Array, lag: jax.Array, reach: int) -> tuple[jax.Array, jax.Array]:
    """Polished position and height of the highest sample within `reach` of `lag` (in samples)."""
    around = jnp.clip(
        jnp.round(jax.lax.stop_gradient(lag)).astype(int), reach + 1, curve.shape[0] - reach - 2
    )
    window = jax.lax.dynamic_slice(curve, (around - reach - 1,), (2 * reach + 3,))
    best = jnp.argmax(window[1:-1])
    left, centre, right = jax.lax.dynamic_slice(window, (best,), (3,))
    offset, height = _parabola(left, centre, right)
    return (around - reach + best).astype(curve.dtype) + offset, height


def _first_high_peak(curve: jax.Array, min_lag: int, max_lag: int) -> tuple[jax.Array, jax.Array]:
    """Index of the picked peak of one curve [lags], and whether there is any."""
    left, centre, right = curve[:-2], curve[1:-1], curve[2:]
    index = np.arange(1, curve.shape[0] - 1)
    behind_zero = jnp.cumsum(centre <= 0.0) > 0
    in_range = (index >= min_lag) & (index <= max_lag)
    is_peak = (centre > left) & (centre >= right) & (centre > 0.0) & behind_zero & in_range
    heights = jnp.where(is_peak, _parabola(left, centre, right)[1], 0.0)
    return 1 + jnp.argmax(heights >= PICK_SHARE * jnp.max(heights)), jnp.any(is_peak)


def _period(curve: jax.Array, min_lag: int, max_lag: int) -> tuple[jax.Array, jax.Array]:
    """Period (in lags of the curve) and strength of one normalised curve [lags]; (inf, 0) if none."""
    picked, found = _first_high_peak(jax.lax.stop_gradient(curve), min_lag, max_lag)
    lag, strength = _peak_near(curve, picked.astype(curve.dtype), 0)
    multiple, going = 1, found
    while 2 * multiple * min_lag < max_lag:
        multiple *= 2
        target = lag * multiple
        far_lag, height = _peak_near(curve, target, 1)
        going = going & (target < max_lag) & (height > _POLISH_SHARE * strength)
        lag = jnp.where(going, far_lag / multiple, lag)
    return jnp.where(found, lag, jnp.inf), jnp.where(found, jnp.clip(strength, 0.0, 1.0), 0.0)


def _vote(f0_hz: jax.Array, strength: jax.Array, energy: jax.Array) -> tuple[jax.Array, jax.Array]:
    """The clip's pitch: the pooled curve's, unless more of the sound agrees with the median frame.

    A pitch that moves smears the pooled curve, and then only the frames know it; in noise it is the other
    way round.

    Args:
        f0_hz: [frames + 1], the last one from the pooled curve; so is the last of `strength`.
        strength: [frames + 1].
        energy: [frames].

    Returns:
        f0 in Hz and strength, scalars.
    """
    weight = energy * strength[:-1]
    order = jnp.argsort(f0_hz[:-1])
    rank = jnp.cumsum(weight[order])
    median_hz = f0_hz[:-1][order][jnp.argmax(rank >= 0.5 * rank[-1])]

    def support(centre_hz: jax.Array) -> jax.Array:
        near = jnp.abs(f0_hz[:-1] - centre_hz) < _VOTE_WIDTH * centre_hz
        return safe_divide(jnp.sum(jnp.where(near, weight, 0.0)), jnp.sum(energy), _SILENT_ENERGY)

    median_support = support(median_hz)
    pooled_wins = support(f0_hz[-1]) >= median_support
    return jnp.where(pooled_wins, f0_hz[-1], median_hz), jnp.where(pooled_wins, strength[-1], median_support)


def _frames_inside(n: int, frame_length: int, hop: int) -> slice:
    """Frames that reach over neither end of a clip of `n` samples; all of them if there is none.

    The zeros beyond the ends look like a change of the sound: they pull long periods by some cents.
    """
    left = frame_length // 2
    first = -(-left // hop)
    last = (n - (frame_length - left)) // hop
    return slice(first, last + 1) if first <= last else slice(None)


def periodicity(
    audio: jax.Array,
    sample_rate: int,
    *,
    fmin_hz: float = DEFAULT_FMIN_HZ,
    fmax_hz: float = DEFAULT_FMAX_HZ,
    frame_length: int | None = None,
    hop: int | None = None,
) -> Periodicity:
    """Fundamental frequency and periodicity of a monophonic clip.

    Args:
        audio: [n].
        sample_rate: Hz.
        fmin_hz: lowest fundamental looked for; a frame should hold three of its periods.
        fmax_hz: highest fundamental looked for.
        frame_length: samples a frame; `FRAME_HOPS` default hops if None.
        hop: samples between frame centres; `TRACK_HOPS` default hops if None.

    Returns:
        `Periodicity`, with `1 + n // hop` frames.
    """
    frame_length = FRAME_HOPS * default_hop(sample_rate) if frame_length is None else frame_length
    hop = TRACK_HOPS * default_hop(sample_rate) if hop is None else hop
    oversample = 2 if sample_rate < 24_000 else 1
    lag_rate = sample_rate * oversample
    min_lag = max(2, int(lag_rate / fmax_hz))
    max_lag = int(np.ceil(lag_rate / fmin_hz))
    frames = frame(_favour_lows(audio - jnp.mean(audio), sample_rate), frame_length, hop)
    correlation, overlap = _square_difference_parts(frames, max_lag + 4, oversample)
    inside = _frames_inside(audio.shape[-1], frame_length, hop)
    clip_r = jnp.sum(correlation[inside], axis=0, keepdims=True)
    clip_m = jnp.sum(overlap[inside], axis=0, keepdims=True)
    curves = jnp.concatenate(
        [
            safe_divide(2.0 * correlation, overlap, _SILENT_ENERGY),
            safe_divide(2.0 * clip_r, clip_m, _SILENT_ENERGY),
        ]
    )
    lag, strength = jax.vmap(lambda curve: _period(curve, min_lag, max_lag))(curves)
    f0_hz = lag_rate / lag
    clip_f0_hz, clip_strength = _vote(f0_hz, strength, overlap[:, 0])
    return Periodicity(clip_f0_hz, clip_strength, f0_hz[:-1], strength[:-1])


def pitch(sound: Sound) -> Periodicity:
    """`periodicity` of a sound, with its defaults."""
    return periodicity(sound.audio, sound.sample_rate)


def f0_hz(sound: Sound) -> jax.Array:
    """The clip's fundamental, scalar; 0 where nothing repeats."""
    return sound[pitch].f0_hz


def strength(sound: Sound) -> jax.Array:
    """How periodic the clip is, scalar, 0 (noise, silence) to 1 (exactly periodic)."""
    return sound[pitch].strength


def track_f0_hz(sound: Sound) -> jax.Array:
    """Fundamental of each frame of the pitch track, [pitch_frames]; 0 where nothing repeats."""
    return sound[pitch].track_f0_hz


def track_strength(sound: Sound) -> jax.Array:
    """How periodic each frame of the pitch track is, [pitch_frames], 0 to 1."""
    return sound[pitch].track_strength
