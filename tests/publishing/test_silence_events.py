"""The events of sensors that become silent, and of sensors that send rows again."""

from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from sensorwatch.common.kafka.event_types import EventType
from sensorwatch.common.kafka.records import OutgoingMessage
from sensorwatch.common.scoring.silence_rule import SilenceRule
from tests.kafka.record_builders import StoredRecord
from tests.publishing.test_episode_events import (
    RECORD_LISTS,
    SCHEMA_BY_EVENT_TYPE,
    a_row_payload,
    event_type_of,
    events_of,
    keys_and_values,
    records_of,
    validated_event,
)
from tests.reading_builders import START_TIME

TEN_MINUTES = SilenceRule(check_seconds=60, after_seconds=600)
BY_CADENCE = SilenceRule(check_seconds=60)
SILENCE_TYPES = (EventType.SILENT, EventType.BACK)


def silence_events(
    records: Sequence[StoredRecord], rule: SilenceRule = TEN_MINUTES, **options: Any
) -> list[dict[str, Any]]:
    """Return the events of silences, as values that are valid for their JSON Schema."""
    messages: list[OutgoingMessage] = events_of(records, silence_rule=rule, **options)
    return [
        validated_event(message) for message in messages if event_type_of(message) in SILENCE_TYPES
    ]


def rows(minutes_by_sensor: Mapping[str, Sequence[float]]) -> list[StoredRecord]:
    """Return one record per sensor and minute, in the order of the minutes."""
    times = sorted(
        (minute, sensor) for sensor, minutes in minutes_by_sensor.items() for minute in minutes
    )
    return records_of(*(a_row_payload(sensor, minute) for minute, sensor in times))


def ids(events: Sequence[dict[str, Any]]) -> list[tuple[str, str]]:
    return [(event["sensor_id"], event["event_id"]) for event in events]


@pytest.mark.parametrize("event_type", SILENCE_TYPES)
def test_the_schema_is_valid_with_its_example_and_describes_every_property(
    event_type: EventType,
) -> None:
    schema = SCHEMA_BY_EVENT_TYPE[event_type]
    Draft202012Validator.check_schema(schema)

    (example,) = schema["examples"]
    Draft202012Validator(schema).validate(example)
    assert set(example) == set(schema["properties"]) == set(schema["required"])
    assert all(value.get("description") for value in schema["properties"].values())


def test_a_silence_has_one_event_and_its_end_has_one() -> None:
    records = rows({"a": range(40), "b": [0, 1, 2, 30, 31]})

    silent, back = silence_events(records)

    # Record 16 is the row of sensor a at minute 13, 11 minutes after the last row of sensor b.
    assert silent == {
        "event_id": "sensors-0-16-silent-0",
        "schema_version": 2,
        "sensor_id": "b",
        "event_time": "2025-01-01T00:13:00Z",
        "source": {"topic": "sensors", "partition": 0, "offset": 16},
        "model_version": silent["model_version"],
        "last": "2025-01-01T00:02:00Z",
        "silent_seconds": 660.0,
        "cadence_seconds": 0.0,
        "severity": "critical",
        "message": "b has sent no row for 11 min (since 2025-01-01 00:02 UTC)",
        "group": "",
    }
    assert back == {
        "event_id": "sensors-0-34-back",
        "schema_version": 2,
        "sensor_id": "b",
        "event_time": "2025-01-01T00:30:00Z",
        "source": {"topic": "sensors", "partition": 0, "offset": 34},
        "model_version": silent["model_version"],
        "silent_id": silent["event_id"],
        "silent_since": silent["last"],
        "silent_seconds": 1680.0,
        "severity": "critical",
        "message": "b sends rows again, after 28 min (since 2025-01-01 00:02 UTC)",
        "group": "",
    }


def test_the_limit_is_ten_cadences_once_the_cadence_is_learned() -> None:
    minutes = {"a": range(60), "b": range(0, 24, 2), "few": [0, 1]}

    (silent,) = silence_events(rows(minutes), BY_CADENCE)

    assert silent["sensor_id"] == "b"
    assert silent["cadence_seconds"] == 120.0
    assert silent["silent_seconds"] == 21 * 60.0  # the first check after 20 minutes
    assert silent["message"].endswith("; it normally sends one every 2 min")


