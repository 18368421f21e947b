"""The fields of the events of silent sensors, in the order of the JSON; see `event_columns`."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from sensorwatch.common.kafka.records import Partition
from sensorwatch.common.rows.json_objects import Field, JsonText, json_texts
from sensorwatch.common.rows.text_columns import TextColumn, join_texts, number_texts, time_texts
from sensorwatch.common.scoring.detector import Detector
from sensorwatch.common.scoring.processing import Outcome
from sensorwatch.common.scoring.silence_rule import SensorSilence
from sensorwatch.common.scoring.silence_sentences import silence_sentence
from sensorwatch.consumer.publishing.event_columns import (
    EventColumns,
    events_of_records,
    group_field,
    integers,
    row_ids,
)


def silent_events(
    outcome: Outcome, detector: Detector, silences: Sequence[SensorSilence], partition: Partition
) -> EventColumns:
    """Return the events of sensors that became silent."""
    silent_seconds = np.asarray([silence.silent_time for silence in silences]) / 1e6
    cadence_seconds = np.asarray([silence.cadence for silence in silences]) / 1e6
    return _events(
        outcome,
        detector,
        silences,
        partition,
        _silent_ids(silences, partition),
        {
            "last": JsonText(time_texts(integers([silence.last for silence in silences]))),
            "silent_seconds": silent_seconds,
            "cadence_seconds": cadence_seconds,
            "severity": _severities(silences),
            "message": _messages(silences),
        },
    )


def back_events(
    outcome: Outcome, detector: Detector, silences: Sequence[SensorSilence], partition: Partition
) -> EventColumns:
    """Return the events of silent sensors that sent a row."""
    positions = integers([silence.position for silence in silences])
    return _events(
        outcome,
        detector,
        silences,
        partition,
        join_texts([row_ids(positions, partition)], [b"", b"-back"]),
        {
            "silent_id": JsonText(_silent_ids(silences, partition)),
            "silent_since": JsonText(time_texts(integers([silence.last for silence in silences]))),
            "silent_seconds": np.asarray([silence.silent_time for silence in silences]) / 1e6,
            "severity": _severities(silences),
            "message": _messages(silences),
        },
    )


def _events(
    outcome: Outcome,
    detector: Detector,
    silences: Sequence[SensorSilence],
    partition: Partition,
    event_id: TextColumn,
    fields: dict[str, Field],
) -> EventColumns:
    events = events_of_records(
        outcome,
        detector,
        partition,
        record=integers([silence.index for silence in silences]),
        sensor=np.arange(len(silences)),
        sensor_ids=[silence.sensor_id for silence in silences],
        event_id=event_id,
        event_time=integers([silence.time for silence in silences]),
    )
    group = {"group": group_field(events, detector)}
    return replace(events, fields=events.fields | fields | group)


def _silent_ids(silences: Sequence[SensorSilence], partition: Partition) -> TextColumn:
    """Return the ids of the events of sensors that became silent.

    The id is the id of the row that revealed the silence, `-silent-`, and the number of the sensor
    among those whose silence the same row revealed.
    """
    positions = integers([silence.begin_position for silence in silences])
    (numbers,) = number_texts([integers([silence.number for silence in silences])])
    return join_texts([row_ids(positions, partition), numbers], [b"", b"-silent-", b""])


def _severities(silences: Sequence[SensorSilence]) -> Field:
    severities = [silence.severity for silence in silences]
    return json_texts(severities, np.arange(len(silences)))


def _messages(silences: Sequence[SensorSilence]) -> Field:
    return json_texts([silence_sentence(silence) for silence in silences], np.arange(len(silences)))
