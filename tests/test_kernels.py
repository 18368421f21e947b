"""Kernels are compiled once, and again after any file with kernels changed."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sensorwatch.common import kernel_cache, kernels

ROOT = Path(__file__).parents[1]
READ = """
import numpy as np
from sensorwatch.common.kernels import is_cached
from sensorwatch.common.model.tails import fit_tail, look_up_rarities, rarity
print(is_cached(look_up_rarities), end=" ")
rarity(fit_tail(np.ones(9)), np.ones(2))
print(look_up_rarities.stats.cache_hits.total())
"""


def test_a_change_in_any_source_makes_all_kernels_new(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "cache"))
    source = tmp_path / "another_file.py"
    source.write_text("SCALE = 1.0\n", encoding="utf-8")
    monkeypatch.setattr(kernel_cache, "kernel_sources", lambda: [source])
    monkeypatch.setattr(kernel_cache, "source_stamp", kernel_cache.source_stamp.__wrapped__)
    _a_kernel()()
    assert kernels.is_cached(_a_kernel())

    source.write_text("SCALE = 2.0\n", encoding="utf-8")

    assert not kernels.is_cached(_a_kernel())


def test_every_file_with_kernels_is_a_source() -> None:
    parts = ("api", "common", "consumer", "producer", "sensorwatch", "trainer")
    files = [path for part in parts for path in (ROOT / part).rglob("*.py")]
    with_kernels = {
        path
        for path in files
        if "common.kernels import" in path.read_text(encoding="utf-8")
        and "is_cached" not in path.read_text(encoding="utf-8")
    }

    assert len(with_kernels) > 15
    assert with_kernels <= {path.resolve() for path in kernel_cache.kernel_sources()}


def test_importing_every_kernel_looks_at_no_source_and_at_no_folder(tmp_path: Path) -> None:
    code = """
import sensorwatch.common.ledger.account, sensorwatch.common.rows.csv_chunk
import sensorwatch.common.scoring.explanation, sensorwatch.trainer.training
from sensorwatch.common import kernel_cache, kernel_folder
for looked in (kernel_cache.source_stamp, kernel_folder._own_folder):
    print(looked.cache_info().misses)
"""
    assert _output_of(code, tmp_path) == "0\n0"
    assert list(tmp_path.iterdir()) == []


def test_inlined_kernels_count_no_references() -> None:
    @kernels.inlined_kernel
    def first(row):  # type: ignore[no-untyped-def]
        return row[0]

    @kernels.kernel
    def total(rows):  # type: ignore[no-untyped-def]
        actual = 0.0
        for row in range(len(rows)):
            actual += first(rows[row])
        return actual

    assert total(np.arange(6.0).reshape(3, 2)) == 0.0 + 2.0 + 4.0


def test_a_second_process_loads_what_the_first_compiled(tmp_path: Path) -> None:
    assert _output_of(READ, tmp_path) == "False 0"
    assert _output_of(READ, tmp_path) == "True 1"


@pytest.mark.parametrize("content", [b"", b"\0" * 100])
@pytest.mark.parametrize("suffix", ["nbi", "nbc"])
def test_damaged_files_are_compiled_again(tmp_path: Path, suffix: str, content: bytes) -> None:
    """What a crash or a full disk leaves behind must not end every later start."""
    _output_of(READ, tmp_path)
    for path in tmp_path.rglob(f"*.{suffix}"):
        path.write_bytes(content)

    _output_of(READ, tmp_path)

    assert _output_of(READ, tmp_path) == "True 1"


def _output_of(code: str, cache: Path) -> str:
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(cache), "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def _a_kernel() -> Any:
    @kernels.kernel
    def one():  # type: ignore[no-untyped-def]
        return 1

    return one
