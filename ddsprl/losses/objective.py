"""The objective: a target's cached features plus weights, giving named loss terms.

    objective = Objective(ObjectiveConfig(), sample_rate=16_000)
    target = objective.prepare(target_audio)
    result = objective(audio, target, ObjectiveWeights())
    result.total, result.terms["mr"], result.raw["cent"]

The static choice (which terms, which windows) is in the config and selects what is compiled; the
weights are traced, so a schedule may change them at every step. One set of three spectra serves all the
spectral terms. Raw terms are in natural units (dB, octaves, LU), so a report can be read.
"""

import dataclasses
import difflib
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from ddsprl.features.loudness import ungated_loudness
from ddsprl.features.mel import mel_filterbank
from ddsprl.features.mfcc import mfcc_from_mel_db
from ddsprl.losses import centroid, envelope, log_mel, matching, mrstft, penalties, transport
from ddsprl.losses.loudness import loudness_distance
from ddsprl.losses.mfcc import mfcc_distance
from ddsprl.losses.psychoacoustic import WEIGHTINGS, bin_weights
from ddsprl.losses.spectra import power_spectra, quarter_hop
from synth_jax.units import db_to_amplitude

_MEL_TERMS = frozenset({"mfcc", "log_mel"})


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class ObjectiveWeights:
    """Weight of each term; a pytree of scalars, so that it may be traced.

    The defaults let each distance contribute a like amount between random harmonic sounds, about a
    fifth of what MR-STFT does.

    Attributes:
        mr: multi-resolution STFT.
        mfcc: MFCC, per dB.
        cent: spectral centroid, per octave.
        loud: loudness, per LU.
        log_mel: log-mel, per dB.
        envelope: RMS envelope, per dB.
        transport: spectral optimal transport, per octave.
        dc: offset penalty, per full-scale amplitude.
        clip: clipping penalty, per fully clipped clip.
        overshoot: loudness overshoot penalty, per LU.
    """

    mr: float | jax.Array = 1.0
    mfcc: float | jax.Array = 0.05
    cent: float | jax.Array = 0.6
    loud: float | jax.Array = 0.1
    log_mel: float | jax.Array = 0.03
    envelope: float | jax.Array = 0.06
    transport: float | jax.Array = 0.5
    dc: float | jax.Array = 10.0
    clip: float | jax.Array = 10.0
    overshoot: float | jax.Array = 0.1


TERMS = tuple(field.name for field in dataclasses.fields(ObjectiveWeights))
"""Names of all terms, in order."""


@dataclasses.dataclass(frozen=True)
class ObjectiveConfig:
    """Static settings of an objective; hashable.

    Attributes:
        terms: names of the terms to compute; one that is left out costs nothing.
        n_ffts: windows of the MR-STFT in samples, each with a hop of a quarter.
        mel_n_fft: which of them feeds mel, MFCC and centroid.
        n_mels: mel bands.
        n_mfcc: cepstral coefficients.
        transport_bands: resolution of the transport's octave axis.
        envelope_hop_s: hop of the RMS envelope in seconds.
        weighting: psychoacoustic weighting of the MR-STFT, a key of `psychoacoustic.WEIGHTINGS`.
        match_loudness: whether the candidate is brought to the target's loudness first.
        max_gain_db: limit of that gain.
    """

    terms: tuple[str, ...] = TERMS
    n_ffts: tuple[int, ...] = (2048, 1024, 512)
    mel_n_fft: int = 1024
    n_mels: int = 64
    n_mfcc: int = 20
    transport_bands: int = transport.DEFAULT_BANDS
    envelope_hop_s: float = 0.008
    weighting: str = "none"
    match_loudness: bool = True
    max_gain_db: float = matching.MAX_GAIN_DB

    def __post_init__(self) -> None:
        """Check names and windows at the door."""
        for term in self.terms:
            _check_name("terms", term, TERMS)
        _check_name("weighting", self.weighting, tuple(WEIGHTINGS))
        if self.mel_n_fft not in self.n_ffts:
            raise ValueError(f"mel_n_fft: {self.mel_n_fft} is not one of n_ffts {self.n_ffts}")
        if len(set(self.n_ffts)) != len(self.n_ffts):
            raise ValueError(f"n_ffts: {self.n_ffts} has a window twice")


