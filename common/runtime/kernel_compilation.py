"""Compiles all kernels in parallel child processes, before the first row is scored."""

import fcntl
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from threading import Thread
from types import TracebackType
from typing import IO, Self

from sensorwatch.common.kernel_cache import kernel_count
from sensorwatch.common.kernel_folder import PRIVATE_FOLDER_VARIABLE, kernel_folder
from sensorwatch.common.kernel_hooks import take_action
from sensorwatch.common.kernels import all_cached

OnShare = Callable[[float], object]
"""A function that is called with the compiled share of all kernels, from 0 to 1."""

CSV_JOB, JSON_JOB, SCORING_JOB = JOBS = ("csv", "json", "scoring")
"""The jobs of the child processes; see `sensorwatch/kernel_jobs.py` for the kernels of each job."""
# Reading CSV and reading JSON share kernels, so one process does both.
_JOBS_OF_ONE_CPU = ((CSV_JOB, SCORING_JOB, JSON_JOB),)
_JOBS_OF_TWO_CPUS = ((CSV_JOB, JSON_JOB), (SCORING_JOB,))
_POLL_SECONDS = 0.05


class KernelCompilation:
    """A context manager that compiles every kernel that is not in the cache.

    If several processes need kernels, one of them compiles and the others wait. A process compiles
    in this way only once, because the constructor detaches the action of `kernel_hooks`. A kernel
    that was not compiled in this way, such as after a failure of a child process, is compiled at
    its first call.
    """

    def __init__(self, *, is_cached: Callable[[], bool] = all_cached) -> None:
        """Start to compile unless `is_cached()`; by default it checks the imported kernels."""
        take_action()  # this process must not start another compilation and then wait for itself
        self._is_cached = is_cached
        self._lock_file = None if is_cached() else _open_lock_file()
        self._total = 0 if self._lock_file is None else kernel_count()
        self._children: list[_Child] = []
        self._start_unless_locked()

    @property
    def is_needed(self) -> bool:
        """Whether kernels are being compiled, here or in another process."""
        return self._lock_file is not None

    def wait(self, on_share: OnShare, jobs: Sequence[str] = JOBS) -> list[str]:
        """Wait until `jobs` are done; return the error of each child process that failed."""
        while self.is_running(jobs):
            on_share(self._share())
            time.sleep(_POLL_SECONDS)
        return [error for child in self._children if (error := child.error()) is not None]

    def close(self) -> None:
        """Stop the child processes that still run."""
        for child in self._children:
            child.stop()
        if self._lock_file is not None:
            self._lock_file.close()
            self._lock_file = None

    def is_running(self, jobs: Sequence[str] = JOBS) -> bool:
        """Return whether one of `jobs` is not finished yet, here or in another process."""
        if self._lock_file is not None and not self._children:
            self._start_unless_locked()
        if self._lock_file is None:
            return False
        return not self._children or any(child.is_running(jobs) for child in self._children)

    def _start_unless_locked(self) -> None:
        """Start the child processes, unless another process compiles or has compiled."""
        if self._lock_file is None or not _lock(self._lock_file):
            return
        if self._is_cached():
            self.close()
            return
        has_two_cpus = len(os.sched_getaffinity(0)) > 1
        job_lists = _JOBS_OF_TWO_CPUS if has_two_cpus else _JOBS_OF_ONE_CPU
        self._children = [_Child(jobs) for jobs in job_lists]

    def _share(self) -> float:
        compiled_kernels: set[str] = set().union(
            *(child.compiled_kernels for child in self._children)
        )
        return min(1.0, len(compiled_kernels) / self._total)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        error_type: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


def kept_kernel_folder() -> Path | None:
    """Return the folder of the compiled kernels; None if they are not kept after this process."""
    folder = _compiled_folder()
    return None if PRIVATE_FOLDER_VARIABLE in os.environ else folder


def _compiled_folder() -> Path | None:
    return kernel_folder(Path(__file__).parents[1])


def _open_lock_file() -> IO[bytes] | None:
    """Return the open lock file beside the compiled kernels; None if they cannot be stored."""
    folder = _compiled_folder()
    if folder is None:
        return None
    try:
        folder.mkdir(parents=True, exist_ok=True)
        return (folder / "compilation.lock").open("wb")
    except OSError:
        return None


def _lock(file: IO[bytes]) -> bool:
    """Lock the file until it is closed; return False if another process has locked it."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


class _Child:
    """A child process that runs some jobs, and prints the name of each compiled kernel."""

    def __init__(self, jobs: Sequence[str]) -> None:
        self.compiled_kernels: set[str] = set()
        self._remaining = set(jobs)
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - closed by `stop`
        self._process = subprocess.Popen(  # noqa: S603 - this Python, our own module
            [sys.executable, "-m", "sensorwatch.kernel_jobs", *jobs],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
        )
        self._reader = Thread(target=self._read_reports, daemon=True)
        self._reader.start()

    def is_running(self, jobs: Sequence[str]) -> bool:
        """Return whether this process still has to finish at least one of `jobs`."""
        return self._reader.is_alive() and not self._remaining.isdisjoint(jobs)

    def error(self) -> str | None:
        """Return the last line of the process's standard error if it failed, else None."""
        if self._reader.is_alive() or self._process.wait() == 0:
            return None
        self._errors.seek(0)
        lines = self._errors.read().decode(errors="replace").splitlines()
        return lines[-1] if lines else f"exit code {self._process.returncode}, no message"

    def stop(self) -> None:
        """Stop the process if it still runs."""
        self._process.terminate()
        self._process.wait()
        self._reader.join()
        self._errors.close()

    def _read_reports(self) -> None:
        assert self._process.stdout is not None
        with self._process.stdout as reports:
            for line in reports:
                kind, name = line.split()
                if kind == "done":
                    self._remaining.discard(name)
                else:
                    self.compiled_kernels.add(name)
