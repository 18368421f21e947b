"""Reaction to SIGTERM and SIGINT: exit at once while starting, later finish the micro-batch."""

import _thread
import os
import signal
import sys
import threading
import time
from contextlib import suppress
from types import FrameType

from sensorwatch.common.runtime.logs import logger

ORPHAN_SECONDS = 15.0
"""Time beyond shutdown_seconds after which a worker without a supervisor exits, even if stuck."""

_log = logger("consumer")


class StopRequest:
    """Handles SIGTERM and SIGINT; calling the object returns whether one of them arrived.

    Create it before the slow imports. Until `finish_batch_first` there is no micro-batch to finish,
    so a signal ends the process at once with code 0.
    """

    def __init__(self) -> None:
        """Install the signal handlers."""
        self._requested = threading.Event()
        self._limit_seconds: float | None = None
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._on_signal)

    def __call__(self) -> bool:
        """Return whether the loop should end."""
        return self._requested.is_set()

    def finish_batch_first(self, limit_seconds: float) -> None:
        """From now on, finish the micro-batch after a signal; exit after `limit_seconds` anyway."""
        self._limit_seconds = limit_seconds
        if self._requested.is_set():  # the signal arrived before the limit was set
            raise SystemExit(0)

    def stop_with_supervisor(self) -> None:
        """Stop as after SIGTERM if the supervisor ends, which closes the other end of stdin."""
        threading.Thread(
            target=self._wait_for_supervisor_end, name="supervisor", daemon=True
        ).start()

    def _wait_for_supervisor_end(self) -> None:
        with suppress(OSError):
            while os.read(0, 1):  # no byte is ever written there; the pipe only closes
                pass
        _log.warning("the supervisor has ended")
        _thread.interrupt_main(signal.SIGTERM)
        wait_seconds = (self._limit_seconds or 0.0) + ORPHAN_SECONDS
        time.sleep(wait_seconds)
        _exit_now(wait_seconds)

    def _on_signal(self, number: int, _frame: FrameType | None) -> None:
        self._requested.set()
        if self._limit_seconds is None:
            # Not SystemExit: an extension module may catch it during an import.
            sys.stderr.flush()
            os._exit(0)
        _log.info("stopping", signal=signal.Signals(number).name)
        watchdog = threading.Timer(self._limit_seconds, _exit_now, [self._limit_seconds])
        watchdog.daemon = True
        watchdog.start()


def _exit_now(seconds: float) -> None:
    """Exit without closing anything: a restart continues from the committed offsets."""
    _log.error("not stopped in time, exiting now", seconds=seconds)
    sys.stderr.flush()
    os._exit(70)
