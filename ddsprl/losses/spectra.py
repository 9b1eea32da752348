"""Power spectra for the losses: reflected edges and windows shorter than the transform, as auraloss has them.

The features of `ddsprl.features` extend a clip by zeros (librosa); the losses extend it by its own
mirror image (`torch.stft`, and so `auraloss`). One set of spectra serves all the spectral losses.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from ddsprl.features.stft import hann_window


class Resolution(NamedTuple):
    """One STFT setting.

    Attributes:
        n_fft: transform length in samples.
        hop: samples between frame centres.
        win_length: window length in samples, at most `n_fft`.
    """

    n_fft: int
    hop: int
    win_length: int


def quarter_hop(n_fft: int) -> Resolution:
    """The resolution whose window fills the transform and whose hop is a quarter of it."""
    return Resolution(n_fft, n_fft // 4, n_fft)


def _reflected_frames(audio: jax.Array, resolution: Resolution) -> jax.Array:
    """Cut centred frames of `win_length` samples by slices of blocks; XLA is slow at gathers."""
    hop, length = resolution.hop, resolution.win_length
    n = audio.shape[-1]
    frames = 1 + n // hop
    blocks_per_frame = -(-length // hop)
    # auraloss centres a short window in the transform, so the frame starts half a *window* early.
    left = resolution.n_fft // 2 - (resolution.n_fft - length) // 2
    needed = (frames - 1 + blocks_per_frame) * hop
    reach = (frames - 1) * hop + length - left - n
    right = max(reach, 0)
    padded = jnp.pad(audio, (left, right), mode="reflect")
    padded = jnp.pad(padded, (0, max(needed - padded.shape[-1], 0)))[:needed]
    blocks = padded.reshape(-1, hop)
    framed = jnp.concatenate([blocks[k : k + frames] for k in range(blocks_per_frame)], axis=1)
    return framed[:, :length]


def power_spectrum(audio: jax.Array, resolution: Resolution) -> jax.Array:
    """Squared STFT magnitude with a periodic Hann window, centred frames and reflected edges.

    Args:
        audio: [n], at least 2 samples.
        resolution: the STFT setting.

    Returns:
        [1 + n // hop, n_fft // 2 + 1], unscaled.
    """
    windowed = _reflected_frames(audio, resolution) * jnp.asarray(
        hann_window(resolution.win_length), audio.dtype
    )
    spectrum = jnp.fft.rfft(windowed, n=resolution.n_fft, axis=-1)
    return jnp.square(spectrum.real) + jnp.square(spectrum.imag)


def power_spectra(audio: jax.Array, resolutions: tuple[Resolution, ...]) -> dict[int, jax.Array]:
    """Power spectra at several resolutions, computed one after the other.

    On the CPU backend, transforms without a data dependency are scheduled side by side and all their
    frames are alive at once; a batch of 64 half-second clips then took 17 to 19 ms instead of 8. Each
    clip here waits for the previous spectrum by adding `min(power, 0)`, which is always zero.

    Args:
        audio: [n].
        resolutions: STFT settings with distinct `n_fft`.

    Returns:
        `{n_fft: power [frames, bins]}`.
    """
    spectra: dict[int, jax.Array] = {}
    for resolution in resolutions:
        power = power_spectrum(audio, resolution)
        spectra[resolution.n_fft] = power
        audio = audio + jnp.minimum(jax.lax.stop_gradient(power[0, 0]), 0.0)
    return spectra


def spectral_norm_of_level(n: int, resolution: Resolution, rms_db: float) -> float:
    """Frobenius norm of the magnitude spectrogram of a steady sound at an RMS level.

    By Parseval, half of `n_fft * sum(window**2) * rms**2` a frame, over the one-sided bins.

    Args:
        n: samples of the clip.
        resolution: the STFT setting.
        rms_db: level in dB relative to full scale (amplitude 1).
    """
    frames = 1 + n // resolution.hop
    window_energy = float(np.sum(np.square(hann_window(resolution.win_length))))
    return float(np.sqrt(0.5 * frames * resolution.n_fft * window_energy)) * 10.0 ** (rms_db / 20.0)
