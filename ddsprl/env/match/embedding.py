"""An episodic reward from a learned embedding: the cosine between the best sound and the target.

    reward = EpisodicReward(env, load_embedding("speech"), weight=1.0)
    bonus = reward(params, info["final"], terminated | truncated)      # host side, after a compiled step
    env = GymMatch(env, params, episodic_reward=reward)                # or let an adapter add it

It runs outside the compiled step and only on episodes that ended, so a slow embedding holds nobody up, and an
agent that does without pays nothing. Any function `(audio [n], sample_rate) -> vector` will do as an
embedding; the one by name here is small and real, and an extra: `pip install "ddsprl[embedding]"`.
"""

import importlib
import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import soxr

from ddsprl.env.match.environment import MatchEnv
from ddsprl.env.match.types import EnvParams, Final
from synth_jax.params import nearest_hint

Embedding = Callable[[np.ndarray, int], np.ndarray]

_RATE = 16_000
# Of the network below: 76 mel frames of 10 ms a window, a window every 8 frames.
_FRAMES, _HOP, _MELS = 76, 8, 32
_SHORTEST = 12_800
_FULL_SCALE = 32_767.0
_INSTALL = 'install it with `pip install "ddsprl[embedding]"`'


def speech_embedding() -> Embedding:
    """Google's speech embedding (Lin et al. 2020, arXiv 2002.01322), 96 numbers, mean over windows of 0.76 s.

    A convolutional network of 1.3 MB, trained on millions of short clips to tell spoken words apart. The
    package `openwakeword` (0.4) ships it as an ONNX file; nothing is downloaded. What it says of silence is
    subtracted: any two sounds share most of it, and silence itself is then like nothing.

    Raises:
        ImportError: the extra is not installed.
    """
    folder = _shipped_models("openwakeword")
    try:
        runtime: Any = importlib.import_module("onnxruntime")
    except ImportError as missing:
        raise ImportError(f"embedding 'speech': onnxruntime is not installed; {_INSTALL}") from missing
    options = runtime.SessionOptions()
    options.intra_op_num_threads = 1
    mel, network = (
        runtime.InferenceSession(str(folder / name), options, providers=["CPUExecutionProvider"])
        for name in ("melspectrogram.onnx", "embedding_model.onnx")
    )

    def vector(audio: np.ndarray, sample_rate: int) -> np.ndarray:
        clip = np.asarray(audio, np.float32)
        if sample_rate != _RATE:
            clip = soxr.resample(clip, sample_rate, _RATE)
        clip = np.pad(clip, (0, max(0, _SHORTEST - clip.size)))
        frames = mel.run(None, {"input": _FULL_SCALE * clip[None]})[0].reshape(-1, _MELS) / 10.0 + 2.0
        starts = range(0, len(frames) - _FRAMES + 1, _HOP)
        windows = np.stack([frames[i : i + _FRAMES] for i in starts])[..., None].astype(np.float32)
        return network.run(None, {"input_1": windows})[0].reshape(len(windows), -1).mean(axis=0)

    silence = vector(np.zeros(_SHORTEST, np.float32), _RATE)
    return lambda audio, sample_rate: vector(audio, sample_rate) - silence


def _shipped_models(package: str) -> Path:
    """Where a package keeps its models, without importing it."""
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        raise ImportError(f"embedding 'speech': {package} is not installed; {_INSTALL}")
    folder = Path(spec.origin).parent / "resources" / "models"
    if not (folder / "embedding_model.onnx").is_file():
        raise ImportError(f"embedding 'speech': this version of {package} ships no model; {_INSTALL}")
    return folder


EMBEDDINGS: dict[str, Callable[[], Embedding]] = {"speech": speech_embedding}


def load_embedding(name: str) -> Embedding:
    """Embedding by name.

    Raises:
        ValueError: unknown name; the message gives the nearest one.
        ImportError: what it needs is not installed; the message says how to install it.
    """
    if name not in EMBEDDINGS:
        raise ValueError(f"no embedding {name!r}{nearest_hint(name, list(EMBEDDINGS))}")
    return EMBEDDINGS[name]()


def cosine(a: np.ndarray, b: np.ndarray) -> float:
    """Cosine between two vectors; 0 where one of them vanishes."""
    scale = float(np.linalg.norm(a) * np.linalg.norm(b))
    return float(np.dot(a, b)) / scale if scale > 0.0 else 0.0


class EpisodicReward:
    """Rewards for ended episodes, from their best sounds."""

    def __init__(self, env: MatchEnv, embed: Embedding, *, weight: float = 1.0) -> None:
        """Nothing is rendered yet.

        Args:
            env: the environment.
            embed: `(audio [n], sample_rate) -> vector`.
            weight: of the cosine in the reward.
        """
        self.env, self.embed, self.weight = env, embed, weight
        self._pair = jax.jit(self._render_pair)

    def __call__(self, params: EnvParams, final: Final, ended: Any) -> np.ndarray:
        """The reward of each row, float32 `[n]`, mean over the probes; 0 where no episode ended.

        Args:
            params: those of the episodes.
            final: from `AutoReset`'s `info["final"]`, leaves `[n, ...]`.
            ended: bool `[n]`.
        """
        ended = np.asarray(ended)
        rewards = np.zeros(ended.shape, np.float32)
        for i in np.flatnonzero(ended):
            row = jax.tree.map(lambda x, i=i: x[i], final)
            best, target = (np.asarray(x) for x in self._pair(params, row))
            rate = self.env.instrument.sample_rate
            vectors = [(self.embed(a, rate), self.embed(b, rate)) for a, b in zip(best, target, strict=True)]
            rewards[i] = self.weight * np.mean([cosine(a, b) for a, b in vectors])
        return rewards

    def _render_pair(self, params: EnvParams, final: Final) -> tuple[jax.Array, jax.Array]:
        """The best sound and the target again, `[p, n]` each."""
        notes = jax.tree.map(lambda x: x[final.index], params.targets.notes)
        best = self.env.render(jnp.asarray(final.u), notes, final.render_key)
        return best, self.env.target_audio(params, final.index, final.target_key)
