"""What a loss term is, and what it may ask of a clip.

    TERM = Term(weight=0.5, prepare=prepare, distance=distance, needs=longest_window)

    def prepare(clip: Clip) -> jax.Array:                      # the target's side, once
        return centre(clip.powers[max(clip.config.n_ffts)])

    def distance(clip: Clip, target: jax.Array) -> jax.Array:  # of a candidate, scalar
        return jnp.abs(centre(clip.powers[max(clip.config.n_ffts)]) - target)

One record in the term's own file and one line in `ddsprl.losses.registry`: the objective, the weights, the
settings and the laws in the tests take it from there. What terms share is a function of a clip too, and
computed once: `clip[mel_db]`, or any feature, `clip[centroid_hz]`.
"""

import dataclasses
import difflib
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

import jax

from ddsprl.features.sound import Sound
from ddsprl.losses.psychoacoustic import WEIGHTINGS
from ddsprl.losses.spectra import power_spectra, quarter_hop

Value = TypeVar("Value")


def check_name(option: str, name: str, allowed: Iterable[str]) -> None:
    """Refuse an unknown name.

    Raises:
        ValueError: with the nearest of the allowed names.
    """
    allowed = tuple(allowed)
    if name not in allowed:
        near = difflib.get_close_matches(name, allowed, n=1, cutoff=0.0)[0]
        raise ValueError(f"{option}: unknown {name!r}; did you mean {near!r}? allowed: {', '.join(allowed)}")


@dataclasses.dataclass(frozen=True)
class AnalysisConfig:
    """How the terms analyze clips; static and hashable.

    Attributes:
        n_ffts: windows of the power spectra in samples, each with a hop of a quarter.
        mel_n_fft: which of them feeds mel, MFCC and centroid.
        n_mels: mel bands.
        n_mfcc: cepstral coefficients.
        transport_bands: resolution of the transport's octave axis.
        envelope_hop_s: hop of the RMS envelope in seconds.
        weighting: psychoacoustic weighting of the MR-STFT, a key of `psychoacoustic.WEIGHTINGS`.
    """

    n_ffts: tuple[int, ...] = (2048, 1024, 512)
    mel_n_fft: int = 1024
    n_mels: int = 64
    n_mfcc: int = 20
    transport_bands: int = 96
    envelope_hop_s: float = 0.008
    weighting: str = "none"

    def __post_init__(self) -> None:
        """Check names and windows at the door."""
        check_name("weighting", self.weighting, WEIGHTINGS)
        if self.mel_n_fft not in self.n_ffts:
            raise ValueError(f"mel_n_fft: {self.mel_n_fft} is not one of n_ffts {self.n_ffts}")
        if len(set(self.n_ffts)) != len(self.n_ffts):
            raise ValueError(f"n_ffts: {self.n_ffts} has a window twice")


class Clip(Sound):
    """A clip as the terms hear it.

    Attributes:
        audio: [n]; of a candidate, after the loudness matching if the term asks for it.
        sample_rate: Hz.
        config: how to analyze.
        loudness_lufs: scalar, ungated, before any matching.
        powers: `{n_fft: [frames, bins]}`, for the windows that the terms need.
        references: what candidates take from the target, by name; see `reference`.
    """

    def __init__(
        self,
        audio: jax.Array,
        sample_rate: int,
        config: AnalysisConfig,
        *,
        loudness_lufs: jax.Array,
        windows: frozenset[int],
        references: dict[str, Any] | None = None,
    ) -> None:
        """Take the power spectra; a clip without `references` is the target itself."""
        super().__init__(audio, sample_rate)
        self.config, self.loudness_lufs = config, loudness_lufs
        self._is_target = references is None
        self.references: dict[str, Any] = {} if references is None else references
        self.powers = power_spectra(audio, tuple(quarter_hop(n) for n in config.n_ffts if n in windows))

    def reference(self, measure: Callable[["Clip"], Value]) -> Value:
        """What a measurement gives of the target, for target and candidates alike: a floor, say.

        The term's `prepare` must ask for it as well as its `distance`.
        """
        # A checkpoint's names have no dots.
        name = f"{measure.__module__.rpartition('.')[2]}_{measure.__name__}"
        if self._is_target:
            self.references[name] = self[measure]
        return self.references[name]


def no_window(config: AnalysisConfig) -> tuple[int, ...]:
    """For terms that need no power spectrum."""
    del config
    return ()


def every_window(config: AnalysisConfig) -> tuple[int, ...]:
    """Power spectra at all resolutions."""
    return config.n_ffts


def mel_window(config: AnalysisConfig) -> tuple[int, ...]:
    """The power spectrum under mel, MFCC and centroid."""
    return (config.mel_n_fft,)


def longest_window(config: AnalysisConfig) -> tuple[int, ...]:
    """The power spectrum with the finest resolution in frequency."""
    return (max(config.n_ffts),)


@dataclasses.dataclass(frozen=True)
class Term:
    """One way in which two clips differ.

    Attributes:
        weight: default factor of the distance in the total.
        prepare: `(clip) -> pytree`, all that the distance needs of a target.
        distance: `(clip, prepared) -> scalar`, in the term's own unit, not negative, 0 for equal clips.
        needs: `(config) -> windows` of the power spectra that both use.
        matched: whether candidates are brought to the target's loudness before.
        penalty: whether it is a fault that honest sounds do not have, rather than a distance.
    """

    weight: float
    prepare: Callable[[Clip], Any]
    distance: Callable[[Clip, Any], jax.Array]
    needs: Callable[[AnalysisConfig], tuple[int, ...]] = no_window
    matched: bool = True
    penalty: bool = False
