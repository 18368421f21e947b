"""Parsing: each payload becomes a reading or a rejection with its reason."""

import gzip
import json
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sensorwatch.common.rows.limits import MAX_PAYLOAD_BYTES
from sensorwatch.common.rows.parsing import parse
from sensorwatch.common.rows.readings import Readings
from sensorwatch.common.rows.rejection import MAX_DETAIL_CHARACTERS, Reason, Rejection
from sensorwatch.common.rows.schema import Schema, schema_from_plain
from sensorwatch.common.rows.strict_parsing import MAX_NESTING
from tests.reading_builders import a_schema

GOOD_ROW = {"timestamp": "2025-01-01T00:00:00Z", "sensor_id": "a", "x1": 1, "x2": 2.5, "x3": -3}
MIDNIGHT = 1_735_689_600_000_000


def a_payload(removed_field: str = "", **fields: Any) -> bytes:
    """Return a good row in JSON, with `fields` changed and `removed_field` removed."""
    row = {name: value for name, value in (GOOD_ROW | fields).items() if name != removed_field}
    return json.dumps(row).encode()


def nested_schema(**changes: Any) -> Schema:
    default_fields = {
        "time": {"field": "meta.t", "format": "epoch_ms"},
        "key": {"field": "meta.id"},
        "signals": [{"name": "temp", "field": "payload.temp"}],
    }
    return schema_from_plain(default_fields | changes)


def only_rejection(
    payload: bytes | None, schema: Schema | None = None, **options: Any
) -> Rejection:
    readings, rejections = parse([payload], schema or a_schema(), **options)
    assert len(readings) == 0
    (rejection,) = rejections
    return rejection


def only_reading(payload: bytes, schema: Schema | None = None, **options: Any) -> Readings:
    readings, rejections = parse([payload], schema or a_schema(), **options)
    assert not rejections
    assert len(readings) == 1
    return readings


def test_a_good_row_becomes_a_reading() -> None:
    readings = only_reading(a_payload())

    assert readings.event_time.tolist() == [MIDNIGHT]
    assert readings.sensor_ids == ("a",)
    assert readings.values.tolist() == [[1.0, 2.5, -3.0]]
    assert readings.values.dtype == np.float64


@pytest.mark.parametrize(
    "payload",
    [
        b"\xef\xbb\xbf" + a_payload(),
        b"\x00\x00\x00\x00\x07" + a_payload(),
        gzip.compress(a_payload(), mtime=0),
        json.dumps(a_payload().decode()).encode(),
    ],
    ids=["byte order mark", "frame", "gzip", "JSON in JSON"],
)
def test_what_surrounds_a_json_object_is_taken_off(payload: bytes) -> None:
    readings, plain_readings = only_reading(payload), only_reading(a_payload())

    assert readings.sensor_ids == plain_readings.sensor_ids
    assert readings.event_time.tolist() == plain_readings.event_time.tolist()
    assert readings.values.tolist() == plain_readings.values.tolist()


def test_a_decompressed_value_has_the_same_limit() -> None:
    payload = gzip.compress(b" " * 100_000_000)

    rejection = only_rejection(payload)

    assert rejection.reason is Reason.TOO_LARGE
    assert "after decompression" in rejection.detail


@pytest.mark.parametrize(
    "payload",
    [gzip.compress(a_payload(), mtime=0)[:-9], b"\x1f\x8b\x08no gzip"],
    ids=["cut", "no gzip"],
)
def test_damaged_gzip_is_not_json(payload: bytes) -> None:
    rejection = only_rejection(payload)

    assert rejection.reason is Reason.NOT_JSON
    assert "gzip" in rejection.detail


def test_a_row_without_sensor_or_zone_belongs_to_the_default_sensor_and_utc() -> None:
    readings = only_reading(a_payload(removed_field="sensor_id", timestamp="2025-01-01T00:00:00"))

    assert readings.sensor_ids == ("default",)
    assert readings.event_time.tolist() == [MIDNIGHT]


