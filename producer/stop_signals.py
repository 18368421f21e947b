"""SIGINT and SIGTERM as a question that a loop can ask."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Event
from types import FrameType


@dataclass(slots=True)
class StopSignal:
    """Whether this process was asked to stop, and how."""

    event: Event = field(default_factory=Event)
    interrupted: bool = False
    """By SIGINT: a person pressed Ctrl-C."""

    def requested(self) -> bool:
        """Say whether to stop."""
        return self.event.is_set()

    def sleep(self, seconds: float) -> None:
        """Wait, but no longer than until asked to stop."""
        self.event.wait(seconds)


@contextmanager
def stop_on_signals() -> Iterator[StopSignal]:
    """Turn the first signal into a wish to stop; a second SIGINT interrupts at once."""
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
