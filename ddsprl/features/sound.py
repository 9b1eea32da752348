"""A clip under analysis: what several measurements need of it is measured once.

    sound = Sound(audio, 16_000)
    sound[magnitude]             # [frames, bins], computed now
    sound[centroid_hz]           # asks for the magnitudes, which are there already

A measurement is a pure function of a sound, and is its own name: no list says what depends on what.
"""

from collections.abc import Callable
from typing import Any, Self, TypeVar

import jax

from ddsprl.features.framing import default_hop

DEFAULT_N_FFT = 1024

Value = TypeVar("Value")


class Sound:
    """One clip, with one time grid of `1 + n // hop` frames for all that is measured frame by frame.

    Attributes:
        audio: [n], 1.0 is full scale.
        sample_rate: Hz.
        n_fft: window and transform length in samples.
        hop: samples between frame centres.
    """

    def __init__(
        self, audio: jax.Array, sample_rate: int, *, n_fft: int = DEFAULT_N_FFT, hop: int | None = None
    ) -> None:
        """Take a clip [n]; `hop` is `default_hop(sample_rate)` if None."""
        self.audio, self.sample_rate, self.n_fft = audio, sample_rate, n_fft
        self.hop = default_hop(sample_rate) if hop is None else hop
        self._measured: dict[Callable[..., Any], Any] = {}

    def __getitem__(self, measure: Callable[[Self], Value]) -> Value:
        """`measure(self)`, computed when it is first asked for."""
        if measure not in self._measured:
            self._measured[measure] = measure(self)
        return self._measured[measure]
