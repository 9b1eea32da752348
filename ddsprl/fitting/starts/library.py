"""A library of random presets with their features: where to start a match from without a trained guess.

Some thousands of presets are rendered once on a grid of pitches and gates; a target is compared with the
stored features of the nearest page in milliseconds, and only the closest presets are rendered again at the
target's own note. A page is keyed by everything that its content depends on, and cached on disk.

The features are a coarse log-mel picture (bands wider than the pitch grid's error), which a change of level
does not move.
"""

import contextlib
import hashlib
import zipfile
from dataclasses import dataclass
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from ddsprl.features.mel import mel_filterbank
from ddsprl.features.stft import stft_power_frames
from ddsprl.fitting.core.programs import awaited, running
from ddsprl.io import UserError
from ddsprl.io.output import replacing
from ddsprl.plant import in_chunks
from synth_jax import Instrument, Note
from synth_jax.units import power_to_db

# Counted up when the sound of an instrument or the picture changes: older pages are then not found.
FORMAT = 3
PITCH_STEP = 4.0
GATES_S = tuple(float(0.1 * 2.0 ** (k / 2)) for k in range(14))
N_FFT, N_MELS, SLICES = 1024, 32, 16
RANGE_DB = 60.0


@dataclass(frozen=True)
class LibraryConfig:
    """What a library holds.

    Attributes:
        size: presets a page.
        seed: of the presets.
        cache_dir: where pages are kept; None keeps them in memory only.
    """

    size: int = 4096
    seed: int = 7
    cache_dir: Path | None = None


@dataclass(frozen=True)
class Page:
    """Presets at one pitch and gate.

    Attributes:
        presets: knob positions, snapped, float32 `[size, d]`.
        pictures: coarse log-mel in dB, 0 at the loudest point, float16 `[size, slices * mels]`.
        midi: note at which they were rendered.
        gate_s: its gate.
        renders: renders that this process spent on the page; 0 when it came from the cache.
    """

    presets: np.ndarray
    pictures: np.ndarray
    midi: float
    gate_s: float
    renders: int


def picture(audio: jax.Array, sample_rate: int) -> jax.Array:
    """Coarse log-mel of a clip in dB below its loudest point, floored at -60, `[SLICES * N_MELS]`."""
    n = audio.shape[-1]
    hop = max(n // SLICES, 1)
    power = stft_power_frames(audio, n_fft=N_FFT, hop=hop)[:SLICES]
    bank = jnp.asarray(mel_filterbank(sample_rate, N_FFT, N_MELS), audio.dtype)
    level = power_to_db(power @ bank.T)
    return jnp.maximum(level - jnp.max(level), -RANGE_DB).reshape(-1)


class Library:
    """Pages of random presets, made when first asked for."""

    def __init__(self, instrument: Instrument, config: LibraryConfig) -> None:
        """Nothing is rendered yet."""
        self.instrument, self.config = instrument, config
        self.renders = 0
        self._pages: dict[tuple[float, float], Page] = {}
        self._draw = jax.jit(self._draw_pictures)

    def page(self, midi: float, gate_s: float) -> Page:
        """The page nearest to a note."""
        midi_q = float(np.clip(PITCH_STEP * round(midi / PITCH_STEP), 12.0, 120.0))
        gate_q = GATES_S[int(np.argmin([abs(np.log(g / max(gate_s, 1e-3))) for g in GATES_S]))]
        if (midi_q, gate_q) not in self._pages:
            self._pages[midi_q, gate_q] = self._load(midi_q, gate_q) or self._make(midi_q, gate_q)
        return self._pages[midi_q, gate_q]

    def closest(self, audio: np.ndarray, note: Note, count: int) -> np.ndarray:
        """Knob positions of the `count` presets whose picture is closest to a clip's, `[count, d]`."""
        page = self.page(float(note.midi), float(note.gate_s))
        wanted = np.asarray(_picture(jnp.asarray(audio), self.instrument.sample_rate), np.float32)
        distance = np.abs(page.pictures.astype(np.float32) - wanted).mean(axis=1)
        return page.presets[np.argsort(distance, kind="stable")[:count]]

    def _draw_pictures(self, u: jax.Array, note: Note, key: jax.Array) -> jax.Array:
        def draw(u, key):
            sound = self.instrument.render(u, note, key)
            return picture(sound, self.instrument.sample_rate).astype(jnp.float16)

        return in_chunks(draw, 64, u, jax.random.split(key, u.shape[0]))

    def _make(self, midi: float, gate_s: float) -> Page:
        u = jax.random.uniform(jax.random.key(self.config.seed), (self.config.size, self.instrument.n_params))
        presets = np.asarray(self.instrument.snap(u), np.float32)
        note = Note(jnp.float32(midi), jnp.float32(gate_s), jnp.float32(1.0))
        with running():
            pictures = awaited(self._draw(presets, note, jax.random.key(self.config.seed + 1)))
        pictures = np.nan_to_num(np.asarray(pictures), nan=-RANGE_DB)
        self.renders += len(presets)
        page = Page(presets, pictures, midi, gate_s, len(presets))
        self._save(page)
        return page

    def _path(self, midi: float, gate_s: float) -> Path | None:
        if self.config.cache_dir is None:
            return None
        synth = self.instrument
        table = [(s.name, s.low, s.high, s.scale, s.integer) for s in synth.table]
        presets = (self.config.size, self.config.seed)
        key = (FORMAT, synth.name, table, synth.sample_rate, synth.n_samples, *presets)
        layout = (N_FFT, N_MELS, SLICES, RANGE_DB, midi, round(gate_s, 4))
        digest = hashlib.sha256(repr((key, layout)).encode()).hexdigest()[:20]
        return Path(self.config.cache_dir) / f"{synth.name}-{digest}.npz"

    def _load(self, midi: float, gate_s: float) -> Page | None:
        path = self._path(midi, gate_s)
        if path is None or not path.is_file():
            return None
        try:
            with open(path, "rb") as file, np.load(file, allow_pickle=False) as stored:
                presets, pictures = stored["presets"], stored["pictures"]
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
            return None  # a damaged page is made again
        shapes = (self.config.size, self.instrument.n_params), (self.config.size, SLICES * N_MELS)
        if (presets.shape, pictures.shape) != shapes:
            return None
        return Page(presets, pictures, midi, gate_s, 0)

    def _save(self, page: Page) -> None:
        path = self._path(page.midi, page.gate_s)
        if path is None:
            return
        # A cache that cannot be written only costs time.
        with contextlib.suppress(UserError), replacing(path) as temporary:
            path.parent.mkdir(parents=True, exist_ok=True)
            with open(temporary, "wb") as file:
                np.savez(file, presets=page.presets, pictures=page.pictures)


_picture = jax.jit(picture, static_argnums=1)
