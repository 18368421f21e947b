"""Events of anomalous rows and of closed episodes: JSON values with CloudEvents headers."""

from collections.abc import Iterator, Sequence
from enum import StrEnum
from operator import itemgetter

import msgspec
import numpy as np
from numpy.typing import NDArray

from sensorwatch.common.kafka.records import (
    Coordinates,
    Headers,
    OutgoingMessage,
    Record,
    coordinates,
    header_value,
)
from sensorwatch.common.model.calibration import p_values
from sensorwatch.common.rows.fast.timestamps import format_instants
from sensorwatch.common.rows.readings import WHOLE_RECORD, Readings
from sensorwatch.common.runtime.setting_choices import EmittedEvents
from sensorwatch.common.scoring.detections import SEVERITY_TEXTS, Detections
from sensorwatch.common.scoring.detector import Detector
from sensorwatch.common.scoring.explanation import SignalReading, explain_rows
from sensorwatch.common.scoring.processing import Outcome
from sensorwatch.common.scoring.row_positions import split_row_position
from sensorwatch.common.scoring.status import STATUS_TEXTS

EVENT_SCHEMA_VERSION = 2
MAX_TRACE_BYTES = 256
"""Maximum size of a `traceparent` header; the W3C format has 55 bytes.

A longer value is not copied, because the event could exceed the broker's size limit.
"""


class EventType(StrEnum):
    """The type of an event, in the header `ce_type`."""

    DETECTED = "io.sensorwatch.anomaly.detected.v1"
    """An anomalous row."""
    CLOSED = "io.sensorwatch.episode.closed.v1"
    """The end of an episode."""


class _EventValue(msgspec.Struct, frozen=True):
    """The fields that both event types have, in the order in which they are written."""

    event_id: str
    schema_version: int
    sensor_id: str
    event_time: str
    """Event time of the record that caused the event."""
    source: Coordinates
    """Topic, partition and offset of the record that caused the event."""
    model_version: str


class _Episode(msgspec.Struct, frozen=True):
    id: str
    start: str
    rows: int
    peak: float


class _DetectedEvent(_EventValue, frozen=True):
    """The JSON value of an event that reports an anomalous row."""

    status: str
    anomaly_score: float
    raw_score: float
    threshold: float
    p_value: float
    severity: str
    episode: _Episode
    signals: list[SignalReading]


class _ClosedEvent(_EventValue, frozen=True):
    """The JSON value of an event that reports the end of an episode."""

    episode_id: str
    start: str
    last: str
    duration_seconds: float
    rows: int
    peak: float
    severity: str


def anomaly_events(
    outcome: Outcome,
    detector: Detector,
    records: Sequence[Record],
    *,
    topic: str,
    detected_at: str,
    emit: EmittedEvents = EmittedEvents.ROWS,
) -> Iterator[OutgoingMessage]:
    """Yield the events of a partition batch, in the order of the records that caused them.

    Each closed episode has an event. Each anomalous row has an event; with
    `EmittedEvents.EPISODES`, only the first row of each episode has one. If one row causes both
    events, the event of the closed episode comes first. `records` are the records of `outcome`.
    `detected_at` (RFC 3339) is written only to a header, so key and value do not depend on the
    clock or on the boundaries of micro-batches.
    """
    events: list[tuple[int, int, _EventValue]] = [
        *_closed_events(outcome, detector, records),
        *_detected_events(outcome, detector, records, emit),
    ]
    # The sort is stable: the closed episode of a row stays before the anomalous row.
    events.sort(key=itemgetter(0, 1))
    encode = msgspec.json.Encoder().encode
    detected_at_header = ("detected_at", detected_at.encode())
    for index, _, value in events:
        headers = _headers(value, records[index], detected_at_header)
        yield OutgoingMessage(topic, value.sensor_id.encode(), encode(value), headers)


