"""Runs several workers as processes, restarts them after a crash and stops them together."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from types import FrameType

from sensorwatch.common.errors import (
    BreakerOpen,
    Fenced,
    ModelRefused,
    OffsetsLost,
    StateRefused,
    UsageError,
)
from sensorwatch.common.runtime.logs import logger

FINAL_EXIT_CODES = frozenset(
    error.exit_code for error in (UsageError, BreakerOpen, ModelRefused, OffsetsLost, StateRefused)
)
"""Exit codes after which a worker is not restarted: a person must correct something first.

The code of Fenced is final only if it occurs twice in a row. The first time, the worker's own
transaction may have exceeded its timeout during an outage of the broker. The second time, another
process has the worker's transactional id.
"""
POLL_SECONDS = 0.1
RESTART_PAUSES_SECONDS = (0.5, 1.0, 2.0, 5.0, 10.0)
STABLE_AFTER_SECONDS = 60.0
"""After this running time, the earlier crashes of a worker no longer lengthen its restart pause."""

_log = logger("supervisor")


class _Worker:
    """A worker process that is restarted after a crash."""

    def __init__(self, number: int, command: Sequence[str]) -> None:
        self.number = number
        self._command = [*command, "--worker", str(number)]
        self._crashes = 0
        self._was_fenced = False
        self._restart_at = 0.0
        self._started_at = 0.0
        self.final_code: int | None = None
        """The exit code of the worker if it is not restarted any more, else None."""
        self.process: subprocess.Popen[bytes] | None = None

    def update(self, now: float, *, stopping: bool) -> None:
        """Start the process, handle its end, or wait until it may be restarted."""
        if self.final_code is not None:
            return
        if self.process is None:
            if stopping:
                self.final_code = 0
            elif now >= self._restart_at:
                # The worker's stdin is a pipe, which closes if this process ends; see stopping.py.
                self.process = subprocess.Popen(  # noqa: S603 - our own command
                    self._command, stdin=subprocess.PIPE
                )
                self._started_at = now
            return
        exit_code = self.process.poll()
        if exit_code is None:
            return
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process = None
        if now - self._started_at > STABLE_AFTER_SECONDS:
            self._crashes, self._was_fenced = 0, False
        is_fenced = exit_code == Fenced.exit_code
        is_final = exit_code in FINAL_EXIT_CODES or (is_fenced and self._was_fenced)
        if stopping or exit_code == 0 or is_final:
            # It is not a failure if SIGTERM ends a worker that has no signal handler yet.
            self.final_code = 0 if stopping and exit_code == -signal.SIGTERM else exit_code
            _log.info("worker ended", worker=self.number, code=exit_code)
            return
        self._crashes, self._was_fenced = self._crashes + 1, is_fenced
        wait_seconds = RESTART_PAUSES_SECONDS[min(self._crashes, len(RESTART_PAUSES_SECONDS)) - 1]
        self._restart_at = now + wait_seconds
        _log.warning(
            "worker crashed", worker=self.number, code=exit_code, restart_in_seconds=wait_seconds
        )


def supervise(workers: int, arguments: Sequence[str]) -> int:
    """Run `workers` processes of the consumer with `arguments`; return the exit code.

    If a worker ends with one of FINAL_EXIT_CODES, all workers are stopped, because the others
    would fail in the same way.
    """
    command = [sys.executable, "-m", "sensorwatch.consumer", *arguments]
    worker_processes = [_Worker(worker_number, command) for worker_number in range(workers)]
    signals = _StopSignals(
        lambda: [
            worker_process.process.pid
            for worker_process in worker_processes
            if worker_process.process is not None
        ]
    )
    stopping = False
    while any(worker.final_code is None for worker in worker_processes):
        for worker in worker_processes:
            worker.update(time.monotonic(), stopping=stopping or signals.stop_requested)
        failed_workers = [worker for worker in worker_processes if worker.final_code]
        if (failed_workers or signals.stop_requested) and not stopping:
            stopping = True
            signals.forward(signal.SIGTERM)
        time.sleep(POLL_SECONDS)
    return max((worker.final_code or 0 for worker in worker_processes), key=abs)


class _StopSignals:
    """Records SIGTERM and SIGINT, and sends signals to the workers."""

    def __init__(self, process_ids: Callable[[], list[int]]) -> None:
        """Install the handlers; `process_ids` returns the process ids of the running workers."""
        self.stop_requested = False
        self._process_ids = process_ids
        for signal_number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(signal_number, self._on_signal)

    def forward(self, signal_number: signal.Signals) -> None:
        """Send a signal to every running worker."""
        for process_id in self._process_ids():
            os.kill(process_id, signal_number)

    def _on_signal(self, _signal_number: int, _frame: FrameType | None) -> None:
        self.stop_requested = True
