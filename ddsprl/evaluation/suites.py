"""Fixed held-out targets of a stage, and everything random that is done with them.

    suite = make_suite(env, stage=3, count=64)

A suite's presets come from a bucket that neither training nor its evaluations see: another split than the
training targets', and another seed than the buckets by which the curriculum promotes. Every method meets the
same targets, each with one sound (its target key) and one hearing during the search (its render key, that of
the episode); what was found is judged under eight further keys, the same for all methods.
"""

import enum
import functools
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np

from ddsprl.env import EnvParams, MatchEnv, stage_params
from ddsprl.env.match.types import Episode
from ddsprl.fitting.guess.of_targets import with_guesses
from ddsprl.measuring.keys import stream
from ddsprl.plant import in_chunks

# Added to the seed that is asked for: apart from the buckets of training and of the references.
SUITE_SEED = 30_000
JUDGE_KEYS = 8
_CHUNK = 64


class Stream(enum.IntEnum):
    """What a key of `ddsprl.measuring.keys.stream` is for."""

    EPISODE = 1
    JUDGE = 2
    REFERENCE = 3
    SEARCH = 4
    ACTIONS = 5


@dataclass(frozen=True, eq=False)
class Suite:
    """Targets of one stage.

    Attributes:
        env: the environment, with its history on.
        stage: from 1.
        seed: as asked for.
        params: of the environment; its bucket is the suite.
        episodes: of all targets, leaves `[n, ...]`.
        start: where episodes begin: the neutral patch, locked knobs as in the target, `[n, d]`.
        rejected: presets that were too quiet to be a target.
    """

    env: MatchEnv
    stage: int
    seed: int
    params: EnvParams
    episodes: Episode
    start: np.ndarray
    rejected: int

    @property
    def count(self) -> int:
        """Number of targets, n."""
        return len(self.start)

    @property
    def free(self) -> np.ndarray:
        """1 for unlocked knobs, `[d]`."""
        return np.asarray(self.params.free)

    @property
    def knobs(self) -> np.ndarray:
        """Places of the unlocked knobs, int `[k]`."""
        return np.flatnonzero(self.free > 0)

    @property
    def truth(self) -> np.ndarray:
        """Knobs of the targets, `[n, d]`."""
        return np.asarray(self.episodes.u)

    @property
    def epsilon(self) -> np.ndarray:
        """Loss below which an episode is solved, `[n]`."""
        return np.asarray(self.episodes.epsilon)

    def key(self, purpose: Stream) -> jax.Array:
        """The key of a purpose; equal for all methods."""
        return stream(SUITE_SEED + self.seed, self.stage, purpose)

    def keys(self, purpose: Stream) -> jax.Array:
        """One key a target, `[n]`."""
        return jax.random.split(self.key(purpose), self.count)

    def filled(self, knobs: np.ndarray) -> np.ndarray:
        """Positions of the unlocked knobs `[n, ..., k]` as presets `[n, ..., d]`, locked knobs in place."""
        middle = (1,) * (knobs.ndim - 2)
        locked = self.start.reshape(self.count, *middle, -1)
        whole = np.broadcast_to(locked, (*knobs.shape[:-1], locked.shape[-1])).copy()
        whole[..., self.knobs] = knobs
        return whole


def make_suite(env: MatchEnv, stage: int, *, count: int, seed: int = 0, split: str = "held_out") -> Suite:
    """The suite of a stage.

    Args:
        env: the environment; its history must be on.
        stage: 1 to 5.
        count: targets.
        seed: 0 for the suite that is published.
        split: `held_out`, or `reference` for what is tuned before anything is measured.
    """
    params, rejected = stage_params(env, stage, split=split, count=count, seed=SUITE_SEED + seed)
    params = with_guesses(env, params)
    # The same keys as of `env.evaluation.evaluate`, so that an agent meets the very same episodes.
    keys = jax.random.split(stream(SUITE_SEED + seed, stage, Stream.EPISODE), count)
    episodes, start = _opener(env)(keys, params)
    return Suite(env, stage, seed, params, episodes, np.asarray(start), rejected)


@functools.lru_cache(maxsize=8)
def _opener(env: MatchEnv):
    """Compiled: episodes and where they begin, from the keys of `env.evaluation.episode`."""

    def one(key, index, params):
        start_key, _ = jax.random.split(key)
        _, state = env.reset_at(start_key, params, index)
        return state.episode, state.u

    @jax.jit
    def run(keys, params):
        return in_chunks(lambda k, i: one(k, i, params), _CHUNK, keys, jnp.arange(keys.shape[0]))

    return run
