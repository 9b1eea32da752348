"""When a recorded note starts, when its key was let go, and how long a render has to be to cover it.

All three read a short-time RMS envelope in dB, so a constant offset, the polarity and the gain do not matter.
Everything here is NumPy on the host and runs once per recording.
"""

import numpy as np

LENGTH_GRID_S = (0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 10.0)

# Onset: a note is a rise well above the noise before it that comes within 20 dB of the peak.
ONSET_FRAME_S, ONSET_HOP_S = 0.004, 0.001
ONSET_NEAR_PEAK_DB = -20.0
ONSET_FLOOR_DB = -60.0
ONSET_ABOVE_NOISE_DB = 8.0
ONSET_HOLD_S = 0.008
PREROLL_S = 0.003

# Gate: the frame is long enough to cover a period of a low E (41 Hz) in its RMS.
GATE_FRAME_S, GATE_HOP_S = 0.03, 0.005
GATE_RANGE_DB = -50.0
GATE_SLOPE_SPAN_S = 0.08
GATE_MIN_SLOPE_DB_S = 20.0
GATE_MIN_DROP_DB = 4.0
GATE_CORNER_DB = 10.0
PERCUSSIVE_ATTACK_S = 0.06
PERCUSSIVE_GATE_DB = -40.0

TAIL_DB = -50.0
TAIL_ABOVE_NOISE_DB = 6.0


def trim_onset(samples: np.ndarray, sample_rate: int) -> tuple[np.ndarray, float]:
    """Cuts the silence or noise before a note.

    The first place that comes within 20 dB of the peak and stays there for some milliseconds (a click does
    not) surely belongs to the note. From there the cut moves back to where the envelope leaves the noise
    before it (or -60 dB of the peak), and a pre-roll of 3 ms further, so that an attack is kept whole.

    Args:
        samples: [n].
        sample_rate: in Hz.

    Returns:
        The samples from the onset on, [m] with m <= n, and the seconds cut off in front of them.
    """
    _, level = envelope_db(samples, sample_rate, frame_s=ONSET_FRAME_S, hop_s=ONSET_HOP_S)
    hold = max(1, round(ONSET_HOLD_S / ONSET_HOP_S))
    sure = _first_held(level > ONSET_NEAR_PEAK_DB, hold)
    threshold = ONSET_FLOOR_DB
    if sure > 0:
        # A low percentile, not the mean: with a slow swell the frames before `sure` are the note itself.
        noise = float(np.percentile(level[:sure], 20.0))
        threshold = max(threshold, min(noise + ONSET_ABOVE_NOISE_DB, ONSET_NEAR_PEAK_DB))
    quiet = np.flatnonzero(level[: sure + 1] < threshold)
    first = int(quiet[-1]) + 1 if quiet.size else 0
    # Frame i is centred on i hops and already hears half a frame ahead of its centre.
    onset = first * ONSET_HOP_S + ONSET_FRAME_S / 2 if first else 0.0
    start = max(0, round((onset - PREROLL_S) * sample_rate))
    return samples[start:], start / sample_rate


def estimate_gate(samples: np.ndarray, sample_rate: int) -> float:
    """Estimates when the key was let go: where the final fall of the level begins.

    The envelope is replaced by the loudest level still to come, which turns tremolo and beating into a
    staircase that only falls. Its last stretch of steady fall is found, traced back from its middle to where
    it was at most a fifth as steep, and the corner there placed by a fit of two joined lines.

    Where no release can be seen there is a convention: a sound that does not fall by the end of the clip is
    held for all of it; one that falls steadily from its peak (plucked, struck, or too short a note to tell)
    is held until it has fallen by 40 dB, or for all of the clip.

    Args:
        samples: [n], beginning at the note's onset (`trim_onset`).
        sample_rate: in Hz.

    Returns:
        The gate in seconds, above 0 and at most the clip's length.
    """
    duration_s = samples.shape[0] / sample_rate
    times, level = envelope_db(samples, sample_rate, frame_s=GATE_FRAME_S, hop_s=GATE_HOP_S)
    floor = max(GATE_RANGE_DB, _noise_level(level) + TAIL_ABOVE_NOISE_DB)
    held = np.maximum(np.maximum.accumulate(level[::-1])[::-1], floor)
    end = int(np.flatnonzero(held > floor)[-1])
    slope = _slope_ahead(held, end)

    start = _trace_back(slope, end, GATE_MIN_SLOPE_DB_S)
    last = min(end + 1, held.size - 1)
    if held[start] - held[last] < GATE_MIN_DROP_DB:
        return duration_s
    middle, steepness = _middle_of_fall(held, start, last)
    start = _trace_back(slope, middle, max(GATE_MIN_SLOPE_DB_S, 0.2 * steepness))
    attack_end = int(np.argmax(level > -3.0))
    if start - attack_end <= PERCUSSIVE_ATTACK_S / GATE_HOP_S:
        below = np.flatnonzero(held <= max(PERCUSSIVE_GATE_DB, floor))
        return float(np.clip(times[below[0]], GATE_HOP_S, duration_s)) if below.size else duration_s
    return float(np.clip(times[_corner(held, start, last)], GATE_HOP_S, duration_s))


