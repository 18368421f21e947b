"""One process at a time compiles kernels, in several child processes in parallel."""

import fcntl
from pathlib import Path

import pytest

from sensorwatch.common import kernel_cache
from sensorwatch.common.kernel_folder import kernel_folder
from sensorwatch.common.runtime import kernel_compilation
from sensorwatch.common.runtime.kernel_compilation import JOBS, SCORING_JOB, KernelCompilation
from sensorwatch.common.runtime.kernel_progress import show_share


def test_nothing_is_compiled_if_every_kernel_is_in_the_cache() -> None:
    with KernelCompilation(is_cached=lambda: True) as compilation:
        assert not compilation.is_needed
        assert compilation.wait(lambda _share: None) == []


def test_the_error_of_a_child_process_is_returned(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path))
    for list_name in ("_JOBS_OF_ONE_CPU", "_JOBS_OF_TWO_CPUS"):
        monkeypatch.setattr(kernel_compilation, list_name, (("unknown-job",),))

    with KernelCompilation(is_cached=lambda: False) as compilation:
        error_messages = compilation.wait(lambda _share: None, ["unknown-job"])

    assert error_messages == ["KeyError: 'unknown-job'"]


def test_a_process_waits_while_another_one_has_the_lock_and_then_finds_the_kernels(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path))
    folder = kernel_folder(Path(kernel_cache.__file__).parent)
    assert folder is not None
    folder.mkdir(parents=True, exist_ok=True)
    is_cached = False

    with (folder / "compilation.lock").open("wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)

        def finish_compilation(_share: float) -> None:
            nonlocal is_cached
            is_cached = True
            fcntl.flock(lock, fcntl.LOCK_UN)

        with KernelCompilation(is_cached=lambda: is_cached) as compilation:
            assert compilation.wait(finish_compilation, JOBS) == []

    assert is_cached


def test_a_compilation_that_is_closed_leaves_no_process(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path))
    monkeypatch.setattr(kernel_compilation, "_JOBS_OF_ONE_CPU", ((SCORING_JOB,),))

    with KernelCompilation(is_cached=lambda: False) as compilation:
        child_processes = [child._process for child in compilation._children]
        assert [child.poll() for child in child_processes] == [None] * len(child_processes)

    assert all(child.poll() is not None for child in child_processes)


def test_kernels_are_counted_in_the_text_of_the_sources(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    source = tmp_path / "kernels_of_a_test.py"
    source.write_text("@kernel\ndef f(): ...\n@inlined_kernel\ndef g(): ...\n# @kernel\n")
    monkeypatch.setattr(kernel_cache, "kernel_sources", lambda: [source])

    assert kernel_cache.kernel_count() == 2


def test_without_a_terminal_the_share_is_said_every_five_seconds(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    messages: list[str] = []
    seconds = 0.0
    monkeypatch.setattr("time.monotonic", lambda: seconds)

    with show_share(messages.append) as on_share:
        for seconds in (1.0, 4.9, 5.0, 6.0, 10.0):
            on_share(seconds / 20)

    assert messages == ["compiled 25% of the scoring code", "compiled 50% of the scoring code"]
