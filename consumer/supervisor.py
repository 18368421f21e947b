"""Several workers as processes: restarted when they crash, stopped together."""

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

FINAL_CODES = frozenset(
    error.exit_code for error in (UsageError, BreakerOpen, ModelRefused, OffsetsLost, StateRefused)
)
"""Exit codes that a restart would only repeat: a person has to act first.

Being fenced becomes final only the second time: once, it may be our own transaction that outlived
its timeout while the broker was away; twice, another process really has our id, and we yield.
"""
POLL_SECONDS = 0.1
BACKOFF_SECONDS = (0.5, 1.0, 2.0, 5.0, 10.0)
STABLE_AFTER_SECONDS = 60.0
"""A worker that ran this long starts with the shortest wait again."""

_log = logger("supervisor")


class _Worker:
    """One process with its history."""

    def __init__(self, number: int, command: Sequence[str]) -> None:
        self.number = number
        self._command = [*command, "--worker", str(number)]
        self._crashes = 0
        self._fenced = False
        self._restart_at = 0.0
        self._started_at = 0.0
        self.final_code: int | None = None
        self.process: subprocess.Popen[bytes] | None = None

    def update(self, now: float, *, stopping: bool) -> None:
        """Start it, notice its end, or wait until it may start again."""
        if self.final_code is not None:
            return
        if self.process is None:
            if stopping:
                self.final_code = 0
            elif now >= self._restart_at:
                # Its stdin is a pipe that ends when we do, however we do: see stopping.py.
                self.process = subprocess.Popen(  # noqa: S603 - our own command
                    self._command, stdin=subprocess.PIPE
                )
                self._started_at = now
            return
        code = self.process.poll()
        if code is None:
            return
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process = None
        if now - self._started_at > STABLE_AFTER_SECONDS:
            self._crashes, self._fenced = 0, False
        fenced = code == Fenced.exit_code
        if stopping or code == 0 or code in FINAL_CODES or (fenced and self._fenced):
            # Asked to stop before it could listen: that is no failure of its own.
            self.final_code = 0 if stopping and code == -signal.SIGTERM else code
            _log.info("worker ended", worker=self.number, code=code)
            return
        self._crashes, self._fenced = self._crashes + 1, fenced
        wait = BACKOFF_SECONDS[min(self._crashes, len(BACKOFF_SECONDS)) - 1]
        self._restart_at = now + wait
        _log.warning("worker crashed", worker=self.number, code=code, restart_in_seconds=wait)


def supervise(workers: int, arguments: Sequence[str]) -> int:
    """Run `workers` processes of this command with `arguments`; return the exit code for all.

    A worker that ends with one of FINAL_CODES ends all of them: the others would meet the same.
    """
    command = [sys.executable, "-m", "sensorwatch.consumer", *arguments]
    worker_processes = [_Worker(number, command) for number in range(workers)]
    signals = _StopSignals(
        lambda: [w.process.pid for w in worker_processes if w.process is not None]
    )
    stopping = False
    while any(worker.final_code is None for worker in worker_processes):
        for worker in worker_processes:
            worker.update(time.monotonic(), stopping=stopping or signals.stop_requested)
        failed = [worker for worker in worker_processes if worker.final_code]
        if (failed or signals.stop_requested) and not stopping:
            stopping = True
            signals.forward(signal.SIGTERM)
        time.sleep(POLL_SECONDS)
    return max((worker.final_code or 0 for worker in worker_processes), key=abs)


class _StopSignals:
    """Notes that we were asked to stop, and asks the workers."""

    def __init__(self, processes: Callable[[], list[int]]) -> None:
        self.stop_requested = False
        self._processes = processes
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._on_signal)

    def forward(self, number: signal.Signals) -> None:
        """Send a signal to every worker that runs."""
        for process in self._processes():
            os.kill(process, number)

    def _on_signal(self, _number: int, _frame: FrameType | None) -> None:
        self.stop_requested = True
