"""What all tests share: one compilation cache for the user, so that a second run compiles nothing."""

import gc
from pathlib import Path

import jax
import pytest

from ddsprl.compile_cache import enable_compilation_cache
from ddsprl.cpu import tune_cpu

tune_cpu()
enable_compilation_cache()

# A compiled program takes some thirty mappings of memory, of which Linux allows a process 65,530; beyond that
# the compiler aborts.
MAPPINGS = Path("/proc/self/maps")
MOST_MAPPINGS = 20_000


@pytest.fixture(autouse=True, scope="module")
def _programs_are_let_go():
    """Forget compiled programs after a module once there are many; what is needed again is in the cache."""
    yield
    if MAPPINGS.exists() and MAPPINGS.read_bytes().count(b"\n") > MOST_MAPPINGS:
        jax.clear_caches()
        gc.collect()
