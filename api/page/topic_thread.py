"""A thread that reads a topic into the state of the page."""

import threading
import time
from collections.abc import Iterable, Mapping
from typing import Any, Protocol

from confluent_kafka import KafkaException

from sensorwatch.api.page.connection import Connection
from sensorwatch.common.errors import SensorwatchError
from sensorwatch.common.kafka.records import Record
from sensorwatch.common.kafka.silent_logger import silent_logger
from sensorwatch.common.kafka.topic_follower import follow_topics
from sensorwatch.common.runtime.logs import logger

CONNECT_SECONDS = 5.0
"""Longest wait for the first answer of the broker."""
RETRY_SECONDS = 5.0
"""Wait between two attempts to read the topic."""
QUEUED_KILOBYTES = 16_384
"""The Kafka client keeps at most this size of records of a partition in memory."""

_log = logger("page")


class TopicState(Protocol):
    """The state that the records of a topic change."""

    window_seconds: int

    @property
    def connection(self) -> Connection:
        """Return what is known about the connection to the topic."""

    def connect(self) -> None:
        """Forget all records, because they are read again from the begin of the window."""

    def disconnect(self, problem: str) -> None:
        """Keep the records, and record why no new records arrive."""

    def complete(self) -> None:
        """Record that all older records were read."""

    def add_records(self, records: Iterable[Record]) -> None:
        """Add records in the order of their partitions."""


class TopicThread:
    """Follows a topic from the begin of the window, and tries again after a failure."""

    def __init__(self, kafka: Mapping[str, Any], topic: str, state: TopicState) -> None:
        self._kafka = {**kafka, "queued.max.messages.kbytes": QUEUED_KILOBYTES}
        self._topic, self._state = topic, state
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
                    _log.warning(
                        "the page cannot read a topic", topic=self._topic, reason=str(error)
                    )
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
            begin_time = time.perf_counter()
            self._state.add_records(batch)
            # Requests get half of the CPU time while old records are read.
            self._stopping.wait(time.perf_counter() - begin_time)
