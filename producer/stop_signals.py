"""Turn SIGINT and SIGTERM into a stop request that a loop can check."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Event
from types import FrameType


@dataclass(slots=True)
class StopSignal:
    """The stop request of this process."""

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
    """Provide a `StopSignal` that SIGINT or SIGTERM sets. A second SIGINT interrupts at once."""
    stop = StopSignal()

    def handle(number: int, _frame: FrameType | None) -> None:
        if number == signal.SIGINT:
            if stop.interrupted:
                raise KeyboardInterrupt
            stop.interrupted = True
        stop.event.set()

    previous_handlers = {
        number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        yield stop
    finally:
        for number, handler in previous_handlers.items():
            signal.signal(number, handler)