def _check_name(option: str, name: str, allowed: tuple[str, ...]) -> None:
    if name not in allowed:
        near = difflib.get_close_matches(name, allowed, n=1, cutoff=0.0)[0]
        raise ValueError(f"{option}: unknown {name!r}; did you mean {near!r}? allowed: {', '.join(allowed)}")


class TargetFeatures(NamedTuple):
    """All that the objective needs of a target; parts that no term asks for are None.

    Attributes:
        loudness_lufs: scalar, ungated.
        dc: scalar, mean of the samples.
        clip_excess: scalar, see `penalties.clip_excess`.
        spectra: one `mrstft.SpectrumTarget` a window, or None.
        mel_floor: scalar power, or None.
        mel_db: [frames, n_mels], or None.
        mfcc: [n_mfcc, frames], or None.
        centroid: `centroid.CentroidTarget`, or None.
        envelope_floor: scalar mean square, or None.
        envelope_db: [envelope frames], or None.
        transport: `transport.TransportTarget`, or None.
    """

    loudness_lufs: jax.Array
    dc: jax.Array
    clip_excess: jax.Array
    spectra: tuple[mrstft.SpectrumTarget, ...] | None
    mel_floor: jax.Array | None
    mel_db: jax.Array | None
    mfcc: jax.Array | None
    centroid: centroid.CentroidTarget | None
    envelope_floor: jax.Array | None
    envelope_db: jax.Array | None
    transport: transport.TransportTarget | None


class LossResult(NamedTuple):
    """What a comparison gives.

    Attributes:
        total: scalar, sum of `terms`.
        terms: `{name: weighted scalar}`.
        raw: `{name: unweighted scalar}`, in the term's own unit.
        gain_db: scalar, gain of the loudness matching (0 without).
    """

    total: jax.Array
    terms: dict[str, jax.Array]
    raw: dict[str, jax.Array]
    gain_db: jax.Array


