"""Events built one by one as structs and encoded by msgspec: the reference for the bulk encoder."""

from collections.abc import Iterator, Sequence

import msgspec
import numpy as np

from sensorwatch.common.kafka.records import (
    Coordinates,
    OutgoingMessage,
    Record,
    coordinates,
    header_value,
)
from sensorwatch.common.model.calibration import p_values
from sensorwatch.common.rows.instants import format_instant
from sensorwatch.common.rows.readings import WHOLE_RECORD
from sensorwatch.common.rows.sensor_groups import group_reader
from sensorwatch.common.runtime.setting_choices import EmittedEvents
from sensorwatch.common.scoring.detections import SEVERITIES, ClosedEpisode
from sensorwatch.common.scoring.detector import Detector
from sensorwatch.common.scoring.explanation import SignalReading, rank_signals, signal_readings
from sensorwatch.common.scoring.pattern_sentences import sentences
from sensorwatch.common.scoring.patterns import PATTERNS
from sensorwatch.common.scoring.processing import Outcome
from sensorwatch.common.scoring.reference_levels import reference_levels
from sensorwatch.common.scoring.row_positions import split_row_positions
from sensorwatch.common.scoring.staleness import stale_sentence
from sensorwatch.common.scoring.status import STATUSES
from sensorwatch.common.scoring.suppression import SUPPRESSIONS


class _Event(msgspec.Struct):
    event_id: str
    schema_version: int
    sensor_id: str
    event_time: str
    source: Coordinates
    model_version: str


class _Episode(msgspec.Struct):
    id: str
    start: str
    rows: int
    peak: float
    false_alarms_per_sensor_day: float
    alike: int


class _DetectedEvent(_Event):
    status: str
    anomaly_score: float
    raw_score: float
    threshold: float
    p_value: float
    severity: str
    suppressed: str
    pattern: str
    message: str
    episode: _Episode
    group: str
    incident_id: str
    signals: list[SignalReading]


class _RaisedEvent(_DetectedEvent):
    previous_severity: str
    news: str


class _AcceptedLevel(msgspec.Struct):
    name: str
    level_before: float
    level_after: float


class _AcceptedEvent(_Event):
    episode_id: str
    group: str
    incident_id: str
    start: str
    rows: int
    severity: str
    signals: list[_AcceptedLevel]


class _StaleEvent(_Event):
    episodes: int
    expected_episodes: float
    message: str


class _ClosedEvent(_Event):
    episode_id: str
    group: str
    incident_id: str
    start: str
    last: str
    duration_seconds: float
    rows: int
    peak: float
    false_alarms_per_sensor_day: float
    severity: str
    suppressed: str


def reference_events(
    outcome: Outcome,
    detector: Detector,
    records: Sequence[Record],
    *,
    topic: str,
    detected_at: str,
    emit: EmittedEvents,
) -> list[OutgoingMessage]:
    """Return the same messages as `anomaly_events`."""
    detections, readings = outcome.detections, outcome.readings
    is_reported = (
        detections.is_anomaly if emit is EmittedEvents.ROWS else detections.episode_rows == 1
    )
    events: list[tuple[int, int, int, _Event]] = []
    for episode in outcome.closed:
        _, row = _split(episode.position)
        events.append(
            (episode.index, row, 0, _closed_event(episode, detector, records[episode.index]))
        )
    for reading in np.flatnonzero(detections.is_anomaly).tolist():
        row = (
            WHOLE_RECORD if readings.row_in_record is None else int(readings.row_in_record[reading])
        )
        record = int(readings.index[reading])
        detected = _detected_event(outcome, detector, reading, records[record])
        previous_severity = detections.previous_severity[reading]
        if is_reported[reading]:
            events.append((record, row, 1, detected))
        rises = 0 < previous_severity < detections.severity[reading]
        if rises or detections.is_news[reading]:
            fields = msgspec.structs.asdict(detected)
            fields["event_id"] += "-raised"
            severity = SEVERITIES[previous_severity].value
            news = "severity" if rises else "change"
            raised = _RaisedEvent(**fields, previous_severity=severity, news=news)
            events.append((record, row, 2, raised))
        if detections.is_accepted[reading]:
            accepted = _accepted_event(detected, outcome, detector, reading)
            events.append((record, row, 3, accepted))
    for reading in np.flatnonzero(detections.stale_episodes).tolist():
        row = (
            WHOLE_RECORD if readings.row_in_record is None else int(readings.row_in_record[reading])
        )
        record = int(readings.index[reading])
        stale = _stale_event(outcome, detector, reading, row, records[record])
        events.append((record, row, 4, stale))
    events.sort(key=lambda event: event[:3])
    return [
        OutgoingMessage(
            topic,
            event.sensor_id.encode(),
            msgspec.json.encode(event),
            list(_headers(event, records[record], detected_at)),
        )
        for record, _, _, event in events
    ]


