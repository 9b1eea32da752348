"""How presets are heard and judged: one compiled program for searches, references and verdicts alike.

A search hears a preset under the render key of its target's episode, as an agent does. What it ends with is
judged: snapped, the mean over eight other keys, the same eight for every method. The loss is the
environment's (distances only, mean over the probes).
"""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from ddsprl.env import MatchEnv
from ddsprl.evaluation.suites import JUDGE_KEYS, Stream, Suite
from ddsprl.fitting.core.streams import named

# Presets computed together; more would leave the cache of a CPU.
CPU_BLOCK, DEVICE_BLOCK = 64, 1024
# Random presets whose best is the reference.
RANDOM_PRESETS = 64


class Heard(NamedTuple):
    """Losses of presets.

    Attributes:
        loss: `[...]`.
        terms: weighted terms by name, which add up to it, each `[...]`.
    """

    loss: np.ndarray
    terms: dict[str, np.ndarray]


class References(NamedTuple):
    """What a suite's targets are measured against; all judged.

    Attributes:
        floor: the target's own preset.
        random: the best of 64 random presets over the unlocked knobs.
        own: how the search's hearing hears the target's own preset, `[n]`, not judged.
        u: knobs of the best random presets, `[n, d]`.
    """

    floor: Heard
    random: Heard
    own: np.ndarray
    u: np.ndarray


def hear(suite: Suite, u: np.ndarray, keys: jax.Array) -> Heard:
    """Losses of presets `[n, m, d]`, snapped, each under a key of `[n, m]`; leaves `[n, m]`."""
    n, m, d = u.shape
    rows, where = u.reshape(n * m, d).astype(np.float32), np.repeat(np.arange(n), m)
    keys, block = keys.reshape(n * m), CPU_BLOCK if jax.default_backend() == "cpu" else DEVICE_BLOCK
    run, found = _program(suite.env), []
    for first in range(0, n * m, block):
        # The last block is filled up with copies, so that one shape is compiled.
        part = np.minimum(np.arange(first, first + block), n * m - 1)
        found.append(run(rows[part], where[part], keys[part], suite.episodes, suite.params))
    whole = jax.tree.map(lambda *x: np.concatenate([np.asarray(y) for y in x])[: n * m].reshape(n, m), *found)
    return Heard(*whole)


def hear_own(suite: Suite, u: np.ndarray) -> np.ndarray:
    """Losses of presets `[n, m, d]` as a search hears them, `[n, m]`."""
    keys = jnp.broadcast_to(suite.episodes.render_key[:, None], u.shape[:2])
    return hear(suite, u, keys).loss


def judge(suite: Suite, u: np.ndarray) -> Heard:
    """The verdict on one preset for each target, `[n, d]`: mean over the judge's keys, leaves `[n]`."""
    keys = jax.vmap(lambda key: jax.random.split(key, JUDGE_KEYS))(suite.keys(Stream.JUDGE))
    found = hear(suite, np.repeat(u[:, None], JUDGE_KEYS, axis=1), keys)
    return jax.tree.map(lambda x: x.mean(axis=1, dtype=np.float64), found)


def references(suite: Suite) -> References:
    """Noise floor and random reference of every target."""
    draw, noise = named(suite.key(Stream.REFERENCE), "draw", "noise")
    shape = (suite.count, RANDOM_PRESETS)
    uniform = np.asarray(jax.random.uniform(draw, (*shape, len(suite.knobs))))
    u = suite.filled(uniform)
    # Chosen under a key of their own, then judged like everything else.
    keys = jnp.broadcast_to(jax.random.split(noise, suite.count)[:, None], shape)
    best = u[np.arange(suite.count), hear(suite, u, keys).loss.argmin(axis=1)]
    own = hear_own(suite, suite.truth[:, None])[:, 0]
    return References(judge(suite, suite.truth), judge(suite, best), own, snapped(suite, best))


def snapped(suite: Suite, u: np.ndarray) -> np.ndarray:
    """Presets `[..., d]` with discrete knobs at their nearest choice."""
    return np.asarray(suite.env.instrument.snap(jnp.asarray(u, jnp.float32)))


@functools.lru_cache(maxsize=8)
def _program(env: MatchEnv):
    """Compiled: losses and terms of a block of presets, `[b]`."""

    def one(u, episode, key, params):
        found = env.judge(u, episode, params, key)
        return found.loss, found.terms

    @jax.jit
    def run(u, where, keys, episodes, params):
        each = jax.tree.map(lambda x: x[where], episodes)
        return jax.vmap(one, (0, 0, 0, None))(u, each, keys, params)

    return run
