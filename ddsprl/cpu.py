"""Settings of the process that make compiled programs faster on a CPU.

    tune_cpu()      # first thing in an entry point, before anything is compiled

Two things are set. XLA's CPU backend compiles for vectors of 256 bits, whatever the processor has; where it
has 512, the oscillators' long chains of arithmetic take half the time (`benchmarks/render_parts.py`), and
what waits for memory takes as long as before. And freed memory is kept: see `ddsprl.allocator`.
"""

import os
import re
from importlib.metadata import version

from ddsprl.allocator import keep_freed_memory

_FLAG = "--xla_cpu_prefer_vector_width"
_BITS = 512
# An unknown flag ends the process. These versions of jaxlib know it.
_KNOWN_IN = ((0, 10), (0, 12))


def tune_cpu() -> None:
    """Prefer wide vectors and keep freed memory.

    A width that the user has set in `XLA_FLAGS` stays. Without effect on the vectors after the first
    computation, when XLA has read its flags.
    """
    keep_freed_memory()
    prefer_wide_vectors()


def prefer_wide_vectors() -> bool:
    """Let XLA use vectors of 512 bits where the processor has them; returns whether it was asked to."""
    flags = os.environ.get("XLA_FLAGS", "")
    if _FLAG in flags or not _KNOWN_IN[0] <= _release(version("jaxlib")) < _KNOWN_IN[1]:
        return False
    os.environ["XLA_FLAGS"] = f"{flags} {_FLAG}={_BITS}".strip()
    return True


def _release(text: str) -> tuple[int, ...]:
    """Major and minor number of a version."""
    return tuple(int(number) for number in re.findall(r"\d+", text)[:2])