def _detected_event(
    outcome: Outcome, detector: Detector, reading: int, record: Record
) -> _DetectedEvent:
    readings, detections = outcome.readings, outcome.detections
    row = WHOLE_RECORD if readings.row_in_record is None else int(readings.row_in_record[reading])
    raw_score = detections.raw_score[reading : reading + 1]
    offset, first_row = _split(int(detections.episode[reading]))
    ranked_signals = rank_signals(detector, outcome, np.asarray([reading]))
    (signals,) = signal_readings(detector, ranked_signals)
    (message,) = sentences(detector, outcome, np.asarray([reading]), ranked_signals)
    return _DetectedEvent(
        event_id=_row_id(record, coordinates(record).offset, row),
        schema_version=2,
        sensor_id=readings.sensor_ids[readings.sensor[reading]],
        event_time=format_instant(int(readings.event_time[reading])),
        source=coordinates(record),
        model_version=detector.version,
        status=STATUSES[detections.status[reading]].value,
        anomaly_score=float(detections.anomaly_score[reading]),
        raw_score=float(raw_score[0]),
        threshold=detector.calibration.threshold,
        p_value=float(p_values(raw_score, detections.calibration)[0]),
        severity=SEVERITIES[detections.severity[reading]].value,
        suppressed=SUPPRESSIONS[detections.suppression[reading]].value,
        pattern=PATTERNS[detections.pattern[reading]].value,
        message=message,
        episode=_Episode(
            _row_id(record, offset, first_row),
            format_instant(int(detections.episode_time[reading])),
            int(detections.episode_rows[reading]),
            float(detections.episode_peak[reading]),
            float(detections.episode_rate[reading]),
            int(detections.alike[reading]),
        ),
        group=_group(detector, readings.sensor_ids[readings.sensor[reading]]),
        incident_id=_row_id(record, *_split(int(detections.incident[reading]))),
        signals=signals,
    )


def _accepted_event(
    detected: _DetectedEvent, outcome: Outcome, detector: Detector, reading: int
) -> _AcceptedEvent:
    levels_before, levels_after = reference_levels(
        detector, outcome.detections.evidence, np.asarray([reading])
    )
    return _AcceptedEvent(
        f"{detected.event_id}-accepted",
        detected.schema_version,
        detected.sensor_id,
        detected.event_time,
        detected.source,
        detected.model_version,
        episode_id=detected.episode.id,
        group=detected.group,
        incident_id=detected.incident_id,
        start=detected.episode.start,
        rows=detected.episode.rows,
        severity=detected.severity,
        signals=[
            _AcceptedLevel(name, *levels)
            for name, *levels in zip(
                detector.schema.signal_names,
                levels_before[0].tolist(),
                levels_after[0].tolist(),
                strict=True,
            )
        ],
    )


def _stale_event(
    outcome: Outcome, detector: Detector, reading: int, row: int, record: Record
) -> _StaleEvent:
    readings, detections = outcome.readings, outcome.detections
    episodes = int(detections.stale_episodes[reading])
    expected = float(detections.stale_expected[reading])
    return _StaleEvent(
        f"{_row_id(record, coordinates(record).offset, row)}-stale",
        2,
        readings.sensor_ids[readings.sensor[reading]],
        format_instant(int(readings.event_time[reading])),
        coordinates(record),
        detector.version,
        episodes=episodes,
        expected_episodes=expected,
        message=stale_sentence(episodes, expected),
    )


def _closed_event(episode: ClosedEpisode, detector: Detector, record: Record) -> _ClosedEvent:
    episode_id = _row_id(record, *_split(episode.start))
    return _ClosedEvent(
        event_id=f"{episode_id}-closed",
        schema_version=2,
        sensor_id=episode.sensor_id,
        event_time=format_instant(episode.closed_time),
        source=coordinates(record),
        model_version=detector.version,
        episode_id=episode_id,
        group=_group(detector, episode.sensor_id),
        incident_id=_row_id(record, *_split(episode.incident)),
        start=format_instant(episode.start_time),
        last=format_instant(episode.last_time),
        duration_seconds=(episode.last_time - episode.start_time) / 1_000_000,
        rows=episode.rows,
        peak=episode.peak,
        false_alarms_per_sensor_day=episode.rate,
        severity=episode.severity.value,
        suppressed=episode.suppression.value,
    )


def _headers(event: _Event, record: Record, detected_at: str) -> Iterator[tuple[str, bytes]]:
    kind = _KINDS[type(event)]
    yield "ce_specversion", b"1.0"
    yield "ce_id", event.event_id.encode()
    yield "ce_source", f"/kafka/{event.source.topic}".encode()
    yield "ce_type", f"io.sensorwatch.{kind}.v1".encode()
    yield "ce_time", event.event_time.encode()
    yield "ce_subject", event.sensor_id.encode()
    yield "content-type", b"application/json"
    yield "detected_at", detected_at.encode()
    trace_parent = header_value(record, "traceparent")
    if trace_parent is not None and type(event) is _DetectedEvent and len(trace_parent) <= 256:
        yield "traceparent", trace_parent


_KINDS: dict[type[_Event], str] = {
    _DetectedEvent: "anomaly.detected",
    _RaisedEvent: "episode.raised",
    _AcceptedEvent: "episode.accepted",
    _ClosedEvent: "episode.closed",
    _StaleEvent: "model.stale",
}


def _group(detector: Detector, sensor_id: str) -> str:
    group_of = group_reader(detector.schema)
    return "" if group_of is None else group_of(sensor_id)


def _split(position: int) -> tuple[int, int]:
    record_position, row = split_row_positions(np.asarray([position]))
    return int(record_position[0]), int(row[0])


def _row_id(record: Record, offset: int, row: int) -> str:
    origin = coordinates(record)
    row_id = f"{origin.topic}-{origin.partition}-{offset}"
    return row_id if row == WHOLE_RECORD else f"{row_id}-{row}"
