"""The fields of each event type, in the order of the JSON, with the values of n events in columns.

A new field of an event is one more item in the function of its type.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from sensorwatch.common.kafka.records import Partition
from sensorwatch.common.model.calibration import p_values
from sensorwatch.common.row_executor import RowExecutor
from sensorwatch.common.rows.json_objects import Field, JsonText, json_texts
from sensorwatch.common.rows.readings import WHOLE_RECORD
from sensorwatch.common.rows.sensor_groups import NO_GROUP, group_reader
from sensorwatch.common.rows.text_columns import TextColumn, join_texts, number_texts, time_texts
from sensorwatch.common.scoring.detections import SEVERITY_TEXTS, ClosedEpisode
from sensorwatch.common.scoring.detector import Detector
from sensorwatch.common.scoring.explanation import DIRECTIONS, rank_signals
from sensorwatch.common.scoring.pattern_sentences import sentences
from sensorwatch.common.scoring.patterns import PATTERN_TEXTS
from sensorwatch.common.scoring.policy_texts import limit_sentences
from sensorwatch.common.scoring.processing import Outcome
from sensorwatch.common.scoring.reference_levels import reference_levels
from sensorwatch.common.scoring.row_positions import row_positions, split_row_positions
from sensorwatch.common.scoring.staleness import stale_sentence
from sensorwatch.common.scoring.status import STATUS_TEXTS
from sensorwatch.common.scoring.suppression import SUPPRESSION_TEXTS, SUPPRESSIONS
from sensorwatch.consumer.publishing.policy_fields import closed_policy_fields, policy_fields

EVENT_SCHEMA_VERSION = 2
RAISED_NEWS = ["severity", "change"]
"""What is new in a raised episode: a higher severity, or another signal or direction."""


@dataclass(frozen=True, slots=True)
class EventColumns:
    """n events of one type, in the order of the records that caused them."""

    record: NDArray[np.int64]
    """Shape (n,). Index in the partition batch of the record that caused the event."""
    sensor: NDArray[np.int64]
    """Shape (n,). Position of the event's sensor in `sensor_ids`."""
    sensor_ids: Sequence[str]
    event_id: TextColumn
    event_time: TextColumn
    """Event time of the record that caused the event."""
    fields: dict[str, Field]
    """The fields of the event's JSON, in order."""


def detected_events(
    outcome: Outcome,
    detector: Detector,
    rows: NDArray[np.int64],
    partition: Partition,
    *,
    row_executor: RowExecutor,
) -> EventColumns:
    """Return the events of anomalous rows; `rows`: their positions in the outcome's readings."""
    detections, events = outcome.detections, _row_events(outcome, detector, rows, partition)
    raw_score = detections.raw_score[rows]
    episode_id, incident_id = _episode_ids(
        detections.episode[rows], detections.incident[rows], partition
    )
    signals = rank_signals(detector, outcome, rows, row_executor=row_executor)
    messages = limit_sentences(sentences(detector, outcome, rows, signals), detector, outcome, rows)
    events.fields.update(
        {
            "status": json_texts(STATUS_TEXTS.tolist(), detections.status[rows]),
            "anomaly_score": detections.anomaly_score[rows],
            "raw_score": raw_score,
            "threshold": detector.calibration.threshold,
            "p_value": p_values(raw_score, detections.calibration),
            "severity": json_texts(SEVERITY_TEXTS.tolist(), detections.severity[rows]),
            "suppressed": json_texts(SUPPRESSION_TEXTS.tolist(), detections.suppression[rows]),
            "pattern": json_texts(PATTERN_TEXTS.tolist(), detections.pattern[rows]),
            "message": json_texts(messages, np.arange(len(rows))),
            "episode": {
                "id": episode_id,
                "start": JsonText(time_texts(detections.episode_time[rows])),
                "rows": detections.episode_rows[rows],
                "peak": detections.episode_peak[rows],
                "false_alarms_per_sensor_day": detections.episode_rate[rows],
                "alike": detections.alike[rows],
            },
            "group": group_field(events, detector),
            "incident_id": incident_id,
            "signals": [
                {
                    "name": json_texts(detector.schema.signal_names, signals.signal[:, rank]),
                    "actual": signals.actual[:, rank],
                    "expected": signals.expected[:, rank],
                    "expected_low": signals.expected_low[:, rank],
                    "expected_high": signals.expected_high[:, rank],
                    "direction": json_texts(DIRECTIONS, signals.direction[:, rank]),
                    "attribution": signals.attribution[:, rank],
                    "held": signals.held[:, rank],
                }
                for rank in range(signals.signal.shape[1])
            ],
            **policy_fields(detector, detections, rows),
        }
    )
    return events