def choose_length(samples: np.ndarray, sample_rate: int, *, max_s: float = 4.0) -> float:
    """Chooses a render length that covers a sound down to 50 dB below its peak (or to its noise floor).

    Lengths come from a small grid, so that targets of like length share one compiled program; 2 % of the
    length may stick out, so that a sound of a hair over 1 s does not cost 2 s.

    Args:
        samples: [n], beginning at the note's onset.
        sample_rate: in Hz.
        max_s: the longest length allowed, itself a choice.

    Returns:
        The length in seconds.
    """
    times, level = envelope_db(samples, sample_rate, frame_s=GATE_FRAME_S, hop_s=GATE_HOP_S)
    floor = max(TAIL_DB, _noise_level(level) + TAIL_ABOVE_NOISE_DB)
    tail_s = min(float(times[np.flatnonzero(level > floor)[-1]]) + GATE_HOP_S, samples.shape[0] / sample_rate)
    fitting = [length_s for length_s in LENGTH_GRID_S if length_s < max_s and tail_s <= 1.02 * length_s]
    return fitting[0] if fitting else max_s


def fit_length(samples: np.ndarray, n: int, *, fade: int = 128) -> np.ndarray:
    """Makes a clip exactly `n` samples long: zeros are appended, or the end is cut and faded out.

    Args:
        samples: [m].
        n: the wanted number of samples.
        fade: the length of the raised-cosine fade before a cut, in samples (at most a quarter of `n`).

    Returns:
        A new array, [n], of the same dtype.
    """
    if samples.shape[0] <= n:
        return np.pad(samples, (0, n - samples.shape[0]))
    cut = samples[:n].copy()
    fade = min(fade, n // 4)
    if fade:
        ramp = 0.5 + 0.5 * np.cos(np.pi * np.arange(1, fade + 1) / fade)
        cut[-fade:] *= ramp.astype(cut.dtype)
    return cut


def envelope_db(
    samples: np.ndarray, sample_rate: int, *, frame_s: float, hop_s: float
) -> tuple[np.ndarray, np.ndarray]:
    """Short-time RMS level, 0 dB at its maximum (and throughout, if there is nothing but silence).

    Args:
        samples: [n].
        sample_rate: in Hz.
        frame_s: length of the rectangular window, in seconds; shorter at the ends of the clip.
        hop_s: distance of the frames, in seconds; frame i is centred on i * hop_s.

    Returns:
        The frames' times in seconds and their levels in dB (never below -200), both [frames].
    """
    x = np.asarray(samples, np.float64)
    power = np.concatenate([[0.0], np.cumsum(np.square(x - _resting_value(x, sample_rate)))])
    times = np.arange(0.0, x.size / sample_rate, hop_s)
    left = np.clip(np.round((times - frame_s / 2) * sample_rate).astype(int), 0, x.size - 1)
    right = np.clip(np.round((times + frame_s / 2) * sample_rate).astype(int), left + 1, x.size)
    # The running sum cannot resolve less than its rounding error, which is far below any 24-bit noise.
    mean_square = np.maximum(power[right] - power[left], 1e-15 * power[-1]) / (right - left)
    loudest = mean_square.max()
    if loudest == 0.0:
        return times, np.zeros_like(times)
    return times, 10.0 * np.log10(np.maximum(mean_square / loudest, 1e-20))


def _resting_value(x: np.ndarray, sample_rate: int) -> float:
    """Mean of the steadiest 50 ms: the recording's constant offset.

    The mean of all would also hear an offset that only the note has, and leave it in the silence after it.
    """
    block = min(x.size, round(0.05 * sample_rate))
    blocks = x[: x.size // block * block].reshape(-1, block)
    return float(blocks.mean(axis=1)[np.argmin(blocks.var(axis=1))])


def _noise_level(level: np.ndarray) -> float:
    """Level of the clip's noise in dB, or -200 if none can be told from the sound.

    Noise is quiet and steady; a decay that is cut off by the clip's end is quiet there, but not steady.
    """
    quietest, quiet = np.percentile(level, [5.0, 20.0])
    return float(quietest) if quietest < -25.0 and quiet - quietest < 2.5 else -200.0


def _first_held(above: np.ndarray, hold: int) -> int:
    """Index of the first of `hold` true values in a row; if there is no such run, of the first true value."""
    counts = np.convolve(above.astype(int), np.ones(hold, int))[hold - 1 :]
    runs = np.flatnonzero(counts == hold)
    return int(runs[0]) if runs.size else int(np.argmax(above))


def _slope_ahead(held: np.ndarray, end: int) -> np.ndarray:
    """Mean fall over the next 80 ms in dB/s (positive is falling), [end + 1]; over less near the end."""
    span = round(GATE_SLOPE_SPAN_S / GATE_HOP_S)
    here = np.arange(end + 1)
    ahead = np.minimum(here + span, min(end + 1, held.size - 1))
    # At the very end of a clip a slope over one or two frames is noise: the last good one is repeated.
    reliable = np.maximum(here[-1] - span // 3, 0)
    slope = (held[here] - held[ahead]) / (np.maximum(ahead - here, 1) * GATE_HOP_S)
    slope[here > reliable] = slope[reliable]
    return slope


def _trace_back(slope: np.ndarray, index: int, least: float) -> int:
    """Goes back from `index` while the fall is at least `least` dB/s; returns that stretch's first frame."""
    gentle = np.flatnonzero(slope[: index + 1] < least)
    return min(int(gentle[-1]) + 1, index) if gentle.size else 0


def _middle_of_fall(held: np.ndarray, start: int, last: int) -> tuple[int, float]:
    """Frame where half of the fall (in dB) is done, and the steepness there in dB/s."""
    done = (held[start] - held[start : last + 1]) / (held[start] - held[last])
    early, middle, late = (int(np.argmax(done >= part)) for part in (0.35, 0.5, 0.65))
    drop = held[start + early - 1 if early else start] - held[start + late]
    return start + middle, float(drop / (max(late - early + 1, 1) * GATE_HOP_S))


def _corner(held: np.ndarray, start: int, last: int) -> int:
    """Frame of the corner near `start` that two joined lines fit best, in the least-squares sense."""
    reach = round(0.1 / GATE_HOP_S)
    # Only the top of the fall: further down a release that ends in silence bends away from a line.
    deep = np.flatnonzero(held[start : last + 1] < held[start] - GATE_CORNER_DB)
    stop = min(start + (int(deep[0]) if deep.size else last - start), start + 2 * reach, last) + 1
    first = max(0, start - reach)
    t = np.arange(first, max(stop, start + 4), dtype=float)
    y = held[first : first + t.size]
    t = t[: y.size]
    best, best_error = start, np.inf
    for knot in range(max(first + 2, start - reach // 2), min(start + reach, int(t[-1]) - 1)):
        basis = np.stack([np.ones_like(t), np.minimum(t - knot, 0.0), np.maximum(t - knot, 0.0)], axis=1)
        weights = np.linalg.lstsq(basis, y, rcond=None)[0]
        error = float(np.sum(np.square(basis @ weights - y)))
        if error < best_error:
            best, best_error = knot, error
    return best
