"""Turn SIGINT and SIGTERM into a stop request that a loop can check."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Event
from types import FrameType


@dataclass(slots=True)
class StopSignal:
    """Whether this process was asked to stop."""

    event: Event = field(default_factory=Event)
    interrupted: bool = False
    """True after SIGINT, for example Ctrl-C."""

    def requested(self) -> bool:
        """Return whether a stop was requested."""
        return self.event.is_set()

    def sleep(self, seconds: float) -> None:
        """Wait for `seconds`, or until a stop is requested."""
        self.event.wait(seconds)


@contextmanager
def stop_on_signals() -> Iterator[StopSignal]:
    """Provide a `StopSignal` that SIGINT or SIGTERM sets. A second SIGINT ends the run at once."""
    stop = StopSignal()

    def request_stop(signal_number: int, _frame: FrameType | None) -> None:
        if signal_number == signal.SIGINT:
            if stop.interrupted:
                raise KeyboardInterrupt
            stop.interrupted = True
        stop.event.set()

    previous_handlers = {
        signal_number: signal.signal(signal_number, request_stop)
        for signal_number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        yield stop
    finally:
        for signal_number, handler in previous_handlers.items():
            signal.signal(signal_number, handler)
