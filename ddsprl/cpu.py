"""Settings of the process that make compiled programs faster on a CPU.

    tune_cpu()      # first thing in an entry point, before anything is compiled

Two things are set. XLA's CPU backend compiles for vectors of 256 bits, whatever the processor has; where it
has 512, the oscillators' long chains of arithmetic take half the time (`benchmarks/render_parts.py`), and
what waits for memory takes as long as before.

And freed memory is kept for the next call, where the C library allows it. XLA's CPU backend allocates the
temporaries of a program anew at every call. glibc maps blocks over 128 KiB straight from the kernel and gives
them back when they are freed, so every call pays a page fault for every 4 KiB that it touches: for gradients
of audio-rate programs a third of the time. Two settings of `mallopt` (see its manual page) let the heap keep
them. What the process holds at most does not change much; what it holds between calls does.
"""

import ctypes
import os
import re
import sys
from importlib.metadata import version

_FLAG = "--xla_cpu_prefer_vector_width"
_BITS = 512
# From the first of these versions of jaxlib on, and before the second.
_KNOWN_IN = ((0, 10), (0, 12))
# From <malloc.h> of glibc.
_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_THRESHOLD = -1, -2, -3
# The largest threshold that glibc takes on 64-bit machines is 4 MiB * sizeof(long) = 32 MiB.
_MMAP_THRESHOLD = 32 * 1024 * 1024
_KEPT = 2**31 - 1
_TOP_PAD = 64 * 1024 * 1024


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
    if _FLAG in flags or not known_to_this_xla():
        return False
    os.environ["XLA_FLAGS"] = f"{flags} {_FLAG}={_BITS}".strip()
    return True


def known_to_this_xla() -> bool:
    """Whether the installed jaxlib knows the flags that are used here; an unknown one ends the process."""
    return _KNOWN_IN[0] <= _release(version("jaxlib")) < _KNOWN_IN[1]


def _release(text: str) -> tuple[int, ...]:
    """Major and minor number of a version."""
    return tuple(int(number) for number in re.findall(r"\d+", text)[:2])


def keep_freed_memory() -> bool:
    """Ask the C library to keep freed blocks for reuse; returns whether it will (glibc only)."""
    if not sys.platform.startswith("linux"):
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return False
    wanted = ((_M_MMAP_THRESHOLD, _MMAP_THRESHOLD), (_M_TRIM_THRESHOLD, _KEPT), (_M_TOP_PAD, _TOP_PAD))
    return all([mallopt(ctypes.c_int(option), ctypes.c_int(value)) == 1 for option, value in wanted])
