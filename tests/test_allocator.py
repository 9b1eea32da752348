"""The allocator's settings are taken, and freed memory then stays with the process."""

import subprocess
import sys

import pytest

PROGRAM = """
import resource
import sys
from ddsprl.allocator import keep_freed_memory

if sys.argv[1] == "keep":
    assert keep_freed_memory()

def faults_of_a_second_block():
    bytearray(16 << 20)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    bytearray(16 << 20)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

print(faults_of_a_second_block())
"""


def faults(mode: str) -> int:
    done = subprocess.run([sys.executable, "-c", PROGRAM, mode], capture_output=True, text=True, check=True)
    return int(done.stdout)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="a setting of glibc")
def test_a_freed_block_is_used_again_without_page_faults():
    assert faults("keep") < 16
    # Without the setting a block of 16 MiB is mapped anew; with huge pages that is 8 faults at least.
    assert faults("leave") >= 8
