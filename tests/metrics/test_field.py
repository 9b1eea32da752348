"""The published metrics against independent computations and the reference packages."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.fft
import scipy.signal
import scipy.stats

from ddsprl.metrics import dtw_cost, field_metrics, field_metrics_batch
from tests.metrics.clips import RATE, hiss, pairs, voice

N = 8_000
# MSS, wMFCC, SOT, RMS cosine by librosa 0.11 and dtw-python 1.9 on the clips of `clips.py`, from a script
# that applies the published definitions (which divide by zero for the cosine of silence: 0 is our choice).
# At 44.1 kHz some windows are odd and the length is a multiple of a hop.
REFERENCE = {
    (RATE, N): {
        "same": (0.0, 0.0, 0.0, 1.0),
        "louder": (0.0, 3.3723758, 0.0, 1.0),
        "other tone": (20.3799306, 22.9586032, 0.0756733, 0.9468699),
        "late": (15.4264584, 6.0654819, 0.1847998, 0.5862087),
        "hiss": (31.7623946, 34.7491381, 0.2976931, 0.8459944),
        "silent": (40.2341499, 51.6424053, 0.7992121, 0.0),
    },
    (44_100, 22_000): {
        "same": (0.0, 0.0, 0.0, 1.0),
        "louder": (0.0, 3.371708, 0.0, 1.0),
        "other tone": (15.6602504, 18.4714072, 0.0259573, 0.9472936),
        "late": (12.2537694, 5.8880418, 0.1887906, 0.585893),
        "hiss": (41.9712076, 41.0199082, 0.4251993, 0.8538072),
        "silent": (48.2133641, 58.7859888, 0.9266898, 0.0),
    },
}


@pytest.mark.parametrize(("rate", "n"), REFERENCE)
def test_the_reference_packages_agree(rate, n):
    named = pairs(n, rate)
    targets, candidates = (np.stack(clips) for clips in zip(*named.values(), strict=True))
    measured = np.stack(field_metrics_batch(targets, candidates, rate), -1)
    expected = np.array([REFERENCE[rate, n][name] for name in named])
    np.testing.assert_allclose(measured, expected, rtol=1e-5, atol=5e-6)


def test_a_batch_broadcasts_and_equals_single_pairs():
    targets = np.stack([voice(f0, 0.2, 1.0, n=N) for f0 in (110.0, 180.0)])
    candidates = np.stack([voice(f0, 0.1, 2.0, n=N) for f0 in np.linspace(100.0, 400.0, 34)])
    candidates = candidates.reshape(2, 17, N)
    measured = field_metrics_batch(targets[:, None], candidates, RATE)
    assert all(values.shape == (2, 17) and isinstance(values, np.ndarray) for values in measured)
    single = jax.jit(field_metrics, static_argnums=2)
    for t, c in ((0, 3), (1, 16)):
        alone = np.array(single(jnp.asarray(targets[t]), jnp.asarray(candidates[t, c]), RATE))
        np.testing.assert_allclose(np.array([values[t, c] for values in measured]), alone, rtol=1e-4)


def test_metrics_are_symmetric_and_gain_is_heard_only_by_wmfcc():
    a, b = pairs(N)["other tone"]
    forward, back, louder = np.stack(
        field_metrics_batch(np.stack([a, b, a]), np.stack([b, a, 0.5 * b]), RATE), -1
    )
    np.testing.assert_allclose(forward, back, rtol=1e-5)
    np.testing.assert_allclose(forward[[0, 2, 3]], louder[[0, 2, 3]], rtol=1e-4)
    assert abs(forward[1] - louder[1]) > 0.1


def test_silence_against_silence():
    silence = np.zeros((1, N), np.float32)
    assert [float(v[0]) for v in field_metrics_batch(silence, silence, RATE)] == [0.0, 0.0, 0.0, 1.0]


def frames_of(clip, window, hop):
    """Centred frames by plain slicing, float64 [frames, window]."""
    half = window // 2
    padded = np.concatenate([np.zeros(half), clip.astype(np.float64), np.zeros(half)])
    return np.array([padded[i : i + window] for i in range(0, padded.size - window + 1, hop)])


def magnitudes_of(clip, window, hop):
    hann = scipy.signal.get_window("hann", window)
    return np.abs(np.asarray(scipy.fft.rfft(frames_of(clip, window, hop) * hann, axis=-1)))


def mel_weights(window, n_mels):
    """Slaney's triangles, one bin at a time, by interpolation between their corners."""
    corner_mel = np.linspace(0.0, 15.0 + 27.0 * np.log(RATE / 2 / 1000.0) / np.log(6.4), n_mels + 2)
    corners = np.where(corner_mel < 15.0, corner_mel * 200 / 3, 1000.0 * 6.4 ** ((corner_mel - 15.0) / 27.0))
    bins = scipy.fft.rfftfreq(window, 1 / RATE)
    return np.array(
        [
            np.interp(bins, corners[i : i + 3], [0.0, 2.0 / (corners[i + 2] - corners[i]), 0.0])
            for i in range(n_mels)
        ]
    )


