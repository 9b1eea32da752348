"""Keeps freed memory for the next call, where the C library allows it.

XLA's CPU backend allocates the temporaries of a program anew at every call. glibc maps blocks over 128 KiB
straight from the kernel and gives them back when they are freed, so every call pays a page fault for every
4 KiB that it touches: for gradients of audio-rate programs a third of the time. Two settings of `mallopt`
(see its manual page) let the heap keep them. What the process holds at most does not change much; what it
holds between calls does.
"""

import ctypes
import sys

# From <malloc.h> of glibc.
_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_THRESHOLD = -1, -2, -3
# The largest threshold that glibc takes on 64-bit machines is 4 MiB * sizeof(long) = 32 MiB.
_MMAP_THRESHOLD = 32 * 1024 * 1024
_KEPT = 2**31 - 1
_TOP_PAD = 64 * 1024 * 1024


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
