"""What all tests share: one compilation cache for the user, so that a second run compiles nothing."""

import gc
import os
from pathlib import Path

import jax
import pytest

from ddsprl.compile_cache import enable_compilation_cache
from ddsprl.cpu import known_to_this_xla, tune_cpu

# Most of the time that tests take is the compiler's, and most of that is spent on making fast what runs once:
# so programs are compiled plainly here. What ships is compiled with XLA's own settings, and so is what
# `benchmarks/` measures. Commands that tests start inherit these, and flags of the user's come last and win.
# Level 0 is hardly faster, and some gradients that are finite at all other levels are not numbers there.
COMPILE_PLAINLY = (
    "--xla_backend_optimization_level=1",
    "--xla_cpu_use_fusion_emitters=false",
    "--xla_cpu_parallel_codegen_split_count=1",
)
if known_to_this_xla():
    os.environ["XLA_FLAGS"] = " ".join((*COMPILE_PLAINLY, os.environ.get("XLA_FLAGS", ""))).strip()
tune_cpu()
enable_compilation_cache()

# A compiled program takes some thirty mappings of memory, of which Linux allows a process 65,530; beyond that
# the compiler aborts.
MAPPINGS = Path("/proc/self/maps")
MOST_MAPPINGS = 20_000

# Files are handed out in this order (`--no-loadscope-reorder`), those that take minutes first, so that no
# process is left alone with one of them at the end.
LONGEST = (
    "training/test_resume.py",
    "match/test_agent.py",
    "match/test_batch.py",
    "test_sharding.py",
    "test_laws_instruments.py",
    "compare/test_pricing.py",
    "compare/test_end_to_end.py",
    "evaluation/test_run.py",
    "training/test_cloning.py",
    "training/test_loop.py",
    "env/test_gymnasium.py",
    "fitting/test_control.py",
    "fitting/test_inversion.py",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Longest files first; the others, and the tests of a file, stay in their order."""
    here = Path(__file__).parent
    place = {here / name: i for i, name in enumerate(LONGEST)}
    items.sort(key=lambda item: place.get(item.path, len(LONGEST)))


@pytest.fixture(autouse=True, scope="module")
def _programs_are_let_go():
    """Forget compiled programs after a module once there are many; what is needed again is in the cache."""
    yield
    if MAPPINGS.exists() and MAPPINGS.read_bytes().count(b"\n") > MOST_MAPPINGS:
        jax.clear_caches()
        gc.collect()
