"""What is asked of the allocator."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

_READS = 1000

# What a read into a large buffer costs that little comes into, as event loops read.
_PROGRAM = f"""
import os, resource
from windsock.core.protocol.memory import keep_memory

def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range({_READS}):
        os.write(writing, b"x")
        os.read(reading, 256 * 1024)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

reading, writing = os.pipe()
before = faults()
keep_memory()
keep_memory()
print(before, faults())
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other allocators do as they like")
def test_memory_is_kept_between_reads() -> None:
    ran = subprocess.run(
        [sys.executable, "-c", _PROGRAM], check=True, capture_output=True, text=True, timeout=60
    )
    before, after = (int(number) for number in ran.stdout.split())
    assert before >= _READS  # at least one page for each
    assert after < _READS / 10
