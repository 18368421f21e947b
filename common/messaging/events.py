"""Events of anomalous rows and of episodes that ended: JSON values with CloudEvents headers."""

import heapq
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from common.detection.calibration import p_values
from common.detection.detections import SEVERITIES, ClosedEpisode, Detections
from common.detection.detector import Detector
from common.detection.emit import Emit
from common.detection.explanation import signals_of_rows
from common.detection.processing import Outcome
from common.detection.recall import STATUSES
from common.messaging.event_type import EventType
from common.messaging.records import (
    Coordinates,
    Headers,
    OutgoingMessage,
    Record,
    coordinates,
    header,
)
from common.rows.instant_texts import to_texts
from common.rows.instants import to_text

EVENT_SCHEMA_VERSION = 1
LONGEST_TRACE_BYTES = 256
"""W3C's form of today has 55. What is longer is no trace, and could make an event too large."""


@dataclass(frozen=True, slots=True)
class _Event:
    """What a record of the micro-batch caused."""

    index: int
    """Of the record."""
    where: Coordinates
    """Where it stands."""
    type: EventType
    id: str
    sensor_id: str
    time: str
    """Event time of the record's row."""
    more: dict[str, Any]
    """The value, apart from what all have in common."""


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
    events = heapq.merge(
        _closed(outcome, records),
        _detected(outcome, detector, records, emit),
        key=lambda event: event.index,
    )
    for event in events:
        where = event.where
        value = {
            "event_id": event.id,
            "schema_version": EVENT_SCHEMA_VERSION,
            "sensor_id": event.sensor_id,
            "event_time": event.time,
            "source": where,
            "model_version": detector.version,
            **event.more,
        }
        headers = _headers(event, records[event.index], where.topic, detected_at)
        yield OutgoingMessage(topic, event.sensor_id.encode(), msgspec.json.encode(value), headers)


def _detected(
    outcome: Outcome, detector: Detector, records: Sequence[Record], emit: Emit
) -> Iterator[_Event]:
    readings, found = outcome.readings, outcome.detections
    told = found.is_anomaly if emit is Emit.ROWS else found.episode_rows == 1
    rows = np.flatnonzero(told)
    index, sensor = readings.index[rows].tolist(), readings.sensor[rows].tolist()
    numbers = zip(
        found.status[rows].tolist(),
        found.anomaly_score[rows].tolist(),
        found.raw_score[rows].tolist(),
        p_values(found.raw_score[rows], found.calibration).tolist(),
        found.severity[rows].tolist(),
        _episodes(found, rows),
        signals_of_rows(detector, outcome, rows),
        strict=True,
    )
    times = to_texts(readings.event_time[rows])
    for at, number, time, of_row in zip(index, sensor, times, numbers, strict=True):
        status, anomaly_score, raw_score, p_value, severity, (start, episode), signals = of_row
        where = coordinates(records[at])
        more = {
            "status": STATUSES[status],
            "anomaly_score": anomaly_score,
            "raw_score": raw_score,
            "threshold": detector.calibration.threshold,
            "p_value": p_value,
            "severity": SEVERITIES[severity],
            "episode": {"id": _episode_id(where, start), **episode},
            "signals": signals,
        }
        sensor_id = readings.sensor_ids[number]
        yield _Event(at, where, EventType.DETECTED, str(where), sensor_id, time, more)


def _episodes(found: Detections, rows: NDArray[np.int64]) -> Iterator[tuple[int, dict[str, Any]]]:
    """Give for each row its episode's first position, and what else is told of the episode."""
    columns = (found.episode_rows, found.episode_peak)
    counts, peaks = (column[rows].tolist() for column in columns)
    starts, times = found.episode[rows].tolist(), to_texts(found.episode_time[rows])
    for start, time, count, peak in zip(starts, times, counts, peaks, strict=True):
        yield start, {"start": time, "rows": count, "peak": peak}


def _closed(outcome: Outcome, records: Sequence[Record]) -> Iterator[_Event]:
    for episode in outcome.closed:
        where = coordinates(records[episode.index])
        episode_id = _episode_id(where, episode.start)
        yield _Event(
            episode.index,
            where,
            EventType.CLOSED,
            f"{episode_id}-closed",
            episode.sensor_id,
            to_text(episode.closed_time),
            {"episode_id": episode_id, **_course(episode)},
        )


def _course(episode: ClosedEpisode) -> dict[str, Any]:
    return {
        "start": to_text(episode.start_time),
        "last": to_text(episode.last_time),
        "duration_seconds": (episode.last_time - episode.start_time) / 1_000_000,
        "rows": episode.rows,
        "peak": episode.peak,
        "severity": episode.severity,
    }


def _episode_id(where: Coordinates, start: int) -> str:
    """Name an episode after its first anomalous row, which has the id of that row's event."""
    return str(Coordinates(where.topic, where.partition, start))


def _headers(event: _Event, record: Record, source: str, detected_at: str) -> Headers:
    headers: Headers = [
        ("ce_specversion", b"1.0"),
        ("ce_id", event.id.encode()),
        ("ce_source", f"/kafka/{source}".encode()),
        ("ce_type", event.type.encode()),
        ("ce_time", event.time.encode()),
        ("ce_subject", event.sensor_id.encode()),
        ("content-type", b"application/json"),
        ("detected_at", detected_at.encode()),
    ]
    if event.type is EventType.CLOSED:
        # The trace is its row's; and of a record headers may be asked for only once.
        return headers
    trace = header(record, "traceparent")
    if trace is not None and len(trace) <= LONGEST_TRACE_BYTES:
        headers.append(("traceparent", trace))
    return headers
