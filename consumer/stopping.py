"""Asked to stop: at once while starting, after the micro-batch once the loop runs."""

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
"""Beyond shutdown_seconds: what a worker without a supervisor may take, even if it is stuck."""

_log = logger("consumer")


class StopRequest:
    """Listens for SIGTERM and SIGINT from its making on; calling it says whether one came.

    Made first, before the imports that take a second: until `finish_batch_first`, there is nothing to finish,
    and the process leaves at once with code 0.
    """

    def __init__(self) -> None:
        self._requested = threading.Event()
        self._limit_seconds: float | None = None
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._on_signal)

    def __call__(self) -> bool:
        """Say whether the loop should end."""
        return self._requested.is_set()

    def finish_batch_first(self, limit_seconds: float) -> None:
        """From now on let the micro-batch be finished, but leave after the limit all the same."""
        self._limit_seconds = limit_seconds
        if self._requested.is_set():  # while an import was deaf to it
            raise SystemExit(0)

    def stop_with_supervisor(self) -> None:
        """Stop as on SIGTERM when the supervisor is gone, which holds the other end of stdin."""
        threading.Thread(
            target=self._wait_for_supervisor_end, name="supervisor", daemon=True
        ).start()

    def _wait_for_supervisor_end(self) -> None:
        with suppress(OSError):
            while os.read(0, 1):  # nothing is ever written there: it only ends
                pass
        _log.warning("the supervisor is gone")
        _thread.interrupt_main(signal.SIGTERM)
        wait_seconds = (self._limit_seconds or 0.0) + ORPHAN_SECONDS
        time.sleep(wait_seconds)
        _exit_now(wait_seconds)

    def _on_signal(self, number: int, _frame: FrameType | None) -> None:
        self._requested.set()
        if self._limit_seconds is None:
            # Not SystemExit: it may come in the middle of an extension, which makes it its own.
            sys.stderr.flush()
            os._exit(0)
        _log.info("stopping", signal=signal.Signals(number).name)
        watchdog = threading.Timer(self._limit_seconds, _exit_now, [self._limit_seconds])
        watchdog.daemon = True
        watchdog.start()


def _exit_now(seconds: float) -> None:
    """Leave without the broker's help: a restart goes on from the committed offsets."""
    _log.error("not stopped in time, leaving at once", seconds=seconds)
    sys.stderr.flush()
    os._exit(70)
