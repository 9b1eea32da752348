"""What a gradient is charged as: measured here, rounded up."""

import math
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp

from ddsprl.comparison.suites import Stream
from ddsprl.fitting.core.problem import Problem, Target
from ddsprl.measuring.keys import stream
from ddsprl.sharding import shard_batch

# Instead of a price: what a gradient costs when the comparison begins.
MEASURED = "measured"
# A round is some milliseconds, and a machine with other work to do spoils several of them.
ROUNDS = 25
# Sixteenths are exact in binary.
STEPS_A_RENDER = 16


def measure(problem: Problem, targets: Target, *, batch: int, group: int, seed: int) -> dict[str, Any]:
    """A gradient in renders at one batch: scores and gradients of the same positions, timed in turns.

    Args:
        problem: whose programs.
        targets: a group of them, leaves `[group, ...]`.
        batch: positions of one target, as many as a solver differentiates in one iteration.
        group: targets worked on together.
        seed: of the comparison.

    Returns:
        `measured` (median over rounds of value-and-gradient over score), `score_s` (median seconds of one
        render with its score) and `rounds`.
    """
    keys = jnp.stack([stream(seed, Stream.START, i) for i in range(group)])
    u = jnp.stack([jax.random.uniform(key, (batch, problem.instrument.n_params)) for key in keys])
    score, gradient = (shard_batch(jax.vmap(f)) for f in (problem.scores, problem.gradients))
    calls = [lambda: score(u, targets, keys), lambda: gradient(u, targets, keys)]
    for call in calls:
        jax.block_until_ready(call())
    taken = [_both(calls, swapped=bool(i % 2)) for i in range(ROUNDS)]
    return {
        "measured": statistics.median(slow / fast for fast, slow in taken),
        "score_s": statistics.median(fast for fast, _ in taken) / (batch * group),
        "rounds": ROUNDS,
    }


def rounded_up(measured: float) -> float:
    """A measured price at the next sixteenth of a render, at least 1."""
    return max(1.0, math.ceil(STEPS_A_RENDER * measured) / STEPS_A_RENDER)


def dearest(costs: Sequence[Mapping[str, Any]]) -> float:
    """What a gradient is charged as where a method takes gradients at several batches: the most."""
    return max(float(cost["charged"]) for cost in costs)


def _both(calls: list[Callable[[], Any]], *, swapped: bool) -> tuple[float, float]:
    """Seconds of two calls, the second one first if swapped."""
    order = (1, 0) if swapped else (0, 1)
    seconds = {i: _seconds(calls[i]) for i in order}
    return seconds[0], seconds[1]


def _seconds(call: Callable[[], Any]) -> float:
    begun = time.perf_counter()
    jax.block_until_ready(call())
    return time.perf_counter() - begun
