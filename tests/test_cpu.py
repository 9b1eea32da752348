"""Wide vectors are asked for once, never against the user, and never of a compiler that may not know them.

And freed memory stays with the process where it is asked to.
"""

import os
import subprocess
import sys

import pytest

from ddsprl import cpu

SECOND_BLOCK = """
import resource
import sys
from ddsprl.cpu import keep_freed_memory

if sys.argv[1] == "keep":
    assert keep_freed_memory()

def faults_of_a_second_block():
    bytearray(16 << 20)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    bytearray(16 << 20)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

print(faults_of_a_second_block())
"""


@pytest.fixture
def flags(monkeypatch):
    def given(value):
        monkeypatch.setenv("XLA_FLAGS", value)

    return given


def read():
    return os.environ["XLA_FLAGS"]


def test_the_flag_joins_what_the_user_has_set(flags):
    flags("--xla_cpu_enable_fast_math=false")
    assert cpu.prefer_wide_vectors()
    assert read() == "--xla_cpu_enable_fast_math=false --xla_cpu_prefer_vector_width=512"
    assert not cpu.prefer_wide_vectors()


def test_a_width_of_the_users_stays(flags):
    flags("--xla_cpu_prefer_vector_width=128")
    assert not cpu.prefer_wide_vectors()
    assert read() == "--xla_cpu_prefer_vector_width=128"


@pytest.mark.parametrize(
    ("version", "known"), [("0.9.1", False), ("0.10.2", True), ("0.11.0", True), ("0.12.0", False)]
)
def test_only_versions_that_know_the_flag_get_it(flags, monkeypatch, version, known):
    flags("")
    monkeypatch.setattr(cpu, "version", lambda _: version)
    assert cpu.prefer_wide_vectors() == known
    assert bool(read()) == known


def test_importing_computes_nothing():
    """Settings of the process would come too late."""
    program = (
        "import ddsprl, ddsprl.match, ddsprl.compare, ddsprl.env\n"
        "from jax._src import xla_bridge\n"
        "assert not xla_bridge.backends_are_initialized()"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=120)


def faults(mode: str) -> int:
    done = subprocess.run(
        [sys.executable, "-c", SECOND_BLOCK, mode], capture_output=True, text=True, check=True
    )
    return int(done.stdout)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="a setting of glibc")
def test_a_freed_block_is_used_again_without_page_faults():
    assert faults("keep") < 16
    # Without the setting a block of 16 MiB is mapped anew; with huge pages that is 8 faults at least.
    assert faults("leave") >= 8
