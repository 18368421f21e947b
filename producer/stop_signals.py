"""SIGINT and SIGTERM as a question that a loop can ask."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Event
from types import FrameType


@dataclass(slots=True)
class Stop:
    """Whether this process was asked to stop, and how."""

    event: Event = field(default_factory=Event)
    interrupted: bool = False
    """By SIGINT: a person pressed Ctrl-C."""

    def asked(self) -> bool:
        """Say whether to stop."""
        return self.event.is_set()

    def sleep(self, seconds: float) -> None:
        """Wait, but no longer than until asked to stop."""
        self.event.wait(seconds)


@contextmanager
def stop_on_signals() -> Iterator[Stop]:
    """Turn the first signal into a wish to stop; a second SIGINT interrupts at once."""
    stop = Stop()

    def handle(number: int, _frame: FrameType | None) -> None:
        if number == signal.SIGINT:
            if stop.interrupted:
                raise KeyboardInterrupt
            stop.interrupted = True
        stop.event.set()

    before = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
