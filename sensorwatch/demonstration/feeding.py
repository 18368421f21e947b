"""The simulated sensors' rows on their way to the broker, from a thread of its own."""

import time
from collections.abc import Iterator, Mapping
from threading import Event, Thread
from types import TracebackType
from typing import Any, Self

from sensorwatch.common.kafka.silent_logger import quiet_logger
from sensorwatch.demonstration.scenario import Scenario, live_rows
from sensorwatch.producer.kafka_sink import connect_sink
from sensorwatch.producer.rate_limiting import batch_rows, batched, rate_limited
from sensorwatch.producer.simulated_records import Record, simulated_records
from sensorwatch.producer.sink import DeliveryCounts, deliver


class Feeding:
    """Sends at the scenario's rate for as long as it is open, or until `stop`."""

    def __init__(self, scenario: Scenario, kafka: Mapping[str, Any], topic: str) -> None:
        """Connect; raises BrokerUnavailable."""
        self._stop = Event()
        self._sink = connect_sink(kafka, topic, stopping=self._stop.is_set, logger=quiet_logger())
        self._scenario = scenario
        self._tally: DeliveryCounts | None = None
        self._failure: Exception | None = None
        self._thread = Thread(target=self._run, name="feeding", daemon=True)
        self.sent = 0
        """Rows handed to the client so far."""

    def __enter__(self) -> Self:
        """Begin to send."""
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop.set()
        self._thread.join()

    def check(self) -> None:
        """Raise what has ended the sending, if anything has."""
        if self._failure is not None:
            raise self._failure

    def stop(self) -> DeliveryCounts:
        """Stop, wait for the broker's last answers and return the account."""
        self._stop.set()
        self._thread.join()
        self.check()
        assert self._tally is not None
        return self._tally

    def _run(self) -> None:
        rate = self._scenario.rate
        batches = rate_limited(
            batched(_records(self._scenario), batch_rows(rate)),
            rate,
            clock=time.monotonic,
            sleep=self._stop.wait,
        )
        try:
            self._tally = deliver(
                batches, self._sink, stopping=self._stop.is_set, on_sent=self._count
            )
        except Exception as error:  # noqa: BLE001 - `check` raises it where somebody can act
            self._failure = error

    def _count(self, rows: int) -> None:
        self.sent += rows


def _records(scenario: Scenario) -> Iterator[Record]:
    for chunk in live_rows(scenario):
        yield from simulated_records(chunk)
