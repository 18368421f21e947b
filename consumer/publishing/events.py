"""Events of anomalous rows and of closed episodes: JSON values with CloudEvents headers."""

from collections.abc import Iterator, Sequence
from enum import StrEnum
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from sensorwatch.common.kafka.records import (
    Headers,
    OutgoingMessage,
    Partition,
    Record,
    coordinates,
    headers_of,
    last_header_value,
)
from sensorwatch.common.row_executor import RowExecutor, run_serially
from sensorwatch.common.rows.json_objects import json_objects
from sensorwatch.common.rows.readings import WHOLE_RECORD
from sensorwatch.common.runtime.setting_choices import EmittedEvents
from sensorwatch.common.scoring.detector import Detector
from sensorwatch.common.scoring.processing import Outcome
from sensorwatch.common.scoring.row_positions import split_row_positions
from sensorwatch.consumer.publishing.event_columns import (
    EventColumns,
    closed_events,
    detected_events,
)

MAX_TRACE_BYTES = 256
"""Maximum size of a `traceparent` header; the W3C format has 55 bytes.

A longer value is not copied, because the event could exceed the broker's size limit.
"""
SIGNALS_AT_ONCE = 30_000
"""Number of signals of the events that are built at once, over all events.

It limits the memory of the columns and texts.
"""


class EventType(StrEnum):
    """The type of an event, in the header `ce_type`."""

    DETECTED = "io.sensorwatch.anomaly.detected.v1"
    """An anomalous row."""
    CLOSED = "io.sensorwatch.episode.closed.v1"
    """The end of an episode."""


def anomaly_events(
    outcome: Outcome,
    detector: Detector,
    records: Sequence[Record],
    *,
    topic: str,
    detected_at: str,
    emit: EmittedEvents = EmittedEvents.ROWS,
    row_executor: RowExecutor = run_serially,
) -> Iterator[OutgoingMessage]:
    """Yield the events of a partition batch, in the order of the records that caused them.

    Each closed episode has an event. Each anomalous row has an event; with
    `EmittedEvents.EPISODES`, only the first row of each episode has one, and no other row is
    explained. If one row causes both events, the event of the closed episode comes first.
    `records` are the records of `outcome`, all of one partition; `outcome.positions` are their
    offsets. `detected_at` (RFC 3339) is written only to a header, so key and value do not depend on
    the clock or on the boundaries of micro-batches. `row_executor`: runs the work that does not
    depend on the order of the rows.
    """
    detections = outcome.detections
    is_reported = (
        detections.is_anomaly if emit is EmittedEvents.ROWS else detections.episode_rows == 1
    )
    rows, episodes = np.flatnonzero(is_reported), outcome.closed
    events_at_once = max(SIGNALS_AT_ONCE // len(detector.schema.signals), 1)
    if not (len(rows) or episodes):
        return
    origin = coordinates(records[0])
    partition = Partition(origin.topic, origin.partition)
    batch = _BatchMessages(records, topic, partition, detected_at)
    detected_messages = chain.from_iterable(
        batch.messages(
            EventType.DETECTED,
            detected_events(
                outcome,
                detector,
                rows[first : first + events_at_once],
                partition,
                row_executor=row_executor,
            ),
            row_executor,
        )
        for first in range(0, len(rows), events_at_once)
    )
    closed_messages = chain.from_iterable(
        batch.messages(
            EventType.CLOSED,
            closed_events(outcome, detector, episodes[first : first + events_at_once], partition),
            row_executor,
        )
        for first in range(0, len(episodes), events_at_once)
    )
    if not episodes:
        yield from detected_messages
        return
    for is_closed in _order(outcome, rows).tolist():
        yield next(closed_messages if is_closed else detected_messages)


def _order(outcome: Outcome, rows: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Return for each event, in the order of publishing, whether it is of a closed episode.

    `rows`: the rows with an event. The order is that of the causing records, and of their rows.
    """
    readings, episodes = outcome.readings, outcome.closed
    _, closing_row = split_row_positions(
        np.asarray([episode.position for episode in episodes], dtype=np.int64)
    )
    closing_record = np.asarray([episode.index for episode in episodes], dtype=np.int64)
    row_in_record = (
        np.full(len(rows), WHOLE_RECORD)
        if readings.row_in_record is None
        else readings.row_in_record[rows]
    )
    record = np.concatenate([closing_record, readings.index[rows]])
    is_closed = np.arange(len(record)) < len(episodes)
    # The sort is stable: the closed episode of a row stays before the anomalous row.
    order = np.lexsort((np.concatenate([closing_row, row_in_record]), record))
    return is_closed[order]


# All events share these tuples. Creating these objects for each event doubled the time for the
# headers.
_SPEC_VERSION_HEADER = ("ce_specversion", b"1.0")
_CONTENT_TYPE_HEADER = ("content-type", b"application/json")
_TYPE_HEADERS = {event_type: ("ce_type", event_type.encode()) for event_type in EventType}


class _BatchMessages:
    """Builds the messages of a partition batch."""

    def __init__(
        self, records: Sequence[Record], topic: str, partition: Partition, detected_at: str
    ) -> None:
        self._records = records
        self._topic = topic
        self._source_header = ("ce_source", f"/kafka/{partition.topic}".encode())
        self._detected_at_header = ("detected_at", detected_at.encode())

    def messages(
        self, event_type: EventType, events: EventColumns, row_executor: RowExecutor
    ) -> Iterator[OutgoingMessage]:
        """Yield the messages of events of one type, in order."""
        topic, records = self._topic, self._records
        source_header, detected_at_header = self._source_header, self._detected_at_header
        type_header = _TYPE_HEADERS[event_type]
        # The trace continues in the event of the anomalous row.
        has_trace = event_type is EventType.DETECTED
        keys = [sensor_id.encode() for sensor_id in events.sensor_ids]
        subject_headers = [("ce_subject", key) for key in keys]
        columns = zip(
            events.record.tolist(),
            events.sensor.tolist(),
            events.event_id.to_list(),
            events.event_time.to_list(),
            json_objects(events.fields, row_executor=row_executor),
            strict=True,
        )
        for record, sensor, event_id, event_time, value in columns:
            headers: Headers = [
                _SPEC_VERSION_HEADER,
                ("ce_id", event_id),
                source_header,
                type_header,
                ("ce_time", event_time),
                subject_headers[sensor],
                _CONTENT_TYPE_HEADER,
                detected_at_header,
            ]
            record_headers = headers_of(records[record]) if has_trace else None
            if record_headers:
                headers += _trace_headers(record_headers)
            yield OutgoingMessage(topic, keys[sensor], value, headers)


def _trace_headers(record_headers: Headers) -> Headers:
    """Return the `traceparent` header to copy, or no header."""
    trace_parent = last_header_value(record_headers, "traceparent")
    if trace_parent is None or len(trace_parent) > MAX_TRACE_BYTES:
        return []
    return [("traceparent", trace_parent)]