def raised_events(
    outcome: Outcome,
    detector: Detector,
    rows: NDArray[np.int64],
    partition: Partition,
    *,
    row_executor: RowExecutor,
) -> EventColumns:
    """Return the events of rows that raise the severity of their episode, or show another fault."""
    events = detected_events(outcome, detector, rows, partition, row_executor=row_executor)
    previous_severity = outcome.detections.previous_severity[rows]
    events.fields["previous_severity"] = json_texts(SEVERITY_TEXTS.tolist(), previous_severity)
    is_another_fault = outcome.detections.severity[rows] == previous_severity
    events.fields["news"] = json_texts(RAISED_NEWS, is_another_fault.astype(np.int64))
    return _with_suffix(events, b"-raised")


def accepted_events(
    outcome: Outcome, detector: Detector, rows: NDArray[np.int64], partition: Partition
) -> EventColumns:
    """Return the events of rows at which a new level or new scores of an episode are accepted."""
    detections, events = outcome.detections, _row_events(outcome, detector, rows, partition)
    levels_before, levels_after = reference_levels(detector, detections.evidence, rows)
    episode_id, incident_id = _episode_ids(
        detections.episode[rows], detections.incident[rows], partition
    )
    events.fields.update(
        {
            "episode_id": episode_id,
            "group": group_field(events, detector),
            "incident_id": incident_id,
            "start": JsonText(time_texts(detections.episode_time[rows])),
            "rows": detections.episode_rows[rows],
            "severity": json_texts(SEVERITY_TEXTS.tolist(), detections.severity[rows]),
            "signals": [
                {
                    "name": json_texts([signal.name], np.zeros(len(rows), dtype=np.int64)),
                    "level_before": levels_before[:, signal_index],
                    "level_after": levels_after[:, signal_index],
                }
                for signal_index, signal in enumerate(detector.schema.signals)
            ],
        }
    )
    return _with_suffix(events, b"-accepted")


def stale_events(
    outcome: Outcome, detector: Detector, rows: NDArray[np.int64], partition: Partition
) -> EventColumns:
    """Return the events of rows at which the model stops fitting its sensors."""
    detections, events = outcome.detections, _row_events(outcome, detector, rows, partition)
    predicted_counts = detections.stale_expected[rows]
    episode_counts = zip(
        detections.stale_episodes[rows].tolist(), predicted_counts.tolist(), strict=True
    )
    messages = [
        stale_sentence(episodes, expected_count) for episodes, expected_count in episode_counts
    ]
    events.fields.update(
        {
            "episodes": detections.stale_episodes[rows],
            "expected_episodes": predicted_counts,
            "message": json_texts(messages, np.arange(len(rows))),
        }
    )
    return _with_suffix(events, b"-stale")


def _row_events(
    outcome: Outcome, detector: Detector, rows: NDArray[np.int64], partition: Partition
) -> EventColumns:
    """Return events of rows, with the fields that all event types have."""
    readings = outcome.readings.take(rows)
    used_sensors, sensor = np.unique(readings.sensor, return_inverse=True)
    return events_of_records(
        outcome,
        detector,
        partition,
        record=readings.index,
        sensor=sensor,
        sensor_ids=[readings.sensor_ids[sensor_index] for sensor_index in used_sensors.tolist()],
        event_id=row_ids(row_positions(outcome.positions, readings), partition),
        event_time=readings.event_time,
    )


def _with_suffix(events: EventColumns, suffix: bytes) -> EventColumns:
    """Return the events with a suffix after their ids."""
    event_id = join_texts([events.event_id], [b"", suffix])
    events.fields["event_id"] = JsonText(event_id)
    return replace(events, event_id=event_id)


