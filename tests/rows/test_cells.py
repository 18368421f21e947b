"""A row of CSV cells and the same row in JSON give the same reading or rejection."""

import json
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sensorwatch.common.errors import DataError
from sensorwatch.common.rows.parsing import parse
from sensorwatch.common.rows.readings import Readings
from sensorwatch.common.rows.rejection import Fault, Reason
from sensorwatch.common.rows.schema import Schema, schema_from_plain
from sensorwatch.common.rows.strict_parsing import Fields, collect_rows
from tests.reading_builders import row_reader

HEADER = ["timestamp", "sensor_id", "x1", "x2"]
GOOD_CELLS = ["2025-01-01T00:00:00Z", "a", "1", "2"]

instant_texts = st.datetimes().map(lambda instant: instant.isoformat() + "Z")
sensor_ids = st.text(min_size=1, max_size=20) | st.integers(-(2**63) + 1, 2**63 - 1)
number_strategy = (
    st.floats(allow_nan=False, allow_infinity=False)
    | st.integers(-(10**30), 10**30)
    | st.sampled_from([0.1, -0.0, 5e-324, 1.7976931348623157e308, 3.4028235677973366e38])
)
row_strategy = st.tuples(instant_texts, sensor_ids, number_strategy, number_strategy)


def a_schema(**changes: object) -> Schema:
    default_fields = {
        "unknown_fields": "ignore",
        "time": {"field": "timestamp", "naive_zone": "UTC"},
        "key": {"field": "sensor_id", "optional": True},
        "signals": [{"name": "x1"}, {"name": "x2"}],
    }
    return schema_from_plain(default_fields | changes)


def reasons_and_fields(cells: list[str], schema: Schema | None = None) -> list[tuple[Reason, str]]:
    schema = schema or a_schema()
    _, rejections = collect_rows([row_reader(schema, HEADER)(cells)], schema)
    return [(fault.reason, fault.field) for rejection in rejections for fault in rejection.faults]


def reading_bits(readings: Readings) -> tuple[object, ...]:
    return (
        readings.index.tobytes(),
        readings.event_time.tobytes(),
        readings.sensor.tobytes(),
        readings.sensor_ids,
        readings.values.tobytes(),
    )


@settings(deadline=None)
@given(st.lists(row_strategy, max_size=5))
def test_the_same_row_gives_the_same_bits_and_reasons_as_cells_and_as_json(
    rows: list[tuple[str, str | int, float, float]],
) -> None:
    schema = a_schema()
    read_cells = row_reader(schema, HEADER)

    json_readings, json_rejections = parse(
        [json.dumps(dict(zip(HEADER, row, strict=True))).encode() for row in rows], schema
    )
    cell_readings, cell_rejections = collect_rows(
        [read_cells([row[0], str(row[1]), repr(row[2]), repr(row[3])]) for row in rows], schema
    )

    assert reading_bits(cell_readings) == reading_bits(json_readings)
    assert [
        (rejection.index, rejection.reason, rejection.field) for rejection in cell_rejections
    ] == [(rejection.index, rejection.reason, rejection.field) for rejection in json_rejections]


@pytest.mark.parametrize(
    ("time_format", "instant"),
    [("epoch_s", 1_700_000_000), ("epoch_s", 1_700_000_000.25), ("epoch_ms", 1_700_000_000_123)],
)
def test_an_epoch_cell_gives_the_same_instant_as_a_json_number(
    time_format: str, instant: float
) -> None:
    schema = a_schema(time={"field": "timestamp", "format": time_format})

    cell_readings, _ = collect_rows(
        [row_reader(schema, HEADER)([repr(instant), "a", "1", "2"])], schema
    )
    json_readings, _ = parse(
        [json.dumps({"timestamp": instant, "sensor_id": "a", "x1": 1, "x2": 2}).encode()], schema
    )

    assert len(json_readings) == 1
    assert reading_bits(cell_readings) == reading_bits(json_readings)


@pytest.mark.parametrize(
    ("cell", "reason"),
    [
        ("", Reason.NULL_VALUE),
        ("  ", Reason.NULL_VALUE),
        ("nan", Reason.NOT_FINITE),
        ("NaN", Reason.NOT_FINITE),
        ("-inf", Reason.NOT_FINITE),
        ("1e999", Reason.NOT_FINITE),
        ("1e39", Reason.NOT_FINITE),
        ("1_000", Reason.WRONG_TYPE),
        ("\u0661", Reason.WRONG_TYPE),
        ("1,5", Reason.WRONG_TYPE),
        ("0x10", Reason.WRONG_TYPE),
        ("true", Reason.WRONG_TYPE),
        ("null", Reason.WRONG_TYPE),
    ],
)
def test_a_cell_that_is_not_a_number_has_the_same_reason_as_in_json(
    cell: str, reason: Reason
) -> None:
    assert reasons_and_fields(["2025-01-01T00:00:00Z", "a", cell, "2"]) == [(reason, "x1")]


