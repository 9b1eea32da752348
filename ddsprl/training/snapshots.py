"""Sounds of a run: target and best sound of the best and the worst episode that ended, as WAV files.

On the device, in the loop's carry (small: two losses, and what two episodes leave):

    extremes = no_extremes(shapes of finals, [n])                                    # scalars
    extremes = update_extremes(extremes, done, score.best, info["final"])            # [n] each, every step

On the host, now and then (then start over with `cleared`; also before the tasks in `params` change):

    snapshots = Snapshots(run.audio, env, keep=10)
    snapshots.write(iteration, extremes, params)

An environment that makes no sounds leaves none. No sound is kept on the device: what an episode leaves is
enough to render both again, with the same noise.
"""

import contextlib
import re
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from ddsprl.env import Environment
from ddsprl.io.audio import write_wav
from ddsprl.io.errors import UserError

# Silence between the probes of a file.
GAP_S = 0.1
_NAME = re.compile(r"(\d{6,})_(?:best|worst)_(?:found|target)\.wav")


class Ended(NamedTuple):
    """One ended episode, scalars.

    Attributes:
        loss: of its best point; not finite when there is none.
        final: what it left, to render it again.
    """

    loss: jax.Array
    final: Any


class Extremes(NamedTuple):
    """Of the episodes that ended, the one with the lowest best loss and the one with the highest."""

    best: Ended
    worst: Ended


def no_extremes(finals: Any) -> Extremes:
    """Before any episode has ended.

    Args:
        finals: shapes of what episodes leave, leaves `[n, ...]`.
    """

    def blank(leaf: Any) -> jax.Array:
        if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
            return jnp.broadcast_to(jax.random.key(0), leaf.shape[1:])
        return jnp.zeros(leaf.shape[1:], leaf.dtype)

    def nothing(loss: float) -> Ended:
        # Arrays of their own: a program that is given these to write in takes no array twice.
        return Ended(jnp.full((), loss), jax.tree.map(blank, finals))

    return Extremes(best=nothing(jnp.inf), worst=nothing(-jnp.inf))


def cleared(extremes: Extremes) -> Extremes:
    """As before any episode had ended; leading axes are kept."""
    best, worst = extremes
    return Extremes(
        best._replace(loss=jnp.full_like(best.loss, jnp.inf)),
        worst._replace(loss=jnp.full_like(worst.loss, -jnp.inf)),
    )


def update_extremes(extremes: Extremes, done: jax.Array, loss: jax.Array, final: Any) -> Extremes:
    """With one step's episodes; pure, can be vmapped.

    Args:
        extremes: so far.
        done: bool `[n]`, which rows ended.
        loss: `[n]`, of each row's best point; a row without a finite one does not count.
        final: leaves `[n, ...]`.
    """
    counts = done & jnp.isfinite(loss)

    def row(index: jax.Array) -> Ended:
        return Ended(loss[index], jax.tree.map(lambda x: x[index], final))

    lowest = row(jnp.argmin(jnp.where(counts, loss, jnp.inf)))
    highest = row(jnp.argmax(jnp.where(counts, loss, -jnp.inf)))
    some = jnp.any(counts)
    return Extremes(
        best=_chosen(some & (lowest.loss < extremes.best.loss), lowest, extremes.best),
        worst=_chosen(some & (highest.loss > extremes.worst.loss), highest, extremes.worst),
    )


class Snapshots:
    """WAV files FOLDER/000123_best_found.wav, 000123_best_target.wav, and so for the worst.

    One of these for every seed, each with a folder of its own.
    """

    def __init__(self, folder: Path, env: Environment, *, keep: int) -> None:
        """Nothing is written yet.

        Args:
            folder: created by the first `write`.
            env: renders.
            keep: newest iterations whose files stay; 0 writes nothing.
        """
        self._folder = Path(folder)
        self._rate = env.sample_rate
        self._keep = keep
        self._render = jax.jit(env.sounds)

    def write(self, iteration: int, extremes: Extremes, params: Any) -> tuple[Path, ...]:
        """Render and store; nothing for what has not ended yet.

        Files of earlier iterations beyond `keep` are deleted, and so are those of later ones: they are from
        before the run was gone back on.

        Args:
            iteration: names the files.
            extremes: of one seed (scalars).
            params: of the same seed, with the tasks of the episodes.

        Returns:
            The files.

        Raises:
            UserError: a file cannot be written.
        """
        if self._keep < 1 or self._rate is None:
            return ()
        written = []
        for name, ended in extremes._asdict().items():
            if np.isfinite(float(ended.loss)):
                target, found = self._render(ended.final, params)
                for kind, sound in (("target", target), ("found", found)):
                    written.append(self._store(f"{iteration:06d}_{name}_{kind}.wav", sound, self._rate))
        if written:
            self._delete_old(iteration)
        return tuple(written)

    def _store(self, name: str, sound: jax.Array, rate: int) -> Path:
        path = self._folder / name
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UserError(f"{self._folder}: cannot be created ({error.strerror or error})") from error
        write_wav(path, in_a_row(np.asarray(sound), round(GAP_S * rate)), rate)
        return path

    def _delete_old(self, newest: int) -> None:
        names = {path: _NAME.fullmatch(path.name) for path in self._folder.iterdir()}
        found = {path: int(name[1]) for path, name in names.items() if name}
        stay = sorted({iteration for iteration in found.values() if iteration <= newest})[-self._keep :]
        gone = [path for path, iteration in found.items() if iteration not in stay]
        # Half-written ones are of a process that was ended.
        for path in [*gone, *self._folder.glob(".*.wav.*.partial")]:
            with contextlib.suppress(OSError):  # a file that stays costs disk space only
                path.unlink()


def in_a_row(sounds: np.ndarray, gap: int) -> np.ndarray:
    """Clips `[p, n]` one after the other, `gap` samples of silence between them: `[p n + (p - 1) gap]`."""
    padded = np.pad(sounds, ((0, 0), (0, gap)))
    return padded.reshape(-1)[: padded.size - gap]


def _chosen(wins: jax.Array, new: Ended, old: Ended) -> Ended:
    return jax.tree.map(lambda a, b: jnp.where(wins, a, b), new, old)
