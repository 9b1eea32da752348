"""Compiled programs over targets: shared out over the devices, waited for, and timed.

    run = over_targets(function, (0, None))      # of one target
    found = run(targets, size)                   # its results are there when it returns
    busy_s()                                     # seconds that this process has spent in such calls, so far

`busy_s` is a clock as `time.process_time` is one: it only ever counts up, and a share is the difference of
two readings over that of wall time. Calls of several threads at the same time count once. What JAX does
elsewhere (small arrays put together, keys split) is the host's work and does not count.
"""

import contextlib
import functools
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import jax

from ddsprl.sharding import shard_batch

# So that Ctrl-C is noticed while a program runs; a call that waits inside the runtime is deaf to it.
POLL_S = 0.001


class BusyClock:
    """Wall time during which at least one thread was inside."""

    def __init__(self, now: Callable[[], float] = time.perf_counter) -> None:
        """Nobody is inside.

        Args:
            now: wall time in seconds.
        """
        self._now, self._lock = now, threading.Lock()
        self._active, self._entered, self._total = 0, 0.0, 0.0

    @contextlib.contextmanager
    def inside(self) -> Iterator[None]:
        """Around a call, until its results are there."""
        with self._lock:
            if not self._active:
                self._entered = self._now()
            self._active += 1
        try:
            yield
        finally:
            with self._lock:
                self._active -= 1
                if not self._active:
                    self._total += self._now() - self._entered

    def seconds(self) -> float:
        """So far, a call under way included."""
        with self._lock:
            return self._total + (self._now() - self._entered if self._active else 0.0)


_CLOCK = BusyClock()
busy_s = _CLOCK.seconds
running = _CLOCK.inside


def over_targets(function: Callable, in_axes: int | tuple[int | None, ...] = 0) -> Callable[..., Any]:
    """Compiled `vmap` of a function of one target, the targets shared out over the devices.

    A call returns when its results are there. The first one of a shape compiles, which counts as busy too.

    Args:
        function: pure, of one target.
        in_axes: 0 for arguments with the target as first axis, None for those that all targets share.
    """
    compiled = shard_batch(jax.vmap(function, in_axes), in_axes=in_axes)

    @functools.wraps(compiled)
    def call(*args: Any) -> Any:
        with running():
            return awaited(compiled(*args))

    return call


def awaited(tree: Any) -> Any:
    """The same arrays, when all of them are there."""
    for array in jax.tree.leaves(tree):
        # Keys and what is no array of JAX cannot be asked; the last line waits for them.
        while hasattr(array, "is_ready") and not array.is_ready():
            time.sleep(POLL_S)
    return jax.block_until_ready(tree)


def group_size() -> int:
    """Targets worked on together: one a device on a CPU, 16 a device on accelerators."""
    return jax.device_count() * (1 if jax.default_backend() == "cpu" else 16)
