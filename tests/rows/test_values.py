"""The rules of a column's values: missing values, words, texts, units and bounds."""

import json
import math
from typing import Any

import pytest

from sensorwatch.common.rows.parsing import parse
from sensorwatch.common.rows.rejection import Reason, Rejection
from sensorwatch.common.rows.schema import Schema, schema_from_plain

TIME = "2025-01-01T00:00:00Z"


def schema_of(column: dict[str, Any], **parts: Any) -> Schema:
    return schema_from_plain({"signals": [{"name": "x"} | column], **parts})


def read_value(value: object, **column: object) -> float | Rejection:
    """Return the value of the one row, or its rejection."""
    payload = json.dumps({"timestamp": TIME, "x": value}).encode()
    readings, rejections = parse([payload], schema_of(column))
    return float(readings.values[0, 0]) if len(readings) else rejections[0]


def assert_rejected(result: float | Rejection, reason: Reason, text: str = "") -> None:
    assert isinstance(result, Rejection)
    assert (result.reason, result.field) == (reason, "x")
    assert text in result.detail


@pytest.mark.parametrize("value", [-200, -200.0, "NA", " n/a ", "na", math.nan, None])
def test_a_declared_missing_value_is_held_or_rejected(value: object) -> None:
    missing_values = [-200, "NA", "n/a", "nan"]

    held_value = read_value(value, missing="hold_last", missing_values=missing_values)
    rejection = read_value(value, missing_values=missing_values)

    assert isinstance(held_value, float)
    assert math.isnan(held_value)
    assert_rejected(rejection, Reason.NULL_VALUE)


def test_a_missing_value_outside_of_the_bounds_is_missing_and_not_out_of_range() -> None:
    value = read_value(-200, min=0.0, missing="hold_last", missing_values=[-200])

    assert isinstance(value, float)
    assert math.isnan(value)


def test_nan_is_rejected_unless_it_is_declared_as_missing() -> None:
    assert_rejected(read_value(math.nan, missing="hold_last"), Reason.NOT_FINITE)
    assert_rejected(
        read_value(math.inf, missing="hold_last", missing_values=["nan"]), Reason.NOT_FINITE
    )


def test_a_value_out_of_range_is_missing_if_the_schema_says_so() -> None:
    options: dict[str, object] = {"max": 100.0, "out_of_range": "missing"}

    held_value = read_value(999.9, missing="hold_last", **options)

    assert isinstance(held_value, float)
    assert math.isnan(held_value)
    assert_rejected(read_value(999.9, **options), Reason.NULL_VALUE, "means a missing value")
    assert read_value(99.9, **options) == 99.9


@pytest.mark.parametrize(
    ("value", "expected"), [("ON", 1.0), ("off", 0.0), (" On ", 1.0), (True, 1.0), (False, 0.0)]
)
def test_words_become_numbers(value: object, expected: float) -> None:
    words = {"on": 1, "OFF": 0, "true": 1, "false": 0}

    assert read_value(value, words=words) == expected


def test_a_text_or_boolean_without_a_rule_is_rejected_with_the_remedy() -> None:
    assert_rejected(read_value("21.5"), Reason.WRONG_TYPE, 'numbers = "text"')
    assert_rejected(read_value(True), Reason.WRONG_TYPE, "words = {true = 1, false = 0}")
    assert_rejected(read_value("off", words={"on": 1}), Reason.WRONG_TYPE)


@pytest.mark.parametrize("text", ["21.5", " 21.5 ", "+2.15e1", "21.50"])
def test_texts_of_numbers_are_read_if_the_schema_says_so(text: str) -> None:
    assert read_value(text, numbers="text") == 21.5


@pytest.mark.parametrize("text", ["21,5", "2_1", "21.5 °C", "٢١", "0x15", "21.5.0"])
def test_other_texts_are_not_numbers(text: str) -> None:
    assert_rejected(read_value(text, numbers="text"), Reason.WRONG_TYPE)


@pytest.mark.parametrize("value", [20.4, "20.4", "20.4 °C", "20.4°C", "2.04e1 °C"])
def test_a_number_with_the_declared_unit_is_read(value: object) -> None:
    assert read_value(value, numbers="unit", unit="°C") == 20.4


@pytest.mark.parametrize("text", ["20.4 °F", "°C", "20.4 °C °C", "20,4 °C"])
def test_a_number_with_another_unit_is_rejected(text: str) -> None:
    assert_rejected(read_value(text, numbers="unit", unit="°C"), Reason.WRONG_TYPE)


def ids_of(fields: list[dict[str, object]], key: object = "id") -> list[str]:
    schema = schema_of({}, key={"field": key})
    payloads = [json.dumps({"timestamp": TIME, "x": 1} | row).encode() for row in fields]
    readings, rejections = parse(payloads, schema)
    assert rejections == []
    return [readings.sensor_ids[sensor] for sensor in readings.sensor]


def test_a_whole_number_is_one_id_in_every_form() -> None:
    values: list[object] = [17, 17.0, "17", "17.0", "17.00", "-3.0", "1.5", "v1.0", "1.0.0", "10"]

    ids = ids_of([{"id": value} for value in values])

    assert ids == ["17", "17", "17", "17", "17", "-3", "1.5", "v1.0", "1.0.0", "10"]


def test_several_key_fields_are_joined() -> None:
    assert ids_of([{"line": "a", "pump": 7.0}], key=["line", "pump"]) == ["a/7"]


def test_date_and_time_in_two_fields_are_joined() -> None:
    schema = schema_of(
        {}, time={"field": ["d", "t"], "format": "%d/%m/%Y %H:%M:%S", "naive_zone": "UTC"}
    )
    payloads = [
        b'{"d": "01/02/2025", "t": "03:04:05", "x": 1}',
        b'{"d": "01/02/2025", "x": 1}',
        b'{"d": "01/02/2025", "t": "3 pm", "x": 1}',
    ]

    readings, rejections = parse(payloads, schema)

    assert readings.event_time.tolist() == [1_738_379_045_000_000]
    assert [(rejection.reason, rejection.field) for rejection in rejections] == [
        (Reason.MISSING_FIELD, "t"),
        (Reason.BAD_TIMESTAMP, "d"),
    ]


@pytest.mark.parametrize("field", ["PM2.5", r"PM2\.5"])
def test_a_field_name_may_contain_a_dot(field: str) -> None:
    payloads = [json.dumps({"timestamp": TIME, "PM2.5": value}).encode() for value in range(5)]

    readings, rejections = parse(payloads, schema_of({"field": field}))

    assert rejections == []
    assert readings.values.ravel().tolist() == [0.0, 1.0, 2.0, 3.0, 4.0]


def test_an_escaped_dot_is_never_a_nested_field() -> None:
    payload = json.dumps({"timestamp": TIME, "PM2": {"5": 1}}).encode()

    nested_readings, _ = parse([payload], schema_of({"field": "PM2.5"}))
    _, rejections = parse([payload], schema_of({"field": r"PM2\.5"}))

    assert len(nested_readings) == 1
    assert rejections[0].reason is Reason.MISSING_FIELD