def mel_decibels(clip, window, hop, n_mels):
    power = magnitudes_of(clip, window, hop) ** 2 @ mel_weights(window, n_mels).T
    db = 10.0 * np.log10(np.maximum(power, 1e-10))
    return np.maximum(db, db.max() - 80.0)


def slow_dtw(cost):
    """The recursion, cell by cell."""
    total = np.full(cost.shape, np.inf)
    total[0, 0] = cost[0, 0]
    for i, j in itertools.product(*map(range, cost.shape)):
        if i:
            total[i, j] = min(total[i, j], total[i - 1, j] + cost[i, j])
        if j:
            total[i, j] = min(total[i, j], total[i, j - 1] + cost[i, j])
        if i and j:
            total[i, j] = min(total[i, j], total[i - 1, j - 1] + 2 * cost[i, j])
    return total[-1, -1]


@pytest.mark.parametrize("name", ["other tone", "late", "hiss"])
def test_scipy_agrees(name):
    a, b = pairs(N)[name]
    measured = [float(values[0]) for values in field_metrics_batch(a[None], b[None], RATE)]
    scales = ((160, 80, 32), (400, 160, 64), (1600, 800, 128))
    relative = [[(db := mel_decibels(clip, *scale)) - db.max() for clip in (a, b)] for scale in scales]
    assert measured[0] == pytest.approx(np.mean([np.mean(np.abs(x - y)) for x, y in relative]), rel=1e-4)

    first, second = (scipy.fft.dct(mel_decibels(x, 800, 160, 128), norm="ortho") for x in (a, b))
    first, second = (np.asarray(coefficients)[:, :20] for coefficients in (first, second))
    cost = np.mean(np.abs(first[:, None] - second[None]), -1)
    assert measured[1] == pytest.approx(slow_dtw(cost) / sum(cost.shape), rel=1e-4)

    place = np.arange(401) / 401
    spectra = zip(magnitudes_of(a, 800, 320), magnitudes_of(b, 800, 320), strict=True)
    distances = [distance_of_spectra(place, x, y) for x, y in spectra]
    assert measured[2] == pytest.approx(np.mean(distances), rel=1e-4)

    first, second = (np.sqrt(np.mean(frames_of(x, 800, 400) ** 2, -1)) for x in (a, b))
    cosine = first @ second / np.linalg.norm(first) / np.linalg.norm(second)
    assert measured[3] == pytest.approx(cosine, rel=1e-5)


def distance_of_spectra(place, x, y):
    """Optimal transport by SciPy; a frame without mass lies beyond the top of the axis."""
    if min(x.sum(), y.sum()) > 1e-6:
        return scipy.stats.wasserstein_distance(place, place, x, y)
    heard = x if x.sum() > y.sum() else y
    return 0.0 if heard.sum() < 1e-6 else np.sum((1.0 - place) * heard) / heard.sum()


def best_path_cost(cost):
    """Cheapest of all warping paths, each one walked."""

    def walk(i, j):
        if (i, j) == (0, 0):
            yield cost[0, 0]
        for back_i, back_j, weight in ((1, 0, 1.0), (0, 1, 1.0), (1, 1, 2.0)):
            if i >= back_i and j >= back_j:
                yield from (c + weight * cost[i, j] for c in walk(i - back_i, j - back_j))

    return min(walk(cost.shape[0] - 1, cost.shape[1] - 1))


@pytest.mark.parametrize("shape", [(1, 1), (1, 4), (4, 1), (4, 5), (6, 3), (5, 5)])
def test_warping_finds_the_cheapest_of_all_paths(shape):
    costs = np.random.default_rng(sum(shape)).uniform(0.0, 1.0, (8, *shape)).astype(np.float32)
    found = np.asarray(jax.jit(jax.vmap(dtw_cost))(jnp.asarray(costs)))
    np.testing.assert_allclose(found, [best_path_cost(cost) for cost in costs], rtol=1e-6)


def test_warping_of_long_sequences():
    cost = np.random.default_rng(0).uniform(0.0, 1.0, (200, 170)).astype(np.float32)
    assert float(dtw_cost(jnp.asarray(cost))) == pytest.approx(slow_dtw(cost.astype(np.float64)), rel=1e-5)


def test_warping_follows_a_stretched_sequence_at_no_cost():
    sequence = np.array([0.0, 1.0, 3.0, 2.0, 5.0])
    stretched = np.repeat(sequence, [1, 3, 1, 2, 4])
    assert float(dtw_cost(jnp.abs(jnp.asarray(sequence[:, None] - stretched[None])))) == 0.0


def test_a_shifted_line_is_moved_by_its_distance():
    time_s = np.arange(N) / RATE
    low, high = (np.sin(2 * np.pi * hz * time_s).astype(np.float32) for hz in (1000.0, 3000.0))
    moved = field_metrics_batch(low[None], high[None], RATE).sot[0]
    # 2 kHz of 8, but for the frames at the ends, whose cut windows leak.
    assert moved == pytest.approx(0.25, abs=0.02)


def test_noise_is_finite():
    noise = hiss(N)[None]
    assert all(np.isfinite(v).all() for v in field_metrics_batch(noise, 1e-7 * noise, RATE))