def test_a_short_line_lacks_its_last_fields() -> None:
    assert reasons_and_fields(GOOD_CELLS[:3]) == [(Reason.MISSING_FIELD, "x2")]


def test_a_line_with_more_cells_than_the_header_is_refused() -> None:
    """An unquoted decimal comma shifts later cells: `1,5,2` must not be read as x1=1 and x2=5."""
    fields = row_reader(a_schema(), HEADER)([*GOOD_CELLS[:2], "1", "5", "2"])

    assert isinstance(fields, Fault)
    assert fields.reason is Reason.UNKNOWN_FIELD


def test_empty_cells_after_the_last_column_are_ignored() -> None:
    assert reasons_and_fields([*GOOD_CELLS, ""]) == []


def test_an_empty_key_cell_is_an_absent_key() -> None:
    cells = ["2025-01-01T00:00:00Z", "", "1", "2"]
    schema_with_required_key = a_schema(key={"field": "sensor_id", "optional": False})

    assert reasons_and_fields(cells) == []
    assert reasons_and_fields(cells, schema_with_required_key) == [
        (Reason.MISSING_FIELD, "sensor_id")
    ]


@pytest.mark.parametrize("time_format", ["rfc3339", "epoch_s", "%Y"])
def test_an_empty_time_cell_is_null(time_format: str) -> None:
    schema = a_schema(time={"field": "timestamp", "format": time_format})

    assert reasons_and_fields(["", "a", "1", "2"], schema) == [(Reason.NULL_VALUE, "timestamp")]


def test_a_strptime_time_of_digits_stays_text() -> None:
    schema = a_schema(time={"field": "timestamp", "format": "%Y%m%d", "naive_zone": "UTC"})

    assert reasons_and_fields(["20250101", "a", "1", "2"], schema) == []


def test_a_column_named_like_a_dotted_path_reaches_into_the_nested_field() -> None:
    schema = a_schema(
        signals=[
            {"name": "x1", "field": "payload.temp"},
            {"name": "x2", "field": "payload.deep.rate"},
        ]
    )
    header = ["timestamp", "sensor_id", "payload.temp", "payload.deep.rate"]

    fields = row_reader(schema, header)(GOOD_CELLS)

    assert fields == {
        "timestamp": GOOD_CELLS[0],
        "sensor_id": "a",
        "payload.temp": 1.0,
        "payload.deep.rate": 2.0,
    }
    readings, _ = collect_rows([fields], schema)
    assert readings.values.tolist() == [[1.0, 2.0]]


def test_columns_that_are_not_in_the_schema_are_read() -> None:
    strict_schema = a_schema(unknown_fields="reject")

    fields = row_reader(strict_schema, [*HEADER, "note"])([*GOOD_CELLS, "7"])
    _, rejections = collect_rows([fields], strict_schema)

    assert isinstance(fields, dict)
    assert fields["note"] == "7"
    assert rejections[0].reason is Reason.UNKNOWN_FIELD


def test_the_error_names_missing_and_present_columns() -> None:
    with pytest.raises(DataError, match=r"no column x2 in the header; found timestamp, x1"):
        row_reader(a_schema(), ["timestamp", "x1"])


def test_a_duplicate_column_is_refused() -> None:
    with pytest.raises(DataError, match="contains the column x1 more than once"):
        row_reader(a_schema(), [*HEADER, "x1"])


def test_a_column_with_the_whole_name_is_read_instead_of_a_nested_field() -> None:
    schema = a_schema(key=None, signals=[{"name": "x1", "field": "payload.temp"}])
    time = "2025-01-01T00:00:00Z"
    records: list[Fields] = [
        {"timestamp": time, "payload.temp": 1.0, "payload": {"temp": 2.0}},
        {"timestamp": time, "payload": {"temp": 2.0}},
    ]

    readings, _ = collect_rows(records, schema)

    assert readings.values.tolist() == [[1.0], [2.0]]


@settings(deadline=None)
@given(st.lists(st.text(max_size=30), max_size=6))
def test_any_cells_give_one_reading_or_one_rejection(cells: list[str]) -> None:
    schema = a_schema()

    readings, rejections = collect_rows([row_reader(schema, HEADER)(cells)], schema)

    assert len(readings) + len(rejections) == 1
    assert all(math.isfinite(value) for value in readings.values.ravel())


def test_the_message_about_a_long_header_is_shortened() -> None:
    with pytest.raises(DataError) as error:
        row_reader(a_schema(), [f"column{number}" for number in range(60)])

    message = str(error.value)
    assert message.count("(") == message.count(")")
    assert "found column0, column1" in message
    assert len(message) < 500
