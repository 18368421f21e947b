"""The events of episodes do not depend on how the records are split into micro-batches."""

import json
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from sensorwatch.common.kafka.event_types import EventType
from sensorwatch.common.kafka.records import OutgoingMessage, received_at
from sensorwatch.common.runtime.setting_choices import EmittedEvents
from sensorwatch.common.scoring.detections import Severity
from sensorwatch.common.scoring.detector import Detector
from sensorwatch.common.scoring.processing import process
from sensorwatch.common.scoring.silence_rule import NO_SILENCE_CHECK, SilenceRule
from sensorwatch.consumer.publishing.events import anomaly_events
from tests.kafka.record_builders import StoredRecord, a_payload
from tests.publishing.test_events import POLICY_PROPERTIES
from tests.reading_builders import ANOMALOUS_VALUES, NORMAL_VALUES, START_TIME, a_detector
from tests.scoring.detectors import DETECTORS

SCHEMA_BY_EVENT_TYPE = {
    kind: json.loads(
        (Path(__file__).parents[2] / "schemas" / f"{name}.json").read_text(encoding="utf-8")
    )
    for kind, name in (
        (EventType.DETECTED, "anomaly-event.v2"),
        (EventType.RAISED, "episode-raised.v2"),
        (EventType.ACCEPTED, "episode-accepted.v2"),
        (EventType.CLOSED, "episode-closed.v2"),
        (EventType.STALE, "model-stale.v2"),
        (EventType.SILENT, "sensor-silent.v1"),
        (EventType.BACK, "sensor-back.v1"),
    )
}
HOUR_US = 3_600_000_000
FREQUENT_RATE = 0.05
"""Episodes per row that the detector of the kind "frequent" expects."""
SENT_AT_MS = START_TIME // 1000 + 10 * 365 * 86_400_000


def a_row_payload(sensor: str, minute: float, values: Sequence[float] = NORMAL_VALUES) -> bytes:
    time = datetime.fromtimestamp(START_TIME / 1_000_000, UTC) + timedelta(minutes=minute)
    return a_payload(values, sensor_id=sensor, timestamp=time.isoformat())


def records_of(*values: bytes, first_offset: int = 0) -> list[StoredRecord]:
    return [
        StoredRecord(value, offset, stored_timestamp=(1, SENT_AT_MS))
        for offset, value in enumerate(values, first_offset)
    ]


def detector_with_gaps(kind: str = "plain") -> Detector:
    """Return a detector for which an interval of more than an hour between two rows is a gap."""
    if kind == "frequent":
        return detector_with_frequent_episodes()
    detector = DETECTORS[kind]()
    return replace(detector, levels=replace(detector.levels, max_gap=HOUR_US))


def detector_with_frequent_episodes() -> Detector:
    """Return a detector that expects an episode in one of 20 rows."""
    detector = a_detector()
    rates = replace(detector.alarm_rates, start=detector.calibration.threshold, rate=FREQUENT_RATE)
    return replace(detector, alarm_rates=rates)


def events_of(
    records: Sequence[StoredRecord],
    *,
    batch_ends: Sequence[int] = (),
    emit: EmittedEvents = EmittedEvents.ROWS,
    max_sensors: int = 100,
    kind: str = "plain",
    silence_rule: SilenceRule = NO_SILENCE_CHECK,
    anomaly_counts: list[int] | None = None,
) -> list[OutgoingMessage]:
    """Return the events of records that are processed in several micro-batches.

    A micro-batch ends before each index in `batch_ends`. The numbers of anomalous rows of the
    micro-batches are appended to `anomaly_counts`.
    """
    detector = detector_with_gaps(kind)
    memory = detector.empty_memory(max_sensors=max_sensors, silence_rule=silence_rule)
    events: list[OutgoingMessage] = []
    for number, (start, end) in enumerate(
        zip([0, *batch_ends], [*batch_ends, len(records)], strict=True)
    ):
        batch = records[start:end]
        outcome = process(
            [record.value() for record in batch],
            detector,
            memory,
            positions=np.asarray([record.stored_offset for record in batch], dtype=np.int64),
            received=[received_at(record) for record in batch],
        )
        if anomaly_counts is not None:
            anomaly_counts.append(int(outcome.detections.is_anomaly.sum()))
        now = f"2030-01-01T00:00:{number:02}Z"
        events += anomaly_events(outcome, detector, batch, topic="a", detected_at=now, emit=emit)
    return events