def test_several_sensors_that_turn_silent_at_one_row_have_different_ids() -> None:
    records = rows({"a": range(40), "b": [0, 1], "c": [0, 1], "d": [0, 1, 35]})

    events = silence_events(records)

    assert ids(events) == [
        ("b", "sensors-0-18-silent-0"),
        ("c", "sensors-0-18-silent-1"),
        ("d", "sensors-0-18-silent-2"),
        ("d", "sensors-0-42-back"),
    ]
    assert events[-1]["silent_id"] == "sensors-0-18-silent-2"


def test_a_pause_of_the_whole_partition_gives_each_sensor_one_new_limit() -> None:
    """The pause lasts three hours; sensor d does not come back after it."""
    sensors = {name: [*range(10), *range(190, 230)] for name in "abc"}

    events = silence_events(rows({**sensors, "d": range(10)}))

    assert [(event["sensor_id"], event["event_time"]) for event in events] == [
        ("d", "2025-01-01T03:21:00Z")
    ]


def test_a_second_pause_makes_a_sensor_silent_that_sent_no_row_between_the_pauses() -> None:
    events = silence_events(rows({"a": [0, 200, 400], "b": [0]}))

    assert [(event["sensor_id"], event["event_time"]) for event in events] == [
        ("b", "2025-01-01T06:40:00Z")
    ]


def test_a_sensor_alone_in_its_partition_is_never_silent() -> None:
    assert silence_events(rows({"a": [*range(10), 100, 300, 301]})) == []


def test_a_late_row_does_not_end_a_silence() -> None:
    records = rows({"a": range(20), "b": [0, 1]})
    late = records_of(a_row_payload("b", 0.5), first_offset=len(records))

    assert [event["event_id"] for event in silence_events([*records, *late])] == [
        "sensors-0-14-silent-0"
    ]


def test_a_row_dated_after_its_receipt_does_not_move_the_event_time() -> None:
    records = rows({"a": range(20), "b": range(20)})
    future_rows = records_of(
        *(a_row_payload("a", minute) for minute in (21, 22, 23)), first_offset=len(records)
    )
    received_at_minute_20 = [
        StoredRecord(
            record.stored_value,
            record.stored_offset,
            stored_timestamp=(1, START_TIME // 1000 + 20 * 60_000),
        )
        for record in future_rows
    ]

    rule = SilenceRule(check_seconds=60, after_seconds=180)
    assert len(silence_events([*records, *future_rows], rule)) == 1
    assert silence_events([*records, *received_at_minute_20], rule) == []


def test_an_evicted_sensor_has_no_event_and_starts_as_a_new_sensor() -> None:
    """Sensor c evicts sensor b; later b evicts c, which is silent."""
    minutes = {"a": range(40), "b": [0, 1, 38.5], "c": [5]}

    events = silence_events(rows(minutes), max_sensors=2)

    assert [event["sensor_id"] for event in events] == ["c"]


def test_no_sensor_is_silent_if_the_check_is_off() -> None:
    rule = SilenceRule(after_seconds=600)

    assert silence_events(rows({"a": range(40), "b": [0]}), rule) == []


@settings(max_examples=60, deadline=None)
@given(
    records=RECORD_LISTS,
    max_sensors=st.integers(1, 4),
    rule=st.sampled_from(
        [SilenceRule(60, after_seconds=120), SilenceRule(180, after_seconds=60, severity="info")]
    ),
    data=st.data(),
)
def test_silences_do_not_depend_on_the_boundaries_of_micro_batches(
    records: list[StoredRecord], max_sensors: int, rule: SilenceRule, data: st.DataObject
) -> None:
    batch_ends = data.draw(st.lists(st.integers(0, len(records)), max_size=6).map(sorted))
    options: dict[str, Any] = {"max_sensors": max_sensors, "silence_rule": rule}

    messages = events_of(records, **options)

    split_messages = events_of(records, batch_ends=batch_ends, **options)
    assert keys_and_values(split_messages) == keys_and_values(messages)
    event_ids = [validated_event(message)["event_id"] for message in messages]
    assert len(event_ids) == len(set(event_ids))
