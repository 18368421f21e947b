"""What was compiled before any file with kernels changed is not used again."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from sensorwatch.common import kernels

ROOT = Path(__file__).parents[1]


def test_a_change_in_any_kernel_file_recompiles_all_kernels(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    before = _stamp_of_a_kernel()
    assert _stamp_of_a_kernel() == before

    monkeypatch.setattr(kernels, "_kernel_sources_stamp", lambda: "another part was changed")

    assert _stamp_of_a_kernel() != before


def test_inlined_kernels_count_no_references() -> None:
    @kernels.inlined_kernel
    def first(row):  # type: ignore[no-untyped-def]
        return row[0]

    @kernels.kernel
    def total(rows):  # type: ignore[no-untyped-def]
        result = 0.0
        for row in range(len(rows)):
            result += first(rows[row])
        return result

    assert total(np.arange(6.0).reshape(3, 2)) == 0.0 + 2.0 + 4.0


def test_is_cached_says_whether_a_kernel_is_in_the_cache(tmp_path: Path) -> None:
    ask = (
        "from sensorwatch.common.kernels import is_cached; "
        "from sensorwatch.common.model.tails import for_each; "
    )
    answers = [_output_of(ask + "print(is_cached(for_each))", tmp_path)]
    _output_of(
        "from sensorwatch.common.model.tails import *; rarity(tail_from(np.ones(9)), np.ones(2))",
        tmp_path,
    )
    answers.append(_output_of(ask + "print(is_cached(for_each))", tmp_path))

    assert answers == ["False", "True"]


def _output_of(code: str, cache: Path) -> str:
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(cache), "PYTHONPATH": str(ROOT)}
    result = subprocess.run(
        [sys.executable, "-c", "import numpy as np; " + code],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    return result.stdout.strip()


def _stamp_of_a_kernel() -> object:
    @kernels.kernel
    def one():  # type: ignore[no-untyped-def]
        return 1

    return one._cache._cache_file._source_stamp
