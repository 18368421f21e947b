"""Where records go, and the account of how many arrived."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from sensorwatch.producer.simulated_records import Record


@dataclass(frozen=True, slots=True)
class DeliveryCounts:
    """What became of the records that were sent."""

    delivered: int
    failed: int
    failure: str = ""
    """What the first failure was."""


class Sink(Protocol):
    """Takes records and knows, once closed, what became of them."""

    def send(self, records: Sequence[Record]) -> None:
        """Hand records over, in order."""

    def close(self) -> DeliveryCounts:
        """Wait for what is under way, at most for a deadline, and return the account."""


def deliver(
    batches: Iterable[Sequence[Record]],
    sink: Sink,
    *,
    stopping: Callable[[], bool],
    on_sent: Callable[[int], object],
) -> DeliveryCounts:
    """Send batches until there are no more or `stopping`; `on_sent` hears of each batch's rows."""
    try:
        for batch in batches:
            if stopping():
                break
            sink.send(batch)
            on_sent(len(batch))
    except BaseException:
        sink.close()
        raise
    return sink.close()
