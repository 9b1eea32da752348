"""MSS: multi-scale distance between log-mel spectrograms.

As evaluated in Hayes, Saitis and Fazekas 2025, "Audio synthesizer inversion in symmetric parameter spaces
with approximately equivariant flow matching" (ISMIR, arXiv 2506.07199), by the published evaluation script
(repository ben-hayes/synth-permutations, scripts/compute_audio_metrics.py).
"""

import jax
import jax.numpy as jnp

from ddsprl.metrics.frames import mel_db, samples

# Window and hop in milliseconds, and the number of mel bands.
SCALES = ((10, 5, 32), (25, 10, 64), (100, 50, 128))


def mss(target: jax.Array, candidate: jax.Array, sample_rate: int) -> jax.Array:
    """Mean absolute difference of log-mel spectrograms at three resolutions, averaged over them.

    At each of (window, hop, bands) = (10 ms, 5 ms, 32), (25 ms, 10 ms, 64), (100 ms, 50 ms, 128): mel power
    of centred Hann frames, in dB relative to the clip's *own* loudest cell and no lower than -80 dB; then
    the mean of |difference| over all cells. The gain between the clips is therefore not heard, except
    where a clip falls silent. Silence is 0 dB everywhere, as in the script: a silent candidate is as far
    away as the target's mean distance from its loudest cell.

    The published numbers are of 4 s clips at 44.1 kHz; at another rate the windows last as long and the mel
    bands end at half that rate, so compare methods at one rate.

    Args:
        target: [n].
        candidate: [n].
        sample_rate: Hz, static.

    Returns:
        Non-negative scalar, dB, at most 80; symmetric; 0 for equal clips.
    """
    distances = [_distance(target, candidate, sample_rate, scale) for scale in SCALES]
    return sum(distances[1:], distances[0]) / len(SCALES)


def _distance(
    target: jax.Array, candidate: jax.Array, sample_rate: int, scale: tuple[int, int, int]
) -> jax.Array:
    window_ms, hop_ms, n_mels = scale

    def relative_db(audio: jax.Array) -> jax.Array:
        window, hop = samples(window_ms, sample_rate), samples(hop_ms, sample_rate)
        db = mel_db(audio, sample_rate, window=window, hop=hop, n_mels=n_mels)
        return db - jnp.max(db)

    return jnp.mean(jnp.abs(relative_db(target) - relative_db(candidate)))
