"""A thread that reads the anomaly topic into the state of the page."""

import threading
import time
from collections.abc import Iterable, Mapping
from typing import Any

from confluent_kafka import KafkaException

from sensorwatch.api.page.page_state import PageState, ReceivedEvent
from sensorwatch.common.alarms.events import (
    read_event,
)
from sensorwatch.common.errors import SensorwatchError
from sensorwatch.common.kafka.records import Record
from sensorwatch.common.kafka.silent_logger import silent_logger
from sensorwatch.common.kafka.topic_follower import follow_topics
from sensorwatch.common.runtime.logs import logger

CONNECT_SECONDS = 5.0
"""Longest wait for the first answer of the broker."""
RETRY_SECONDS = 5.0
"""Wait between two attempts to read the topic."""
PAUSE_PER_EVENT_SECONDS = 50e-6
"""Pause after each event, so that requests get half of the CPU time while old events are read."""

_log = logger("page")


class TopicThread:
    """Follows the anomaly topic from the begin of the window, and tries again after a failure."""

    def __init__(self, kafka: Mapping[str, Any], topic: str, state: PageState) -> None:
        self._kafka, self._topic, self._state = kafka, topic, state
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="page-topic", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self, timeout: float) -> None:
        """Stop the thread, and wait at most `timeout` seconds for its end."""
        self._stopping.set()
        self._thread.join(timeout)

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                self._follow()
            except (SensorwatchError, KafkaException) as error:
                if self._state.connection.problem != str(error):
                    _log.warning("the page gets no events", topic=self._topic, reason=str(error))
                self._state.disconnect(str(error))
            self._stopping.wait(RETRY_SECONDS)

    def _follow(self) -> None:
        begin = int((time.time() - self._state.window_seconds) * 1000)
        batches = follow_topics(
            self._kafka,
            [self._topic],
            begin=max(begin, 0),
            stopping=self._stopping.is_set,
            connect_seconds=CONNECT_SECONDS,
            logger=silent_logger(),
        )
        is_connected = False
        for batch in batches:
            if not is_connected:
                self._state.connect()
                is_connected = True
            if not batch:
                self._state.complete()
                continue
            self._state.add(received_events(batch))
            self._stopping.wait(len(batch) * PAUSE_PER_EVENT_SECONDS)


def received_events(records: Iterable[Record]) -> list[ReceivedEvent]:
    """Return the events in records of the anomaly topic.

    Other records, and events with a time that cannot be read, are left out.
    """
    return [
        ReceivedEvent(event, record.timestamp()[1] / 1000)
        for record in records
        if (event := read_event(record)) is not None
    ]