@pytest.mark.parametrize(
    ("payload", "reason", "field"),
    [
        (None, Reason.EMPTY, ""),
        (b"", Reason.EMPTY, ""),
        (b"{", Reason.NOT_JSON, ""),
        (b'{"x1": Nan}', Reason.NOT_JSON, ""),
        (a_payload(x2=float("nan")), Reason.NOT_FINITE, "x2"),
        (a_payload(x2=float("-inf")), Reason.NOT_FINITE, "x2"),
        (b"\xff\xfe", Reason.NOT_JSON, ""),
        (b"[" * (MAX_NESTING + 1) + b"]" * (MAX_NESTING + 1), Reason.NOT_JSON, ""),
        (b"[1]", Reason.NOT_OBJECT, ""),
        (b'"text"', Reason.NOT_OBJECT, ""),
        (a_payload(removed_field="x2"), Reason.MISSING_FIELD, "x2"),
        (a_payload(removed_field="timestamp"), Reason.MISSING_FIELD, "timestamp"),
        (a_payload(x2=None), Reason.NULL_VALUE, "x2"),
        (a_payload(timestamp=None), Reason.NULL_VALUE, "timestamp"),
        (a_payload(sensor_id=None), Reason.NULL_VALUE, "sensor_id"),
        (a_payload(x2="1.5"), Reason.WRONG_TYPE, "x2"),
        (a_payload(x2=True), Reason.WRONG_TYPE, "x2"),
        (a_payload(x2=[1]), Reason.WRONG_TYPE, "x2"),
        (a_payload().replace(b"2.5", b"1e999"), Reason.NOT_FINITE, "x2"),
        (a_payload().replace(b"2.5", b"1e39"), Reason.NOT_FINITE, "x2"),
        (a_payload().replace(b"2.5", b"9" * 5000), Reason.NOT_FINITE, "x2"),
        (a_payload(x2=1000.5), Reason.OUT_OF_RANGE, "x2"),
        (a_payload(x2=-1001), Reason.OUT_OF_RANGE, "x2"),
        (a_payload(timestamp="yesterday"), Reason.BAD_TIMESTAMP, "timestamp"),
        (a_payload(timestamp=1735689600), Reason.BAD_TIMESTAMP, "timestamp"),
        (a_payload(timestamp="2025-02-30T00:00:00Z"), Reason.BAD_TIMESTAMP, "timestamp"),
        (a_payload(sensor_id=""), Reason.BAD_KEY, "sensor_id"),
        (a_payload(sensor_id="a\nb"), Reason.BAD_KEY, "sensor_id"),
        (a_payload(sensor_id="x" * 201), Reason.BAD_KEY, "sensor_id"),
        (a_payload(sensor_id=1.5), Reason.BAD_KEY, "sensor_id"),
        (a_payload(note="x" * MAX_PAYLOAD_BYTES), Reason.TOO_LARGE, ""),
        (b"\x00\x00\x00\x00\x07\x06abc", Reason.FRAMED, ""),
    ],
)
def test_each_kind_of_bad_row_has_its_reason_and_field(
    payload: bytes | None, reason: Reason, field: str
) -> None:
    rejection = only_rejection(payload)

    assert (rejection.reason, rejection.field) == (reason, field)
    assert rejection.detail


def test_a_rejection_names_every_fault_of_its_row() -> None:
    rejection = only_rejection(a_payload(timestamp="?", x1="a", x2=None, x3=5000))

    assert [(fault.reason, fault.field) for fault in rejection.faults] == [
        (Reason.BAD_TIMESTAMP, "timestamp"),
        (Reason.WRONG_TYPE, "x1"),
        (Reason.NULL_VALUE, "x2"),
        (Reason.OUT_OF_RANGE, "x3"),
    ]


def test_an_event_time_over_five_minutes_after_the_receipt_is_rejected() -> None:
    payload = a_payload()

    assert len(only_reading(payload, received=[MIDNIGHT - 300_000_000])) == 1
    assert len(only_reading(payload, received=[None])) == 1
    rejection = only_rejection(payload, received=[MIDNIGHT - 300_000_001])
    assert rejection.reason is Reason.FUTURE_TIMESTAMP


def test_unknown_fields_are_ignored_or_rejected_as_the_schema_says() -> None:
    strict_schema = schema_from_plain(a_schema().to_plain() | {"unknown_fields": "reject"})

    assert len(only_reading(a_payload(extra=1))) == 1
    rejection = only_rejection(a_payload(extra=1), strict_schema)
    assert (rejection.reason, rejection.field) == (Reason.UNKNOWN_FIELD, "extra")


def test_a_dotted_path_selects_a_nested_field() -> None:
    row = {"meta": {"t": 1000, "id": 7}, "payload": {"temp": 21.5}}
    readings = only_reading(json.dumps(row).encode(), nested_schema())

    assert readings.event_time.tolist() == [1_000_000]
    assert readings.sensor_ids == ("7",)
    assert readings.values.tolist() == [[21.5]]