def event_type_of(message: OutgoingMessage) -> EventType:
    return EventType((dict(message.headers)["ce_type"] or b"").decode())


def validated_event(message: OutgoingMessage) -> dict[str, Any]:
    value: dict[str, Any] = json.loads(message.value or b"")
    Draft202012Validator(
        SCHEMA_BY_EVENT_TYPE[event_type_of(message)],
        format_checker=Draft202012Validator.FORMAT_CHECKER,
    ).validate(value)
    return value


def keys_and_values(messages: Sequence[OutgoingMessage]) -> list[tuple[bytes | None, bytes | None]]:
    return [(message.key, message.value) for message in messages]


def test_the_schema_is_valid_with_its_examples_and_describes_every_property() -> None:
    schema = SCHEMA_BY_EVENT_TYPE[EventType.CLOSED]
    Draft202012Validator.check_schema(schema)

    assert schema["examples"]
    for example in schema["examples"]:
        Draft202012Validator(schema).validate(example)
        properties = set(schema["properties"]) - POLICY_PROPERTIES
        assert set(example) == properties == set(schema["required"])
    for name, property_schema in schema["properties"].items():
        assert property_schema.get("description"), name


def test_an_episode_has_an_event_per_row_and_an_event_for_its_end() -> None:
    """A normal row closes the episode, and the next anomalous row begins a new episode."""
    records = records_of(
        a_row_payload("p", 0),
        a_row_payload("p", 1, ANOMALOUS_VALUES),
        b"{",
        a_row_payload("p", 2, ANOMALOUS_VALUES),
        a_row_payload("p", 3.5),
        a_row_payload("p", 4, ANOMALOUS_VALUES),
        first_offset=40,
    )

    messages = events_of(records)

    events = [validated_event(message) for message in messages]
    start = "2025-01-01T00:01:00Z"
    assert [event["event_id"] for event in events] == [
        "sensors-0-41",
        "sensors-0-43",
        "sensors-0-41-closed",
        "sensors-0-45",
    ]
    peak_scores = [event["anomaly_score"] for event in events[:2]]
    rates = [event.get("episode", {}).pop("false_alarms_per_sensor_day", None) for event in events]
    assert rates[0] >= rates[1] > 0
    assert [event.get("episode") for event in events] == [
        {"id": "sensors-0-41", "start": start, "rows": 1, "peak": peak_scores[0], "alike": 1},
        {"id": "sensors-0-41", "start": start, "rows": 2, "peak": max(peak_scores), "alike": 1},
        None,
        {
            "id": "sensors-0-45",
            "start": "2025-01-01T00:04:00Z",
            "rows": 1,
            "peak": events[3]["anomaly_score"],
            "alike": 1,
        },
    ]
    assert events[2] == {
        "event_id": "sensors-0-41-closed",
        "schema_version": 2,
        "sensor_id": "p",
        "event_time": "2025-01-01T00:03:30Z",
        "source": {"topic": "sensors", "partition": 0, "offset": 44},
        "model_version": a_detector().version,
        "episode_id": "sensors-0-41",
        "group": "",
        "incident_id": "sensors-0-41",
        "start": start,
        "last": "2025-01-01T00:02:00Z",
        "duration_seconds": 60.0,
        "rows": 2,
        "peak": max(event["anomaly_score"] for event in events[:2]),
        "false_alarms_per_sensor_day": rates[1],
        "severity": events[0]["severity"],
        "suppressed": "none",
    }


def test_a_closed_event_has_cloudevents_headers_and_no_traceparent() -> None:
    anomalous_record, normal_record = records_of(
        a_row_payload("p", 0, ANOMALOUS_VALUES), a_row_payload("p", 1)
    )
    record_with_trace = replace(
        normal_record, stored_headers=[("traceparent", b"00-of-the-normal-row")]
    )

    _, closed_message = events_of([anomalous_record, record_with_trace])

    assert closed_message.key == b"p"
    assert dict(closed_message.headers) == {
        "ce_specversion": b"1.0",
        "ce_id": b"sensors-0-0-closed",
        "ce_source": b"/kafka/sensors",
        "ce_type": EventType.CLOSED.encode(),
        "ce_time": b"2025-01-01T00:01:00Z",
        "ce_subject": b"p",
        "content-type": b"application/json",
        "detected_at": b"2030-01-01T00:00:00Z",
    }