def _detected_events(
    outcome: Outcome, detector: Detector, records: Sequence[Record], emit: EmittedEvents
) -> Iterator[tuple[int, int, _EventValue]]:
    """Yield the event of each reported anomalous row: index of the record, row in it, event."""
    readings, detections = outcome.readings, outcome.detections
    is_reported = (
        detections.is_anomaly if emit is EmittedEvents.ROWS else detections.episode_rows == 1
    )
    rows = np.flatnonzero(is_reported)
    columns = zip(
        zip(readings.index[rows].tolist(), _rows_in_records(readings, rows), strict=True),
        readings.sensor[rows].tolist(),
        format_instants(readings.event_time[rows]),
        STATUS_TEXTS[detections.status[rows]].tolist(),
        detections.anomaly_score[rows].tolist(),
        detections.raw_score[rows].tolist(),
        p_values(detections.raw_score[rows], detections.calibration).tolist(),
        SEVERITY_TEXTS[detections.severity[rows]].tolist(),
        _episodes(detections, rows),
        explain_rows(detector, outcome, rows),
        strict=True,
    )
    sensor_ids, version = readings.sensor_ids, detector.version
    threshold = detector.calibration.threshold
    for place, sensor, time, status, score, raw, p_value, severity, episode, signals in columns:
        (index, row), (start, *episode_values) = place, episode
        origin = coordinates(records[index])
        yield (
            index,
            row,
            _DetectedEvent(
                _row_id(origin, None if row == WHOLE_RECORD else row),
                EVENT_SCHEMA_VERSION,
                sensor_ids[sensor],
                time,
                origin,
                version,
                status,
                score,
                raw,
                threshold,
                p_value,
                severity,
                _Episode(_episode_id(origin, start), *episode_values),
                signals,
            ),
        )


def _rows_in_records(readings: Readings, rows: NDArray[np.int64]) -> list[int]:
    """Return the index of each row in the array of its record, or WHOLE_RECORD."""
    if readings.row_in_record is None:
        return [WHOLE_RECORD] * len(rows)
    row_in_record: list[int] = readings.row_in_record[rows].tolist()
    return row_in_record


def _episodes(
    detections: Detections, rows: NDArray[np.int64]
) -> Iterator[tuple[int, str, int, float]]:
    """Yield, for each row, its episode: first row's position, start, rows so far, peak so far."""
    columns = (detections.episode_rows, detections.episode_peak)
    return zip(
        detections.episode[rows].tolist(),
        format_instants(detections.episode_time[rows]),
        *(column[rows].tolist() for column in columns),
        strict=True,
    )


def _closed_events(
    outcome: Outcome, detector: Detector, records: Sequence[Record]
) -> Iterator[tuple[int, int, _EventValue]]:
    """Yield the event of each closed episode: index of the record, row that closed it, event."""
    times_us = [(e.closed_time, e.start_time, e.last_time) for e in outcome.closed]
    time_texts = format_instants(np.asarray(times_us, dtype=np.int64).ravel())
    times = zip(time_texts[::3], time_texts[1::3], time_texts[2::3], strict=True)
    for episode, (time, start, last_time) in zip(outcome.closed, times, strict=True):
        origin = coordinates(records[episode.index])
        episode_id = _episode_id(origin, episode.start)
        _, row = split_row_position(episode.position)
        yield (
            episode.index,
            WHOLE_RECORD if row is None else row,
            _ClosedEvent(
                f"{episode_id}-closed",
                EVENT_SCHEMA_VERSION,
                episode.sensor_id,
                time,
                origin,
                detector.version,
                episode_id,
                start,
                last_time,
                (episode.last_time - episode.start_time) / 1_000_000,
                episode.rows,
                episode.peak,
                episode.severity.value,
            ),
        )


def _episode_id(origin: Coordinates, start: int) -> str:
    """Return the id of an episode: the event id of the episode's first anomalous row.

    `start`: the position of that row in the partition.
    """
    offset, row = split_row_position(start)
    return _row_id(Coordinates(origin.topic, origin.partition, offset), row)


def _row_id(origin: Coordinates, row: int | None) -> str:
    """Return the event id of a row; `row`: its index in the array of its record, or None."""
    return str(origin) if row is None else f"{origin}-{row}"


# All events share these tuples. Creating these objects for each event doubled the time for the
# headers.
_SPEC_VERSION_HEADER = ("ce_specversion", b"1.0")
_CONTENT_TYPE_HEADER = ("content-type", b"application/json")
_TYPE_HEADERS = {
    _DetectedEvent: ("ce_type", EventType.DETECTED.encode()),
    _ClosedEvent: ("ce_type", EventType.CLOSED.encode()),
}


def _headers(value: _EventValue, record: Record, detected_at_header: tuple[str, bytes]) -> Headers:
    headers: Headers = [
        _SPEC_VERSION_HEADER,
        ("ce_id", value.event_id.encode()),
        ("ce_source", f"/kafka/{value.source.topic}".encode()),
        _TYPE_HEADERS[type(value)],
        ("ce_time", value.event_time.encode()),
        ("ce_subject", value.sensor_id.encode()),
        _CONTENT_TYPE_HEADER,
        detected_at_header,
    ]
    if isinstance(value, _ClosedEvent):
        # The trace continues in the event of the anomalous row.
        return headers
    trace_parent = header_value(record, "traceparent")
    if trace_parent is not None and len(trace_parent) <= MAX_TRACE_BYTES:
        headers.append(("traceparent", trace_parent))
    return headers
