"""A process can keep the memory that it freed, and reuse it without page faults."""

import os
import platform
import subprocess
import sys

import pytest

ALLOCATION_SCRIPT = """
import resource, sys
import numpy as np
from sensorwatch.common.runtime.allocator import keep_freed_memory
kept = keep_freed_memory() if sys.argv[1] == "keep" else None
for _ in range(40):
    columns = [np.ones(500_000) for _ in range(4)]  # 4 MB each
    del columns
print(kept, resource.getrusage(resource.RUSAGE_SELF).ru_minflt)
"""


def run_program(mode: str, **variables: str) -> tuple[str, int]:
    """Run ALLOCATION_SCRIPT; return its result of `keep_freed_memory` and its page faults."""
    environment = {name: text for name, text in os.environ.items() if "MALLOC_" not in name}
    process = subprocess.run(
        [sys.executable, "-c", ALLOCATION_SCRIPT, mode],
        env={**environment, **variables},
        check=True,
        capture_output=True,
        text=True,
    )
    result, page_faults = process.stdout.split()
    return result, int(page_faults)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc has these settings")
def test_freed_memory_is_reused_with_fewer_page_faults() -> None:
    (_, faults_by_default), (result, faults_with_setting) = (
        run_program("leave"),
        run_program("keep"),
    )

    assert result == "True"
    assert faults_with_setting < faults_by_default / 2


def test_settings_of_the_user_for_the_allocator_are_not_changed() -> None:
    result, _ = run_program("keep", MALLOC_ARENA_MAX="2")

    assert result == "False"