def test_if_one_record_closes_an_episode_and_begins_another_the_closed_event_is_first() -> None:
    """The first row after a gap closes the episode; if anomalous, it begins a new episode."""
    records = records_of(
        a_row_payload("p", 0, ANOMALOUS_VALUES), a_row_payload("p", 61, ANOMALOUS_VALUES)
    )

    events = [validated_event(message) for message in events_of(records)]

    assert [event["event_id"] for event in events] == [
        "sensors-0-0",
        "sensors-0-0-closed",
        "sensors-0-1",
    ]
    assert events[2]["status"] == "gap"
    assert events[2]["episode"]["id"] == "sensors-0-1"


def test_the_closed_event_of_an_evicted_sensor_names_that_sensor() -> None:
    records = records_of(a_row_payload("p", 0, ANOMALOUS_VALUES), a_row_payload("q", 5))

    _, closed_message = events_of(records, max_sensors=1)

    event = validated_event(closed_message)
    assert (closed_message.key, event["sensor_id"]) == (b"p", "p")
    assert dict(closed_message.headers)["ce_subject"] == b"p"
    assert event["source"]["offset"] == 1
    assert event["event_time"] == "2025-01-01T00:05:00Z"
    assert event["last"] == "2025-01-01T00:00:00Z"


@pytest.mark.parametrize(("minute", "status"), [(5, "duplicate"), (1, "late")])
@pytest.mark.parametrize("emit", list(EmittedEvents))
def test_a_late_or_duplicate_row_is_a_separate_episode(
    emit: EmittedEvents, minute: float, status: str
) -> None:
    records = records_of(
        a_row_payload("p", 5, ANOMALOUS_VALUES),
        a_row_payload("p", minute, ANOMALOUS_VALUES),
        a_row_payload("p", 6),
        a_row_payload("p", 7),
    )

    first_event, separate_event, closed_event = [
        validated_event(message) for message in events_of(records, emit=emit)
    ]

    assert first_event["episode"]["rows"] == closed_event["rows"] == 1
    assert separate_event["status"] == status
    assert separate_event["episode"].pop("false_alarms_per_sensor_day") > 0
    assert separate_event["episode"] == {
        "id": "sensors-0-1",
        "start": separate_event["event_time"],
        "rows": 1,
        "peak": separate_event["anomaly_score"],
        "alike": 1,
    }


def test_with_emit_episodes_only_the_first_row_and_the_end_have_events() -> None:
    rows = [a_row_payload("p", minute, ANOMALOUS_VALUES) for minute in range(5)]
    records = records_of(*rows, a_row_payload("p", 5))

    event_ids = [
        validated_event(message)["event_id"]
        for message in events_of(records, emit=EmittedEvents.EPISODES)
    ]

    assert event_ids == ["sensors-0-0", "sensors-0-0-closed"]


def some_records(row_specs: list[tuple[str, str, int]]) -> list[StoredRecord]:
    """Return one record per item; an item has the sensor, the kind of row and a time step.

    The time step is the number of minutes since the previous record.
    """
    minute, values = 1_000, []
    for sensor, kind, minute_step in row_specs:
        minute += minute_step
        row = a_row_payload(
            sensor, minute, ANOMALOUS_VALUES if kind == "anomalous" else NORMAL_VALUES
        )
        values.append(b"{" if kind == "bad" else row)
    return records_of(*values, first_offset=7)


RECORD_LISTS = st.lists(
    st.tuples(
        st.sampled_from(["s0", "s1", "s0", "new"]),
        st.sampled_from(["normal", "anomalous", "anomalous", "bad"]),
        st.sampled_from([0, 1, 1, 1, -3, 200]),
    ),
    max_size=40,
).map(some_records)


