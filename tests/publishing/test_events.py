"""The event of an anomalous row is valid by the JSON Schema and names the row's record."""

import json
from pathlib import Path

import numpy as np
import pytest
from jsonschema import Draft202012Validator, ValidationError

from sensorwatch.common.kafka.event_types import EventType
from sensorwatch.common.kafka.records import OutgoingMessage, received_at
from sensorwatch.common.scoring.processing import process
from sensorwatch.consumer.publishing.events import MAX_TRACE_BYTES, anomaly_events
from tests.kafka.record_builders import StoredRecord, UnreadableHeaders, a_payload
from tests.reading_builders import ANOMALOUS_VALUES, NORMAL_VALUES, a_detector

EVENT_SCHEMA = json.loads(
    (Path(__file__).parents[2] / "schemas" / "anomaly-event.v2.json").read_text(encoding="utf-8")
)
EVENT_VALIDATOR = Draft202012Validator(
    EVENT_SCHEMA, format_checker=Draft202012Validator.FORMAT_CHECKER
)
POLICY_PROPERTIES = {"cause", "limit_rule", "suppressed_by", "window"}
"""Properties that events have only under a policy."""
DETECTED_AT = "2025-02-03T04:05:06Z"


def events_of(
    records: list[StoredRecord], *, detected_at: str = DETECTED_AT
) -> list[OutgoingMessage]:
    outcome = process(
        [record.value() for record in records],
        a_detector(),
        a_detector().empty_memory(),
        positions=np.asarray([record.stored_offset for record in records], dtype=np.int64),
        received=[received_at(record) for record in records],
    )
    return list(
        anomaly_events(outcome, a_detector(), records, topic="anomalies", detected_at=detected_at)
    )


def some_records(seed: int = 0, count: int = 40) -> list[StoredRecord]:
    """Return records with normal, anomalous and invalid rows in turn."""
    payload_kinds = [
        a_payload(),
        a_payload(ANOMALOUS_VALUES),
        b"{",
        a_payload((3.0, -4.0, float(seed))),
    ]
    return [StoredRecord(payload_kinds[(number * 7 + seed) % 4], number) for number in range(count)]


def event_of(message: OutgoingMessage) -> dict[str, object]:
    return decode_event(message.value)


def decode_event(value: bytes | None) -> dict[str, object]:
    assert value is not None
    event = json.loads(value)
    assert isinstance(event, dict)
    return event


def test_the_schema_and_its_examples_are_valid() -> None:
    Draft202012Validator.check_schema(EVENT_SCHEMA)

    assert EVENT_SCHEMA["examples"]
    for example in EVENT_SCHEMA["examples"]:
        EVENT_VALIDATOR.validate(example)


def test_the_schema_describes_every_property() -> None:
    signal_properties = EVENT_SCHEMA["properties"]["signals"]["items"]["properties"]
    episode_properties = EVENT_SCHEMA["properties"]["episode"]["properties"]

    for name, property_schema in {
        **EVENT_SCHEMA["properties"],
        **signal_properties,
        **episode_properties,
    }.items():
        assert property_schema.get("description"), name


@pytest.mark.parametrize("property_name", EVENT_SCHEMA["required"])
def test_an_event_without_a_required_property_is_refused(property_name: str) -> None:
    event = dict(EVENT_SCHEMA["examples"][0])
    del event[property_name]

    with pytest.raises(ValidationError, match=property_name):
        EVENT_VALIDATOR.validate(event)


def test_events_follow_the_schema_and_have_all_of_its_properties() -> None:
    events = [event_of(event) for event in events_of(some_records())]

    assert len(events) >= 10
    for event in events:
        EVENT_VALIDATOR.validate(event)
        assert set(EVENT_SCHEMA["properties"]) - POLICY_PROPERTIES == set(event)
    signal_properties = EVENT_SCHEMA["properties"]["signals"]["items"]["properties"]
    assert set(events[0]["signals"][0]) == set(signal_properties)  # type: ignore[index]  # just validated


def test_an_event_with_a_new_property_is_valid() -> None:
    EVENT_VALIDATOR.validate(EVENT_SCHEMA["examples"][0] | {"attribution_method": "new"})


def test_an_event_names_its_record_model_threshold_and_signals() -> None:
    record = StoredRecord(a_payload(ANOMALOUS_VALUES), 41, stored_partition=3)

    (message,) = events_of([record])

    event = event_of(message)
    assert event["event_id"] == "sensors-3-41"
    assert event["source"] == {"topic": "sensors", "partition": 3, "offset": 41}
    assert event["model_version"] == a_detector().version
    assert event["threshold"] == a_detector().calibration.threshold
    assert event["event_time"] == "2025-01-01T00:00:00Z"
    assert event["status"] == "scored"
    episode = event["episode"]
    assert isinstance(episode, dict)
    assert 0.0 < episode.pop("false_alarms_per_sensor_day") < 1.0
    assert episode == {
        "id": "sensors-3-41",
        "start": "2025-01-01T00:00:00Z",
        "rows": 1,
        "peak": event["anomaly_score"],
        "alike": 1,
    }
    assert [signal["direction"] for signal in event["signals"]] == ["high"] * 3  # type: ignore[attr-defined]  # a list
    assert (message.topic, message.key) == ("anomalies", b"pump-7")


def test_an_event_has_the_cloudevents_headers_of_binary_mode() -> None:
    record = StoredRecord(a_payload(ANOMALOUS_VALUES), 41, stored_partition=3)

    (message,) = events_of([record])

    assert dict(message.headers) == {
        "ce_specversion": b"1.0",
        "ce_id": b"sensors-3-41",
        "ce_source": b"/kafka/sensors",
        "ce_type": EventType.DETECTED.encode(),
        "ce_time": b"2025-01-01T00:00:00Z",
        "ce_subject": b"pump-7",
        "content-type": b"application/json",
        "detected_at": DETECTED_AT.encode(),
    }


def test_the_last_traceparent_header_is_copied() -> None:
    headers = [("traceparent", b"00-old"), ("traceparent", b"00-new"), ("other", b"x")]

    (message,) = events_of([StoredRecord(a_payload(ANOMALOUS_VALUES), stored_headers=headers)])

    assert [value for name, value in message.headers if name == "traceparent"] == [b"00-new"]


def test_a_traceparent_header_that_is_too_long_is_not_copied() -> None:
    """If long headers were copied, the event could exceed the broker's size limit."""
    for byte_count, is_copied in ((MAX_TRACE_BYTES, True), (MAX_TRACE_BYTES + 1, False)):
        headers = [("traceparent", b"0" * byte_count)]

        (message,) = events_of([StoredRecord(a_payload(ANOMALOUS_VALUES), stored_headers=headers)])

        assert ("traceparent" in dict(message.headers)) is is_copied


def test_a_record_with_unreadable_headers_has_an_event() -> None:
    (message,) = events_of([UnreadableHeaders(a_payload(ANOMALOUS_VALUES), 41)])

    assert dict(message.headers)["ce_id"] == b"sensors-0-41"
    assert "traceparent" not in dict(message.headers)


def test_the_event_of_a_row_without_a_sensor_has_the_default_key() -> None:
    value = json.dumps(
        {"timestamp": "2025-01-01T00:00:00Z"}
        | dict(zip(("x1", "x2", "x3"), ANOMALOUS_VALUES, strict=True))
    )

    (message,) = events_of([StoredRecord(value.encode(), stored_key=b"something else")])

    assert message.key == b"default"


def test_normal_rows_have_no_event() -> None:
    assert events_of([StoredRecord(a_payload(NORMAL_VALUES), offset) for offset in range(5)]) == []