def closed_events(
    outcome: Outcome, detector: Detector, episodes: Sequence[ClosedEpisode], partition: Partition
) -> EventColumns:
    """Return the events of closed episodes."""
    start_time = integers([episode.start_time for episode in episodes])
    last_time = integers([episode.last_time for episode in episodes])
    index_by_id: dict[str, int] = {}
    sensor = [index_by_id.setdefault(e.sensor_id, len(index_by_id)) for e in episodes]
    start = integers([episode.start for episode in episodes])
    incident = integers([episode.incident for episode in episodes])
    episode_id, incident_id = _episode_ids(start, incident, partition)
    events = events_of_records(
        outcome,
        detector,
        partition,
        record=integers([episode.index for episode in episodes]),
        sensor=integers(sensor),
        sensor_ids=list(index_by_id),
        event_id=join_texts([episode_id.texts], [b"", b"-closed"]),
        event_time=integers([episode.closed_time for episode in episodes]),
    )
    severities = SEVERITY_TEXTS.tolist()
    events.fields.update(
        {
            "episode_id": episode_id,
            "group": group_field(events, detector),
            "incident_id": incident_id,
            "start": JsonText(time_texts(start_time)),
            "last": JsonText(time_texts(last_time)),
            "duration_seconds": (last_time - start_time) / 1_000_000,
            "rows": integers([episode.rows for episode in episodes]),
            "peak": np.asarray([episode.peak for episode in episodes], dtype=np.float64),
            "false_alarms_per_sensor_day": np.asarray([e.rate for e in episodes], dtype=np.float64),
            "severity": json_texts(
                severities, integers([severities.index(e.severity.value) for e in episodes])
            ),
            "suppressed": json_texts(
                SUPPRESSION_TEXTS.tolist(),
                integers([SUPPRESSIONS.index(e.suppression) for e in episodes]),
            ),
            **closed_policy_fields(detector, episodes),
        }
    )
    return events


def events_of_records(
    outcome: Outcome,
    detector: Detector,
    partition: Partition,
    *,
    record: NDArray[np.int64],
    sensor: NDArray[np.int64],
    sensor_ids: Sequence[str],
    event_id: TextColumn,
    event_time: NDArray[np.int64],
) -> EventColumns:
    """Return events with the fields that all event types have."""
    times = time_texts(event_time)
    fields: dict[str, Field] = {
        "event_id": JsonText(event_id),
        "schema_version": EVENT_SCHEMA_VERSION,
        "sensor_id": json_texts(sensor_ids, sensor),
        "event_time": JsonText(times),
        "source": {
            "topic": partition.topic,
            "partition": partition.number,
            "offset": outcome.positions[record],
        },
        "model_version": detector.version,
    }
    return EventColumns(record, sensor, sensor_ids, event_id, times, fields)


def _episode_ids(
    episode: NDArray[np.int64], incident: NDArray[np.int64], partition: Partition
) -> tuple[JsonText, JsonText]:
    """Return the ids of episodes and of their incidents, from their positions (n,)."""
    episode_id = JsonText(row_ids(episode, partition))
    if np.array_equal(incident, episode):
        return episode_id, episode_id
    return episode_id, JsonText(row_ids(incident, partition))


def group_field(events: EventColumns, detector: Detector) -> Field:
    """Return the groups of the events' sensors."""
    group_of = group_reader(detector.schema)
    groups = [] if group_of is None else [group_of(sensor) for sensor in events.sensor_ids]
    return json_texts(groups, events.sensor) if groups else NO_GROUP


def row_ids(positions: NDArray[np.int64], partition: Partition) -> TextColumn:
    """Return the event ids of rows at positions (n,) of a partition.

    The id is `topic-partition-offset`. For a row in the array of its record, `-` and the row's
    index in the array follow.
    """
    offsets, row_in_record = split_row_positions(positions)
    offset_texts, row_texts = number_texts([offsets, row_in_record])
    prefix = f"{partition}-".encode()
    is_in_array = row_in_record != WHOLE_RECORD
    if not is_in_array.any():
        return join_texts([offset_texts], [prefix, b""])
    suffixes = join_texts([row_texts], [b"-", b""]).blank_other_rows(is_in_array)
    return join_texts([offset_texts, suffixes], [prefix, b"", b""])


def integers(values: Sequence[int]) -> NDArray[np.int64]:
    """Return values as an array (n,) of 64-bit integers."""
    return np.asarray(values, dtype=np.int64)
