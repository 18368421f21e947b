"""Ends a worker after SIGTERM or SIGINT: at once during its start, later after its micro-batch."""

import _thread
import os
import signal
import sys
import threading
import time
from contextlib import suppress
from types import FrameType

from sensorwatch.common.runtime.logs import logger

ORPHAN_EXIT_SECONDS = 15.0
"""After its supervisor has ended, a worker exits within shutdown_seconds plus this time."""

_log = logger("consumer")


class StopRequest:
    """Handles SIGTERM and SIGINT; calling the object returns whether one of them arrived.

    Create this object before the slow imports. Until `finish_batch_first` is called, there is no
    micro-batch to finish, so a signal ends the process at once with code 0.
    """

    def __init__(self) -> None:
        """Install the signal handlers."""
        self._requested = threading.Event()
        self._limit_seconds: float | None = None
        self._deadline: float | None = None
        """Monotonic time at which the watchdog ends the process; None before the first signal."""
        for signal_number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(signal_number, self._on_signal)

    def __call__(self) -> bool:
        """Return whether the loop should end."""
        return self._requested.is_set()

    @property
    def remaining_seconds(self) -> float:
        """Seconds until the watchdog ends the process; the full limit before the first signal."""
        if self._deadline is None:
            return self._limit_seconds or 0.0
        return max(0.0, self._deadline - time.monotonic())

    def finish_batch_first(self, limit_seconds: float) -> None:
        """After a signal, let the loop finish its micro-batch, but for at most `limit_seconds`."""
        self._limit_seconds = limit_seconds
        if self._requested.is_set():  # the signal arrived before the limit was set
            raise SystemExit(0)

    def stop_with_supervisor(self) -> None:
        """Stop, as after SIGTERM, when the supervisor ends and thereby closes the pipe at stdin."""
        threading.Thread(
            target=self._wait_for_supervisor_end, name="supervisor", daemon=True
        ).start()

    def _wait_for_supervisor_end(self) -> None:
        with suppress(OSError):
            while os.read(0, 1):  # no data arrives; the pipe closes when the supervisor ends
                pass
        _log.warning("the supervisor has ended")
        _thread.interrupt_main(signal.SIGTERM)
        wait_seconds = (self._limit_seconds or 0.0) + ORPHAN_EXIT_SECONDS
        time.sleep(wait_seconds)
        _exit_at_once(wait_seconds)

    def _on_signal(self, signal_number: int, _frame: FrameType | None) -> None:
        self._requested.set()
        if self._limit_seconds is None:
            # Do not raise SystemExit, because an extension module may catch it during an import.
            sys.stderr.flush()
            os._exit(0)
        self._deadline = self._deadline or time.monotonic() + self._limit_seconds
        _log.info("stopping", signal=signal.Signals(signal_number).name)
        watchdog = threading.Timer(self._limit_seconds, _exit_at_once, [self._limit_seconds])
        watchdog.daemon = True
        watchdog.start()


def _exit_at_once(seconds: float) -> None:
    """Exit without closing the client; a restart continues from the committed offsets."""
    _log.error("the worker did not stop in time and exits now", seconds=seconds)
    sys.stderr.flush()
    os._exit(70)
