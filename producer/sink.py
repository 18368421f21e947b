"""The sink protocol, and the delivery of batches to a sink."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from sensorwatch.producer.simulated_records import SimulatedRecord


@dataclass(frozen=True, slots=True)
class DeliveryCounts:
    """The numbers of delivered and failed records."""

    delivered: int
    failed: int
    failure: str = ""
    """The first error, or an empty text."""


class Sink(Protocol):
    """A destination for records, which counts its deliveries."""

    def send(self, records: Sequence[SimulatedRecord]) -> None:
        """Send records in order."""

    def close(self) -> DeliveryCounts:
        """Wait, up to a time limit, for unconfirmed records; return the delivery counts."""


def deliver(
    batches: Iterable[Sequence[SimulatedRecord]],
    sink: Sink,
    *,
    stopping: Callable[[], bool],
    on_sent: Callable[[int], object],
) -> DeliveryCounts:
    """Send batches until the end or until `stopping` returns True; return the delivery counts.

    `on_sent`: called with the number of records of each batch.
    """
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