@pytest.mark.parametrize("kind", DETECTORS)
@settings(max_examples=60, deadline=None)
@given(records=RECORD_LISTS, max_sensors=st.integers(1, 4), data=st.data())
def test_events_do_not_depend_on_the_boundaries_of_micro_batches(
    kind: str, records: list[StoredRecord], max_sensors: int, data: st.DataObject
) -> None:
    batch_ends = data.draw(st.lists(st.integers(0, len(records)), max_size=6).map(sorted))

    anomaly_counts: list[int] = []
    single_batch_messages = events_of(
        records, max_sensors=max_sensors, kind=kind, anomaly_counts=anomaly_counts
    )
    split_messages = events_of(records, batch_ends=batch_ends, max_sensors=max_sensors, kind=kind)

    assert keys_and_values(split_messages) == keys_and_values(single_batch_messages)
    events_by_episode: dict[str, list[dict[str, Any]]] = defaultdict(list)
    end_counts: Counter[str] = Counter()
    source_offsets = []
    severities = list(Severity)
    for message in single_batch_messages:
        event = validated_event(message)
        source_offsets.append(event["source"]["offset"])
        if event_type_of(message) is EventType.DETECTED:
            episode_events = events_by_episode[event["episode"]["id"]]
            episode_events.append(event)
            assert event["episode"]["rows"] == len(episode_events)
            assert event["episode"]["start"] == episode_events[0]["event_time"]
            assert event["episode"]["id"] == episode_events[0]["event_id"]
            assert end_counts[event["episode"]["id"]] == 0, "a row follows the end of its episode"
            continue
        if event_type_of(message) is EventType.RAISED:
            row_event = events_by_episode[event["episode"]["id"]][-1]
            assert event["event_id"] == f"{row_event['event_id']}-raised"
            assert severities.index(event["previous_severity"]) < severities.index(
                event["severity"]
            )
            continue
        episode_events = events_by_episode.get(event["episode_id"], [])
        end_counts[event["episode_id"]] += 1
        assert event["rows"] == len(episode_events)
        assert {row_event["sensor_id"] for row_event in episode_events} == {event["sensor_id"]}
        assert (event["start"], event["last"]) == (
            episode_events[0]["event_time"],
            episode_events[-1]["event_time"],
        )
        peak_scores = [row_event["episode"]["peak"] for row_event in episode_events]
        assert peak_scores == sorted(peak_scores)
        assert peak_scores[0] == episode_events[0]["anomaly_score"]
        assert (
            event["peak"]
            == peak_scores[-1]
            >= max(row_event["anomaly_score"] for row_event in episode_events)
        )
    assert source_offsets == sorted(source_offsets)
    assert all(count == 1 for count in end_counts.values())
    assert sum(map(len, events_by_episode.values())) == sum(anomaly_counts)


@pytest.mark.parametrize("kind", DETECTORS)
@settings(max_examples=40, deadline=None)
@given(records=RECORD_LISTS, max_sensors=st.integers(1, 4))
def test_emit_episodes_omits_events_and_changes_no_event(
    kind: str, records: list[StoredRecord], max_sensors: int
) -> None:
    all_messages = events_of(records, max_sensors=max_sensors, kind=kind)
    episode_messages = events_of(
        records, max_sensors=max_sensors, emit=EmittedEvents.EPISODES, kind=kind
    )

    expected_messages = [
        message
        for message in all_messages
        if event_type_of(message) is not EventType.DETECTED
        or validated_event(message)["episode"]["rows"] == 1
    ]
    assert keys_and_values(episode_messages) == keys_and_values(expected_messages)


def test_a_stale_model_has_one_event_after_the_other_events_of_its_row() -> None:
    """Every row is the first of an episode, because each sensor has one row."""
    records = records_of(*(a_row_payload(f"p{n}", n, ANOMALOUS_VALUES) for n in range(150)))

    messages = events_of(records, kind="frequent", max_sensors=200)
    (position,) = [
        n for n, message in enumerate(messages) if event_type_of(message) is EventType.STALE
    ]

    event, event_before = map(validated_event, (messages[position], messages[position - 1]))
    assert event["event_id"] == event_before["event_id"] + "-stale"
    assert event["sensor_id"] == event_before["sensor_id"]
    assert event["episodes"] == event["source"]["offset"]  # the first row is not evidence yet
    assert event["expected_episodes"] == pytest.approx(event["episodes"] * FREQUENT_RATE)
    assert event["message"].startswith(f"{event['episodes']} alarms")
    keys = keys_and_values(messages)
    assert keys == keys_and_values(
        events_of(records, batch_ends=[40, 111], kind="frequent", max_sensors=200)
    )
    only_first_rows = EmittedEvents.EPISODES
    assert keys == keys_and_values(
        events_of(records, emit=only_first_rows, kind="frequent", max_sensors=200)
    )
