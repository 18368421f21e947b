"""Events of anomalous rows and of episodes that ended: JSON values with CloudEvents headers."""

from collections.abc import Iterator, Sequence
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
    header,
)
from sensorwatch.common.model.calibration import p_values
from sensorwatch.common.rows.fast.timestamp_texts import to_texts
from sensorwatch.common.runtime.setting_keys import Emit
from sensorwatch.common.scoring.detections import SEVERITY_TEXTS, Detections
from sensorwatch.common.scoring.detector import Detector
from sensorwatch.common.scoring.explanation import SignalReading, signals_of_rows
from sensorwatch.common.scoring.processing import Outcome
from sensorwatch.common.scoring.status import STATUS_TEXTS
from sensorwatch.consumer.publishing.event_type import EventType

EVENT_SCHEMA_VERSION = 1
LONGEST_TRACE_BYTES = 256
"""W3C's form of today has 55. What is longer is no trace, and could make an event too large."""


class _Value(msgspec.Struct, frozen=True):
    """What the values of both kinds of events begin with; fields are written in their order."""

    event_id: str
    schema_version: int
    sensor_id: str
    event_time: str
    """Of the row of the record that caused the event."""
    source: Coordinates
    """Where that record stands."""
    model_version: str


class _Episode(msgspec.Struct, frozen=True):
    id: str
    start: str
    rows: int
    peak: float


class _Detected(_Value, frozen=True):
    """The value of an anomalous row's event."""

    status: str
    anomaly_score: float
    raw_score: float
    threshold: float
    p_value: float
    severity: str
    episode: _Episode
    signals: list[SignalReading]


class _Closed(_Value, frozen=True):
    """The value of an episode's end."""

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
    emit: Emit = Emit.ROWS,
) -> Iterator[OutgoingMessage]:
    """Make the events of a micro-batch in the order of the records that caused them.

    One for each anomalous row (`emit`: or only for the first of an episode) and one for each
    episode that ended; where one record causes both, the end comes first. `records`: the
    micro-batch that `outcome` is of. `detected_at` (RFC 3339) goes into a header only: key and
    value do not depend on the clock or on how rows were batched.
    """
    events: list[tuple[int, _Value]] = [
        *_closed(outcome, detector, records),
        *_detected(outcome, detector, records, emit),
    ]
    events.sort(key=itemgetter(0))  # stable: an end stays before what began with its record
    encode, now = msgspec.json.Encoder().encode, ("detected_at", detected_at.encode())
    for index, value in events:
        headers = _headers(value, records[index], now)
        yield OutgoingMessage(topic, value.sensor_id.encode(), encode(value), headers)


def _detected(
    outcome: Outcome, detector: Detector, records: Sequence[Record], emit: Emit
) -> Iterator[tuple[int, _Value]]:
    """Give the events' values, each with the index of its record."""
    readings, found = outcome.readings, outcome.detections
    told = found.is_anomaly if emit is Emit.ROWS else found.episode_rows == 1
    rows = np.flatnonzero(told)
    columns = zip(
        readings.index[rows].tolist(),
        readings.sensor[rows].tolist(),
        to_texts(readings.event_time[rows]),
        STATUS_TEXTS[found.status[rows]].tolist(),
        found.anomaly_score[rows].tolist(),
        found.raw_score[rows].tolist(),
        p_values(found.raw_score[rows], found.calibration).tolist(),
        SEVERITY_TEXTS[found.severity[rows]].tolist(),
        _episodes(found, rows),
        signals_of_rows(detector, outcome, rows),
        strict=True,
    )
    sensor_ids, version = readings.sensor_ids, detector.version
    threshold = detector.calibration.threshold
    for index, sensor, time, status, score, raw, p_value, severity, episode, signals in columns:
        where, (start, *course) = coordinates(records[index]), episode
        yield (
            index,
            _Detected(
                str(where),
                EVENT_SCHEMA_VERSION,
                sensor_ids[sensor],
                time,
                where,
                version,
                status,
                score,
                raw,
                threshold,
                p_value,
                severity,
                _Episode(_episode_id(where, start), *course),
                signals,
            ),
        )


def _episodes(found: Detections, rows: NDArray[np.int64]) -> Iterator[tuple[int, str, int, float]]:
    """Give for each row its episode's first position, and its start, rows and peak so far."""
    columns = (found.episode_rows, found.episode_peak)
    return zip(
        found.episode[rows].tolist(),
        to_texts(found.episode_time[rows]),
        *(column[rows].tolist() for column in columns),
        strict=True,
    )


def _closed(
    outcome: Outcome, detector: Detector, records: Sequence[Record]
) -> Iterator[tuple[int, _Value]]:
    """Give the ends' values, each with the index of its record."""
    instants = [(one.closed_time, one.start_time, one.last_time) for one in outcome.closed]
    texts = to_texts(np.asarray(instants, dtype=np.int64).ravel())
    times = zip(texts[::3], texts[1::3], texts[2::3], strict=True)
    for episode, (time, start, last) in zip(outcome.closed, times, strict=True):
        where = coordinates(records[episode.index])
        episode_id = _episode_id(where, episode.start)
        yield (
            episode.index,
            _Closed(
                f"{episode_id}-closed",
                EVENT_SCHEMA_VERSION,
                episode.sensor_id,
                time,
                where,
                detector.version,
                episode_id,
                start,
                last,
                (episode.last_time - episode.start_time) / 1_000_000,
                episode.rows,
                episode.peak,
                episode.severity.value,
            ),
        )


def _episode_id(where: Coordinates, start: int) -> str:
    """Name an episode after its first anomalous row, which has the id of that row's event."""
    return str(Coordinates(where.topic, where.partition, start))


# The same tuples for all events: making them took half of the headers' time.
_SPECVERSION, _CONTENT = ("ce_specversion", b"1.0"), ("content-type", b"application/json")
_TYPES = {
    _Detected: ("ce_type", EventType.DETECTED.encode()),
    _Closed: ("ce_type", EventType.CLOSED.encode()),
}


def _headers(value: _Value, record: Record, now: tuple[str, bytes]) -> Headers:
    headers: Headers = [
        _SPECVERSION,
        ("ce_id", value.event_id.encode()),
        ("ce_source", f"/kafka/{value.source.topic}".encode()),
        _TYPES[type(value)],
        ("ce_time", value.event_time.encode()),
        ("ce_subject", value.sensor_id.encode()),
        _CONTENT,
        now,
    ]
    if isinstance(value, _Closed):
        # The trace is its row's; and of a record headers may be asked for only once.
        return headers
    trace = header(record, "traceparent")
    if trace is not None and len(trace) <= LONGEST_TRACE_BYTES:
        headers.append(("traceparent", trace))
    return headers