def test_unknown_fields_inside_nested_json_are_named_by_their_path() -> None:
    row = {"meta": {"t": 1000, "id": 7}, "payload": {"temp": 21.5, "hum": 3}, "more": {}}
    rejection = only_rejection(json.dumps(row).encode(), nested_schema(unknown_fields="reject"))

    assert [fault.field for fault in rejection.faults] == ["payload.hum", "more"]


def test_a_field_below_a_value_that_is_not_an_object_is_missing() -> None:
    row = {"meta": {"t": 1000, "id": 7}, "payload": 5}
    rejection = only_rejection(json.dumps(row).encode(), nested_schema())

    assert (rejection.reason, rejection.field) == (Reason.MISSING_FIELD, "payload.temp")


def test_a_schema_without_a_key_gives_every_row_to_one_sensor() -> None:
    schema = schema_from_plain({"signals": [{"name": "x1"}], "time": {"format": "epoch_s"}})
    payloads = [b'{"timestamp": 1, "x1": 1, "sensor_id": "a"}', b'{"timestamp": 2, "x1": 1}']

    readings, rejections = parse(payloads, schema)

    assert not rejections
    assert readings.sensor_ids == ("default",)


def test_every_form_of_minus_zero_is_read_as_zero() -> None:
    for text in (b"-0", b"-0.0", b"0"):
        readings = only_reading(a_payload().replace(b"2.5", text))
        assert math.copysign(1.0, readings.values[0, 1]) == 1.0


def test_the_number_of_faults_and_the_length_of_their_texts_are_bounded() -> None:
    strict_schema = schema_from_plain(a_schema().to_plain() | {"unknown_fields": "reject"})
    extra_fields: dict[str, Any] = {f"f{n}" * 100: n for n in range(200)}
    payload = a_payload("", x1="y" * 10_000, **extra_fields)

    rejection = only_rejection(payload, strict_schema)

    assert 50 < len(rejection.faults) <= 100
    for fault in rejection.faults:
        assert len(fault.detail) <= MAX_DETAIL_CHARACTERS
        assert len(fault.field) <= MAX_DETAIL_CHARACTERS


def test_brackets_in_texts_do_not_count_as_nesting() -> None:
    assert len(only_reading(a_payload(note='[{"' * 500 + "\\"))) == 1


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda elements: (
        st.lists(elements, max_size=3) | st.dictionaries(st.text(max_size=4), elements, max_size=3)
    ),
    max_leaves=5,
)
row_strategy = st.dictionaries(
    st.sampled_from([*GOOD_ROW, "unknown"]),
    json_values | st.sampled_from([1, 2.0, "2025-01-01T00:00:00Z"]),
)
payload_strategy = (
    st.none()
    | st.binary(max_size=60)
    | st.builds(lambda row: json.dumps(row).encode(), row_strategy)
    | st.builds(
        lambda row, cut: json.dumps(GOOD_ROW | row).encode()[:cut],
        row_strategy,
        st.integers(0, 200),
    )
    | st.just(a_payload())
)


@given(st.lists(payload_strategy, max_size=8))
def test_any_payload_is_a_reading_or_a_rejection(row_payloads: list[bytes | None]) -> None:
    readings, rejections = parse(row_payloads, a_schema())

    indexes = [*readings.index.tolist(), *(rejection.index for rejection in rejections)]
    assert sorted(indexes) == list(range(len(row_payloads)))
    assert np.isfinite(readings.values.astype(np.float32)).all()
    assert all(rejection.faults for rejection in rejections)


@given(st.lists(payload_strategy, min_size=1, max_size=8), st.integers(0, 8))
def test_the_result_of_a_payload_does_not_depend_on_other_payloads(
    row_payloads: list[bytes | None], boundary: int
) -> None:
    readings, rejections_at_once = parse(row_payloads, a_schema())
    first_readings, first_rejections = parse(row_payloads[:boundary], a_schema())
    second_readings, second_rejections = parse(row_payloads[boundary:], a_schema())

    assert (
        readings.values.tobytes()
        == first_readings.values.tobytes() + second_readings.values.tobytes()
    )
    separate_rejections = [*first_rejections, *second_rejections]
    assert [rejection.faults for rejection in rejections_at_once] == [
        rejection.faults for rejection in separate_rejections
    ]
