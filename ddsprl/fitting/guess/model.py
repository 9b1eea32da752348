"""Guesses at the knobs from the sound alone: a trained network's distribution over presets.

    guess = load_guess("NAME")                                 # the weights that come with an instrument
    u = guess.sample(key, audio, midi, gate_s, count=64)       # [64, d], the likeliest means first

A guess costs no render of its own. What was rendered to train it is in the header, and is shared out over the
targets that it serves. Weights are arrays with a JSON header in an npz file, half precision.
"""

import io
import json
import os
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax.traverse_util import flatten_dict, unflatten_dict

from ddsprl.fitting.guess.features import N_SAMPLES, RATE_HZ, GuessFeatures, guess_features, heard
from ddsprl.fitting.guess.header import GuessHeader, check_header
from ddsprl.fitting.guess.network import GuessNetwork, Mixture
from ddsprl.io import UserError
from ddsprl.io.output import replacing
from synth_jax import INSTRUMENTS, Instrument
from synth_jax.params import table_digest

SHIPPED = Path(__file__).parent / "data"
Variables = Mapping[str, Any]


@dataclass(frozen=True)
class Guess:
    """A trained network.

    Attributes:
        header: what it is.
        variables: weights (`params`) and the mean and scale of the features (`statistics`), float32.
    """

    header: GuessHeader
    variables: Variables

    def mixture(
        self, audio: np.ndarray, midi: float, gate_s: float, *, sample_rate: int = RATE_HZ
    ) -> Mixture:
        """Distribution over the knobs, heaviest component first.

        Args:
            audio: `[n]`, beginning at the onset; the first half second is heard.
            midi: note at which it is played.
            gate_s: for how long the key was held.
            sample_rate: of `audio`, in Hz.
        """
        clip = heard(audio, sample_rate)
        return _mixture(self.header.network(), self.variables, clip, float(midi), float(gate_s))

    def means(
        self, audio: np.ndarray, midi: float, gate_s: float, *, sample_rate: int = RATE_HZ
    ) -> jax.Array:
        """Means of the components, heaviest first, `[K, d]`; arguments as `mixture`."""
        return _centres(self.mixture(audio, midi, gate_s, sample_rate=sample_rate))

    def sample(
        self,
        key: jax.Array,
        audio: np.ndarray,
        midi: float,
        gate_s: float,
        count: int,
        *,
        sample_rate: int = RATE_HZ,
    ) -> jax.Array:
        """Positions `[count, d]`: the means, heaviest first, then draws; arguments as `mixture`."""
        return _points(key, self.mixture(audio, midi, gate_s, sample_rate=sample_rate), count)


def mixture_of(
    network: GuessNetwork, variables: Variables, audio: jax.Array, midi: jax.Array, gate_s: jax.Array
) -> Mixture:
    """Distribution for a clip `[N_SAMPLES]` at `RATE_HZ`; pure, for one example."""
    features = standardized(guess_features(audio, midi, gate_s), variables["statistics"])
    found: Any = network.apply({"params": variables["params"]}, features)
    return found.ordered()


def standardized(features: GuessFeatures, statistics: Variables) -> GuessFeatures:
    """Features with mean 0 and scale 1 over the training clips."""
    return GuessFeatures(
        *(
            (x.astype(jnp.float32) - statistics[name]["mean"]) / statistics[name]["scale"]
            for name, x in features._asdict().items()
        )
    )


def points(key: jax.Array, mixture: Mixture, count: int) -> jax.Array:
    """Means of an ordered mixture, then draws, `[count, d]`."""
    k = min(count, mixture.mean.shape[0])
    return jnp.concatenate([mixture.centres()[:k], mixture.sample(key, count - k)])


_mixture = jax.jit(mixture_of, static_argnums=0)
_centres = jax.jit(Mixture.centres)
_points = jax.jit(points, static_argnums=2)


def save_guess(path: str | os.PathLike[str], guess: Guess) -> None:
    """Write weights, half precision, whole or not at all.

    Raises:
        UserError: the file cannot be written.
    """
    header = np.frombuffer(json.dumps(asdict(guess.header), sort_keys=True).encode(), np.uint8)
    flat = flatten_dict(guess.variables, sep="/")
    arrays = {name: np.asarray(x, np.float16) for name, x in flat.items()}
    with replacing(path) as temporary, open(temporary, "wb") as file:
        np.savez_compressed(file, allow_pickle=False, header=header, **arrays)


def load_guess(source: str | os.PathLike[str]) -> Guess:
    """Read weights: by an instrument's name those that come with it, which are read once, or of a file.

    Raises:
        UserError: none come with the instrument; the file cannot be read, or is not of this version,
            instrument or shape.
    """
    return _shipped(source) if isinstance(source, str) and source in INSTRUMENTS else _read(Path(source))


def why_no_guess(instrument: Instrument) -> str | None:
    """Why no shipped guess can be asked about an instrument, in words; None if one can."""
    if not _place(instrument.name).is_file():
        return f"no guess is trained for {instrument.name}"
    if _shipped(instrument.name).header.table != table_digest(instrument.table):
        return f"the guess for {instrument.name} is trained for other knobs than these"
    return None


def _place(name: str) -> Path:
    return SHIPPED / f"{name}.npz"


@lru_cache(maxsize=4)
def _shipped(name: str) -> Guess:
    if not _place(name).is_file():
        raise UserError(f"no guess is trained for {name}")
    return _read(_place(name))


def _read(path: Path) -> Guess:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror or error})") from error
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as stored:
            arrays = {name: stored[name] for name in stored.files}
        header = arrays.pop("header").tobytes().decode()
    except (ValueError, KeyError, EOFError, AttributeError, zipfile.BadZipFile, zlib.error) as error:
        raise UserError(f"{path}: is not a file of guess weights, or is damaged") from error
    try:
        given = json.loads(header)
    except ValueError as error:
        raise UserError(f"{path}: its header is not JSON") from error
    checked = check_header(given, str(path))
    _check_arrays(arrays, checked, path)
    variables = unflatten_dict({k: jnp.asarray(x, jnp.float32) for k, x in arrays.items()}, sep="/")
    return Guess(checked, variables)


def _check_arrays(arrays: Mapping[str, np.ndarray], header: GuessHeader, path: Path) -> None:
    wanted: dict[str, Any] = dict(flatten_dict(variable_shapes(header.network()), sep="/"))
    for name in sorted(wanted.keys() | arrays.keys()):
        want, have = wanted.get(name), arrays.get(name)
        if want is None or have is None:
            raise UserError(f"{path}: array {name} is {'missing' if have is None else 'not expected'}")
        if have.shape != want.shape or have.dtype != np.float16:
            found = f"{have.dtype} {have.shape}"
            raise UserError(f"{path}: array {name} is {found}, expected float16 {want.shape}")
        if not np.isfinite(have).all():
            raise UserError(f"{path}: array {name} holds values that are not finite")


def variable_shapes(network: GuessNetwork) -> dict[str, Any]:
    """Shapes of the weights of a network and of the features' statistics, nothing computed."""
    one = jnp.float32(1.0)
    features = jax.eval_shape(guess_features, jnp.zeros(N_SAMPLES), one, one)
    params = jax.eval_shape(partial(network.init, train=False), jax.random.key(0), features)["params"]
    statistics = {name: {"mean": x, "scale": x} for name, x in features._asdict().items()}
    return {"params": params, "statistics": statistics}
