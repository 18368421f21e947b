"""Fields from outside the payload: the record's key, timestamp, topic and headers."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sensorwatch.common.errors import SchemaError
from sensorwatch.common.files.rows_of_file import read_batches
from sensorwatch.common.rows.batches import join_batches
from sensorwatch.common.rows.records import (
    _parse_strictly,
    parse_records,
)
from sensorwatch.common.rows.schema import Schema
from sensorwatch.common.rows.values import ABSENT
from tests.rows.array_rows import array_schema, parsed, rows_of, rows_of_readings


def source_schema(**parts: Any) -> Schema:
    return array_schema(
        time={"field": "@timestamp", "format": "epoch_ms"}, key={"field": "@key"}, **parts
    )


def test_fields_from_outside_the_payload_win_over_fields_of_the_payload() -> None:
    records = [{"values": [{"flow": 1}, {"flow": 2}]}, {"flow": 3, "@key": "forged"}]
    sources = [
        {"@key": "p1", "@timestamp": 1_735_689_600_000},
        {"@key": ABSENT, "@timestamp": 1_735_689_600_000},
    ]

    result = parsed(*records, schema=source_schema(), sources=sources)

    assert rows_of(result) == [(0, 0, "p1", 1.0), (0, 1, "p1", 2.0)]
    assert [fault.reason for fault in result.rejections[0].faults] == ["missing_field"]


@pytest.mark.parametrize("key", ["p1", ABSENT])
def test_no_element_can_set_a_field_from_outside_the_payload(key: object) -> None:
    sources = [{"@key": key, "@timestamp": 1_735_689_600_000}]

    result = parsed(
        {"values": [{"flow": 1, "@key": "forged"}]}, schema=source_schema(), sources=sources
    )

    assert rows_of(result) == ([(0, 0, "p1", 1.0)] if key == "p1" else [])


def test_an_array_can_be_ignored_by_a_header() -> None:
    schema = source_schema(rows="[*]", ignore={"@header.kind": "heartbeat"})
    sources = [{"@key": "p1", "@timestamp": 1_735_689_600_000, "@header.kind": "heartbeat"}]

    assert parsed([{"flow": 1}], schema=schema, sources=sources).absorbed.index.tolist() == [0]


def test_a_payload_that_is_an_array_has_the_sources_around_it() -> None:
    sources = [{"@key": "p1", "@timestamp": 1_735_689_600_000}]

    result = parsed([{"flow": 1}], schema=source_schema(rows="[*]"), sources=sources)

    assert rows_of(result) == [(0, 0, "p1", 1.0)]


keys = st.sampled_from(["p1", "p2", "", "a" * 201, 17, 17.0, "17.0", ABSENT, b"\xff"])
flat_payloads = st.sampled_from(
    [
        b'{"at": "2025-01-01T00:00:00Z", "flow": 1}',
        b'{"at": "2025-01-01T00:00:01Z", "flow": 2.5, "more": 1}',
        b'{"at": "2025-01-01T00:00:01Z", "flow": 2.5, "@key": "forged"}',
        b'{"at": "2025-01-01T00:00:02Z", "flow": "x"}',
        b'{"at": "x"}',
        b'{"kind": "heartbeat"}',
        b"{",
        None,
    ]
)


@given(st.lists(st.tuples(flat_payloads, keys, keys), max_size=20), st.booleans(), st.booleans())
def test_the_kernel_and_the_strict_parser_agree_about_keys_outside_of_the_payload(
    records: list[tuple[bytes | None, object, object]], is_optional: bool, rejects_unknown: bool
) -> None:
    schema = array_schema(
        rows="",
        key={"field": ["@key", "@header.line"], "optional": is_optional},
        unknown_fields="reject" if rejects_unknown else "ignore",
        ignore={"kind": "heartbeat"},
    )
    payloads = [payload for payload, _, _ in records]
    sources = [{"@key": key, "@header.line": line} for _, key, line in records]
    received = [1_735_689_600_000_000 + 10**6 * number for number in range(len(records))]

    result = parse_records(payloads, schema, received=received, sources=sources)
    strict = _parse_strictly(payloads, schema, received, sources)

    assert rows_of_readings(result.readings) == rows_of_readings(strict.readings)
    assert result.rejections == strict.rejections
    assert result.absorbed.index.tolist() == strict.absorbed.index.tolist()


def test_records_can_be_ignored_by_a_header() -> None:
    schema = source_schema(ignore={"@header.kind": "heartbeat"})
    sources = [
        {"@key": "p1", "@timestamp": 1_735_689_600_000, "@header.kind": kind}
        for kind in ("heartbeat", "row", ABSENT)
    ]

    result = parsed(*[{"flow": 1}] * 3, schema=schema, sources=sources)

    assert result.absorbed.index.tolist() == [0]
    assert [row[0] for row in rows_of(result)] == [1, 2]


def test_a_file_has_sources_as_columns(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text("@timestamp,@key,flow\n1735689600000,p1,1.5\n")

    readings, rejections = join_batches(read_batches(path, source_schema()), source_schema())

    assert (readings.sensor_ids, rejections) == (("p1",), [])


@pytest.mark.parametrize("name", ["@", "@keys", "@header.", "@topic.x", "@offset"])
def test_an_unknown_source_is_refused(name: str) -> None:
    with pytest.raises(SchemaError, match="wanted @key, @timestamp"):
        array_schema(key={"field": name})


def test_the_record_timestamp_needs_its_format() -> None:
    with pytest.raises(SchemaError, match='"@timestamp" needs format = "epoch_ms"'):
        array_schema(time={"field": "@timestamp"})