@dataclasses.dataclass(frozen=True)
class Objective:
    """Compares clips with a prepared target; static and hashable, for one example (`vmap` outside).

    Attributes:
        config: static settings.
        sample_rate: Hz.
    """

    config: ObjectiveConfig
    sample_rate: int

    def prepare(self, target_audio: jax.Array) -> TargetFeatures:
        """Analyze a target once.

        Args:
            target_audio: [n], 1.0 is full scale.
        """
        config, wanted = self.config, frozenset(self.config.terms)
        powers, n = self._powers(target_audio), target_audio.shape[-1]
        mel = self._mel(powers) if wanted & _MEL_TERMS else None
        floor = None if mel is None else log_mel.mel_floor(mel)
        mel_db = None if mel is None or floor is None else log_mel.mel_to_db(mel, floor)
        level = envelope.mean_square_envelope(target_audio, self._envelope_hop)
        level_floor = envelope.envelope_floor(level)
        spectra = tuple(
            mrstft.prepare(powers[n_fft], n, quarter_hop(n_fft), self._bin_weights(n_fft))
            for n_fft in (config.n_ffts if "mr" in wanted else ())
        )
        return TargetFeatures(
            loudness_lufs=ungated_loudness(target_audio, self.sample_rate),
            dc=jnp.mean(target_audio),
            clip_excess=penalties.clip_excess(target_audio),
            spectra=spectra or None,
            mel_floor=floor,
            mel_db=mel_db if "log_mel" in wanted else None,
            mfcc=self._mfcc(mel_db) if mel_db is not None and "mfcc" in wanted else None,
            centroid=(
                centroid.prepare(powers[config.mel_n_fft], self.sample_rate) if "cent" in wanted else None
            ),
            envelope_floor=level_floor if "envelope" in wanted else None,
            envelope_db=envelope.envelope_to_db(level, level_floor) if "envelope" in wanted else None,
            transport=(
                transport.prepare(powers[max(config.n_ffts)], self.sample_rate, bands=config.transport_bands)
                if "transport" in wanted
                else None
            ),
        )

    def __call__(
        self, audio: jax.Array, target: TargetFeatures, weights: ObjectiveWeights | None = None
    ) -> LossResult:
        """Compare a clip with a target.

        Args:
            audio: [n], as long as the target's.
            target: from `prepare` of this objective.
            weights: one scalar a term; the defaults if None.
        """
        weights = ObjectiveWeights() if weights is None else weights
        loudness_lufs = ungated_loudness(audio, self.sample_rate)
        gain_db = jnp.zeros_like(loudness_lufs)
        if self.config.match_loudness:
            gain_db = matching.matching_gain_db(
                loudness_lufs, target.loudness_lufs, max_gain_db=self.config.max_gain_db
            )
        found = self._level_terms(audio, loudness_lufs, target)
        found |= self._sound_terms(audio * db_to_amplitude(gain_db), target)
        raw = {name: found[name] for name in self.config.terms}
        terms = {name: getattr(weights, name) * value for name, value in raw.items()}
        total = jnp.zeros_like(loudness_lufs)
        for value in terms.values():
            total = total + value
        return LossResult(total, terms, raw, gain_db)

    @property
    def _envelope_hop(self) -> int:
        return max(1, round(self.config.envelope_hop_s * self.sample_rate))

    def _bin_weights(self, n_fft: int) -> np.ndarray | None:
        return bin_weights(self.config.weighting, self.sample_rate, n_fft)

    def _powers(self, audio: jax.Array) -> dict[int, jax.Array]:
        """The power spectra that the terms ask for, by window."""
        config, wanted = self.config, frozenset(self.config.terms)
        needed = set(config.n_ffts) if "mr" in wanted else set()
        if wanted & (_MEL_TERMS | {"cent"}):
            needed.add(config.mel_n_fft)
        if "transport" in wanted:
            needed.add(max(config.n_ffts))
        return power_spectra(audio, tuple(quarter_hop(n) for n in config.n_ffts if n in needed))

    def _mel(self, powers: dict[int, jax.Array]) -> jax.Array:
        """Mel power [frames, n_mels]: time first, as the spectra are, which saves a transposition."""
        power = powers[self.config.mel_n_fft]
        filters = mel_filterbank(self.sample_rate, self.config.mel_n_fft, self.config.n_mels)
        return jnp.matmul(power, jnp.asarray(filters.T, power.dtype), precision=jax.lax.Precision.HIGHEST)

    def _mfcc(self, mel_db: jax.Array) -> jax.Array:
        return mfcc_from_mel_db(mel_db.T, self.config.n_mfcc)

    def _level_terms(
        self, audio: jax.Array, loudness_lufs: jax.Array, target: TargetFeatures
    ) -> dict[str, jax.Array]:
        """Terms on the clip as it is (four reductions: not worth a static choice)."""
        return {
            "loud": loudness_distance(loudness_lufs, target.loudness_lufs),
            "dc": penalties.dc_penalty(audio, target.dc),
            "clip": penalties.clip_penalty(audio, target.clip_excess),
            "overshoot": penalties.overshoot_penalty(loudness_lufs, target.loudness_lufs),
        }

    def _sound_terms(self, audio: jax.Array, target: TargetFeatures) -> dict[str, jax.Array]:
        """Terms on the loudness-matched clip."""
        config, found, powers = self.config, {}, self._powers(audio)
        if target.spectra is not None:
            distances = [
                mrstft.distance(powers[n_fft], spectrum, self._bin_weights(n_fft))
                for n_fft, spectrum in zip(config.n_ffts, target.spectra, strict=True)
            ]
            found["mr"] = sum(distances[1:], distances[0]) / len(distances)
        if target.mel_floor is not None:
            mel_db = log_mel.mel_to_db(self._mel(powers), target.mel_floor)
            if target.mel_db is not None:
                found["log_mel"] = log_mel.log_mel_distance(mel_db, target.mel_db)
            if target.mfcc is not None:
                found["mfcc"] = mfcc_distance(self._mfcc(mel_db), target.mfcc)
        if target.centroid is not None:
            power = powers[config.mel_n_fft]
            found["cent"] = centroid.centroid_distance(power, target.centroid, self.sample_rate)
        if target.transport is not None:
            found["transport"] = transport.transport_distance(
                powers[max(config.n_ffts)], target.transport, self.sample_rate, bands=config.transport_bands
            )
        if target.envelope_db is not None and target.envelope_floor is not None:
            level = envelope.mean_square_envelope(audio, self._envelope_hop)
            level_db = envelope.envelope_to_db(level, target.envelope_floor)
            found["envelope"] = envelope.envelope_distance(level_db, target.envelope_db)
        return found
