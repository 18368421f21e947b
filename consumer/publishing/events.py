"""Events of anomalous rows and of closed episodes: JSON values with CloudEvents headers."""

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from sensorwatch.common.kafka.event_types import EventType
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
from sensorwatch.common.scoring.detections import ClosedEpisode, Detections
from sensorwatch.common.scoring.detector import Detector
from sensorwatch.common.scoring.processing import Outcome
from sensorwatch.common.scoring.row_positions import split_row_positions
from sensorwatch.common.scoring.silence_rule import SensorSilence
from sensorwatch.consumer.publishing.event_columns import (
    EventColumns,
    accepted_events,
    closed_events,
    detected_events,
    raised_events,
    stale_events,
)
from sensorwatch.consumer.publishing.silence_events import back_events, silent_events

MAX_TRACE_BYTES = 256
"""Maximum size of a `traceparent` header; the W3C format has 55 bytes.

A longer value is not copied, because the event could exceed the broker's size limit.
"""
MAX_SIGNALS_BUILT_AT_ONCE = 30_000
"""Maximum number of signals, summed over the events that are built at once.

The limit bounds the memory of the columns and texts.
"""


EVENT_ORDER = (
    EventType.CLOSED,
    EventType.DETECTED,
    EventType.RAISED,
    EventType.ACCEPTED,
    EventType.STALE,
    EventType.SILENT,
    EventType.BACK,
)
"""The order of the events that one row causes."""


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
    explained. A row has a further event if it raises the severity of its episode, if it shows
    another fault in the episode, or if the episode's level is accepted after it. A row at which the
    model becomes stale also has an event, even if the row is normal. A sensor that turns silent or
    comes back has an event. EVENT_ORDER is the order of the events of one row. `records` are the
    records of `outcome`, all of one partition; `outcome.positions` are their offsets. `detected_at`
    (RFC 3339) is written only to a header, so key and value do not depend on the clock or on the
    boundaries of micro-batches. `row_executor`: runs the work that does not depend on the order of
    the rows.
    """
    rows_by_type = _rows_with_events(outcome.detections, emit)
    if not (rows_by_type or outcome.closed or outcome.silences):
        return
    origin = coordinates(records[0])
    partition = Partition(origin.topic, origin.partition)
    batch = _BatchMessages(records, topic, partition, detected_at)
    messages_of_type: dict[EventType, Iterator[OutgoingMessage]] = {
        event_type: batch.messages(
            event_type,
            _event_parts(event_type, rows, outcome, detector, partition, row_executor),
            row_executor,
        )
        for event_type, rows in rows_by_type.items()
    }
    if len(rows_by_type) == 1 and not (outcome.closed or outcome.silences):
        yield from next(iter(messages_of_type.values()))
        return
    if outcome.closed:
        closed_parts = _closed_parts(outcome, detector, partition)
        messages_of_type[EventType.CLOSED] = batch.messages(
            EventType.CLOSED, closed_parts, row_executor
        )
    for event_type, silences in _silences_by_type(outcome).items():
        make_events = silent_events if event_type is EventType.SILENT else back_events
        silence_parts = [make_events(outcome, detector, silences, partition)]
        messages_of_type[event_type] = batch.messages(event_type, silence_parts, row_executor)
    for event_type in _event_types_in_order(outcome, rows_by_type):
        yield next(messages_of_type[event_type])


def _rows_with_events(
    detections: Detections, emit: EmittedEvents
) -> dict[EventType, NDArray[np.int64]]:
    """Return, by event type, the rows (n,) with such an event; a type without rows is left out."""
    is_raised = (detections.previous_severity > 0) & (
        detections.severity > detections.previous_severity
    )
    is_raised |= detections.is_news
    masks = {
        EventType.DETECTED: (
            detections.is_anomaly if emit is EmittedEvents.ROWS else detections.episode_rows == 1
        ),
        EventType.RAISED: is_raised,
        EventType.ACCEPTED: detections.is_accepted,
        EventType.STALE: detections.stale_episodes > 0,
    }
    return {event_type: np.flatnonzero(mask) for event_type, mask in masks.items() if mask.any()}


def _event_parts(
    event_type: EventType,
    rows: NDArray[np.int64],
    outcome: Outcome,
    detector: Detector,
    partition: Partition,
    row_executor: RowExecutor,
) -> Iterator[EventColumns]:
    """Yield the events of rows in parts, to limit the memory that the events need."""
    events_at_once = max(MAX_SIGNALS_BUILT_AT_ONCE // len(detector.schema.signals), 1)
    for first_row in range(0, len(rows), events_at_once):
        part_rows = rows[first_row : first_row + events_at_once]
        if event_type is EventType.ACCEPTED:
            yield accepted_events(outcome, detector, part_rows, partition)
        elif event_type is EventType.STALE:
            yield stale_events(outcome, detector, part_rows, partition)
        elif event_type is EventType.RAISED:
            yield raised_events(outcome, detector, part_rows, partition, row_executor=row_executor)
        else:
            yield detected_events(
                outcome, detector, part_rows, partition, row_executor=row_executor
            )


def _silences_by_type(outcome: Outcome) -> dict[EventType, list[SensorSilence]]:
    """Return the silences that began and that ended; a type without silences is left out."""
    silences_by_type: dict[EventType, list[SensorSilence]] = {}
    for silence in outcome.silences:
        event_type = EventType.BACK if silence.is_back else EventType.SILENT
        silences_by_type.setdefault(event_type, []).append(silence)
    return silences_by_type


def _closed_parts(
    outcome: Outcome, detector: Detector, partition: Partition
) -> Iterator[EventColumns]:
    events_at_once = max(MAX_SIGNALS_BUILT_AT_ONCE // len(detector.schema.signals), 1)
    for first_episode in range(0, len(outcome.closed), events_at_once):
        episodes = outcome.closed[first_episode : first_episode + events_at_once]
        yield closed_events(outcome, detector, episodes, partition)


def _event_types_in_order(
    outcome: Outcome, rows_by_type: dict[EventType, NDArray[np.int64]]
) -> Iterator[EventType]:
    """Yield the type of each event in the order of publishing.

    The events are sorted by the record that caused them, then by row, then by EVENT_ORDER.
    """
    readings = outcome.readings
    records, rows_in_record, type_indices = [], [], []
    facts_by_type: dict[EventType, Sequence[ClosedEpisode | SensorSilence]] = {
        EventType.CLOSED: outcome.closed,
        **_silences_by_type(outcome),
    }
    for event_type, facts in facts_by_type.items():
        positions = np.asarray([fact.position for fact in facts], dtype=np.int64)
        records.append(np.asarray([fact.index for fact in facts], dtype=np.int64))
        rows_in_record.append(split_row_positions(positions)[1])
        type_indices.append(np.full(len(facts), EVENT_ORDER.index(event_type)))
    for event_type, rows in rows_by_type.items():
        records.append(readings.index[rows])
        rows_in_record.append(
            np.full(len(rows), WHOLE_RECORD)
            if readings.row_in_record is None
            else readings.row_in_record[rows]
        )
        type_indices.append(np.full(len(rows), EVENT_ORDER.index(event_type)))
    all_type_indices = np.concatenate(type_indices)
    sorted_positions = np.lexsort(
        (all_type_indices, np.concatenate(rows_in_record), np.concatenate(records))
    )
    return (EVENT_ORDER[type_index] for type_index in all_type_indices[sorted_positions].tolist())


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
        self, event_type: EventType, parts: Iterable[EventColumns], row_executor: RowExecutor
    ) -> Iterator[OutgoingMessage]:
        """Yield the messages of events of one type, in order; the events come in parts."""
        for events in parts:
            yield from self._messages_of_part(event_type, events, row_executor)

    def _messages_of_part(
        self, event_type: EventType, events: EventColumns, row_executor: RowExecutor
    ) -> Iterator[OutgoingMessage]:
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
