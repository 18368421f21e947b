"""The values of fields that come from a record's key, timestamp, topic and headers."""

from sensorwatch.common.kafka.records import headers_of
from sensorwatch.common.kafka.source_values import read_sources, sources_of_records
from sensorwatch.common.rows.schema import Schema, schema_from_plain
from sensorwatch.common.rows.values import ABSENT
from tests.kafka.record_builders import SENT_AT_MS, StoredRecord, UnreadableHeaders


def a_source_schema(*names: str) -> Schema:
    return schema_from_plain({"signals": [{"name": "x"}], "key": {"field": list(names)}})


def test_each_source_has_its_value() -> None:
    record = StoredRecord(
        b"{}",
        stored_topic="plant.line2.pumps",
        stored_key=b"p1",
        stored_headers=[("line.no", b"7"), ("line.no", b"8")],
    )
    names = ("@key", "@timestamp", "@topic", "@topic.1", "@topic.3", "@header.line.no", "@header.x")

    assert read_sources(record, a_source_schema(*names)) == {
        "@key": "p1",
        "@timestamp": SENT_AT_MS,
        "@topic": "plant.line2.pumps",
        "@topic.1": "line2",
        "@topic.3": ABSENT,
        "@header.line.no": "8",
        "@header.x": ABSENT,
    }


def test_absent_and_undecodable_values() -> None:
    record = StoredRecord(
        b"{}", stored_key=None, stored_timestamp=(0, -1), stored_headers=[("a", b"\xff")]
    )

    assert read_sources(record, a_source_schema("@key", "@timestamp", "@header.a")) == {
        "@key": ABSENT,
        "@timestamp": ABSENT,
        "@header.a": b"\xff",
    }


def test_unreadable_headers_can_be_read_again() -> None:
    record = UnreadableHeaders(b"{}")

    assert read_sources(record, a_source_schema("@header.a")) == {"@header.a": ABSENT}
    assert headers_of(record) is None


def test_a_schema_without_sources_reads_no_record() -> None:
    assert sources_of_records([StoredRecord(b"{}")], a_source_schema("sensor_id")) is None
