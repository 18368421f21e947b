"""Send the simulated rows to the broker in a thread."""

import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from threading import Event
from types import TracebackType
from typing import Any, Self

from sensorwatch.common.kafka.silent_logger import silent_logger
from sensorwatch.demo.scenario import Scenario, live_rows
from sensorwatch.producer.kafka_sink import connect_sink
from sensorwatch.producer.rate_limiting import batch_rows, batched, rate_limited
from sensorwatch.producer.simulated_records import SimulatedRecord, simulated_records
from sensorwatch.producer.sink import DeliveryCounts, deliver


class RowFeed:
    """Sends rows at the rate of the scenario, in a thread, until `stop` is called."""

    def __init__(self, scenario: Scenario, kafka: Mapping[str, Any], topic: str) -> None:
        """Connect to the broker and start to send. Raises BrokerUnavailable."""
        self._scenario = scenario
        self._stopping = Event()
        self._sink = connect_sink(
            kafka, topic, stopping=self._stopping.is_set, logger=silent_logger()
        )
        self.sent = 0
        """Number of rows that were passed to the Kafka client so far."""
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="row-feed")
        self._delivery_counts = self._thread.submit(self._send)

    def check(self) -> None:
        """Raise the error that ended the thread, if the thread failed."""
        if self._delivery_counts.done():
            self._delivery_counts.result()

    def stop(self) -> DeliveryCounts:
        """Stop sending, wait for the broker's acknowledgements, and return the delivery counts."""
        self._stopping.set()
        return self._delivery_counts.result()

    def _send(self) -> DeliveryCounts:
        rate = self._scenario.rate
        batches = rate_limited(
            batched(_records(self._scenario), batch_rows(rate)),
            rate,
            clock=time.monotonic,
            sleep=self._stopping.wait,
        )
        return deliver(
            batches, self._sink, stopping=self._stopping.is_set, on_sent=self._count_sent_rows
        )

    def _count_sent_rows(self, rows: int) -> None:
        self.sent += rows

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stopping.set()
        self._thread.shutdown()


def _records(scenario: Scenario) -> Iterator[SimulatedRecord]:
    for chunk in live_rows(scenario):
        yield from simulated_records(chunk)
