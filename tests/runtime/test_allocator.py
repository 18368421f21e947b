"""What is freed is there again without a page fault."""

import os
import platform
import subprocess
import sys

import pytest

PROGRAM = """
import resource, sys
import numpy as np
from sensorwatch.common.runtime.allocator import keep_freed_memory
kept = keep_freed_memory() if sys.argv[1] == "keep" else None
for _ in range(40):
    columns = [np.ones(500_000) for _ in range(4)]  # 4 MB each
    del columns
print(kept, resource.getrusage(resource.RUSAGE_SELF).ru_minflt)
"""


def run(how: str, **more: str) -> tuple[str, int]:
    """Return what `keep_freed_memory` said, and how many pages the process waited for."""
    environment = {name: text for name, text in os.environ.items() if "MALLOC_" not in name}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, how],
        env={**environment, **more},
        check=True,
        capture_output=True,
        text=True,
    )
    kept, faults = done.stdout.split()
    return kept, int(faults)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc has these settings")
def test_what_is_freed_is_there_again_without_page_faults() -> None:
    (_, before), (kept, after) = run("leave"), run("keep")

    assert kept == "True"
    assert after < before / 2


def test_who_sets_the_allocator_decides_without_us() -> None:
    kept, _ = run("keep", MALLOC_ARENA_MAX="2")

    assert kept == "False"
