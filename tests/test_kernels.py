"""Kernels are compiled once, and compiled again after a change of any file with kernels."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sensorwatch.common import kernel_cache, kernel_hooks, kernels

ROOT = Path(__file__).parents[1]
KERNEL_SCRIPT = """
import numpy as np
from sensorwatch.common.kernels import is_cached
from sensorwatch.common.model.tails import fit_tail, look_up_rarities, rarity
print(is_cached(look_up_rarities), end=" ")
rarity(fit_tail(np.ones(9)), np.ones(2))
print(look_up_rarities.stats.cache_hits.total())
"""


@pytest.fixture(autouse=True)
def _no_registered_kernels(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the kernels of these tests out of `all_cached`."""
    monkeypatch.setattr(kernels, "_kernels_called_from_python", [])


def test_a_change_in_any_source_makes_all_kernels_compile_again(
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


def test_the_action_runs_once_before_the_first_compilation(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path))
    calls = []
    kernel_hooks.before_first_compilation(lambda: calls.append("action"))

    _a_kernel()()
    _a_kernel()()
    _another_kernel()()

    assert calls == ["action"]


def test_a_kernel_that_is_in_the_cache_runs_no_action(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path))
    _a_kernel()()
    kernel_hooks.before_first_compilation(pytest.fail)

    assert _a_kernel()() == 1

    assert kernel_hooks.take_action() is pytest.fail


def test_code_that_the_action_stores_is_loaded(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path))
    kernel_hooks.before_first_compilation(_a_kernel())
    kernel = _a_kernel()

    assert kernel() == 1

    assert kernel.stats.cache_hits.total() == 1
    assert kernel.stats.cache_misses.total() == 0


def test_every_file_with_kernels_is_part_of_the_source_stamp() -> None:
    folders = ("api", "common", "consumer", "producer", "sensorwatch", "trainer")
    files = [path for folder in folders for path in (ROOT / folder).rglob("*.py")]
    files_with_kernels = {
        path
        for path in files
        if re.search(r"common\.kernels import .*kernel", path.read_text(encoding="utf-8"))
    }

    assert len(files_with_kernels) > 15
    assert files_with_kernels <= {path.resolve() for path in kernel_cache.kernel_sources()}


def test_importing_every_kernel_reads_no_source_and_no_folder(tmp_path: Path) -> None:
    code = """
import sensorwatch.common.ledger.account, sensorwatch.common.rows.csv_chunk
import sensorwatch.common.scoring.explanation, sensorwatch.trainer.training
from sensorwatch.common import kernel_cache, kernel_folder
for cached in (kernel_cache.source_stamp, kernel_folder._own_folder):
    print(cached.cache_info().misses)
"""
    assert _output_of(code, tmp_path) == "0\n0"
    assert list(tmp_path.iterdir()) == []


def test_an_inlined_kernel_computes_the_correct_result() -> None:
    @kernels.inlined_kernel
    def first_value(row):  # type: ignore[no-untyped-def]
        return row[0]

    @kernels.kernel
    def sum_of_first_values(rows):  # type: ignore[no-untyped-def]
        result = 0.0
        for row in range(len(rows)):
            result += first_value(rows[row])
        return result

    assert sum_of_first_values(np.arange(6.0).reshape(3, 2)) == 0.0 + 2.0 + 4.0


@pytest.fixture(scope="module")
def compiled_kernels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the cache folder of a process that compiled the kernels of `KERNEL_SCRIPT`."""
    folder = tmp_path_factory.mktemp("kernels")
    assert _output_of(KERNEL_SCRIPT, folder) == "False 0"
    return folder


def test_a_second_process_loads_the_kernels_that_the_first_process_compiled(
    compiled_kernels: Path,
) -> None:
    assert _output_of(KERNEL_SCRIPT, compiled_kernels) == "True 1"


@pytest.mark.parametrize("damaged_content", [b"", b"\0" * 100])
@pytest.mark.parametrize("suffix", ["nbi", "nbc"])
def test_kernels_with_damaged_cache_files_are_compiled_again(
    compiled_kernels: Path, tmp_path: Path, suffix: str, damaged_content: bytes
) -> None:
    """Cache files that a crash or a full disk left incomplete must not stop later processes."""
    cache_folder = tmp_path / "cache"
    shutil.copytree(compiled_kernels, cache_folder)
    for path in cache_folder.rglob(f"*.{suffix}"):
        path.write_bytes(damaged_content)

    _output_of(KERNEL_SCRIPT, cache_folder)

    assert _output_of(KERNEL_SCRIPT, cache_folder) == "True 1"


def _output_of(code: str, cache_dir: Path) -> str:
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(cache_dir), "PYTHONPATH": str(ROOT)}
    process = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False
    )
    assert process.returncode == 0, process.stderr
    return process.stdout.strip()


def _a_kernel() -> Any:
    @kernels.kernel
    def kernel_without_arguments():  # type: ignore[no-untyped-def]
        return 1

    return kernel_without_arguments


def _another_kernel() -> Any:
    @kernels.kernel
    def another_kernel_without_arguments():  # type: ignore[no-untyped-def]
        return 2

    return another_kernel_without_arguments
