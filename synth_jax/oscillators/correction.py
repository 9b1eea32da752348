"""The fixed filter after the oscillator mix that gives back the treble which the edge kernel takes.

A symmetric (zero-phase) FIR, optimized together with the kernel in `waves.py` so that kernel times filter
loses under 3 dB below 0.4 of the sample rate while the partials that fold back from above Nyquist are
attenuated as much as possible (`benchmarks/alias.py` measures both). One filter serves all voices.
"""

import jax
import jax.numpy as jnp
import numpy as np

# h[0], h[1], ... of the symmetric impulse response; the sum over both sides is 1 (unity at DC).
TAPS = (
    1.6112770510,
    -0.2821527968,
    -0.1354147476,
    0.2423406789,
    -0.2102094671,
    0.1440783789,
    -0.0642805719,
)

REACH = len(TAPS) - 1  # samples that the filter looks ahead: render this many more and cut them off

BLOCK = 16


def correct(frames: jax.Array) -> jax.Array:
    """Treble-correct an oscillator mix.

    Each frame is multiplied by one banded matrix that spreads it over itself and its neighbours' edges. A sum
    of shifted signals would do the same sums, but the compiler would recompute the oscillators for every tap.

    Args:
        frames: consecutive samples, `[frames, hop]`; silence is assumed before and after.

    Returns:
        Samples, `[frames * hop]`, not delayed.
    """
    count, hop = frames.shape
    reach = REACH
    taps = np.array(TAPS[:0:-1] + TAPS)
    spread = np.zeros((hop, hop + 2 * reach))
    for i in range(hop):
        spread[i, i : i + 2 * reach + 1] = taps
    spread = jnp.asarray(spread, frames.dtype)
    wide = jnp.matmul(frames, spread, precision=jax.lax.Precision.HIGHEST)
    late = jnp.pad(wide[:-1, hop + reach :], ((1, 0), (0, hop - reach)))
    early = jnp.pad(wide[1:, :reach], ((0, 1), (hop - reach, 0)))
    return (wide[:, reach : reach + hop] + late + early).reshape(count * hop)


def correction_gain(frequency: jax.Array) -> jax.Array:
    """Gain of `correct` at a frequency in cycles per sample."""
    gain = jnp.full_like(frequency, TAPS[0])
    for i in range(1, len(TAPS)):
        gain = gain + 2.0 * TAPS[i] * jnp.cos(2.0 * np.pi * i * frequency)
    return gain
