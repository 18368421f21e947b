"""A missing value has the same meaning in a file, a record, a request and a tensor."""

import csv
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sensorwatch.api.inference_protocol import decode_infer_request, rows_as_payloads
from sensorwatch.common.errors import DataError
from sensorwatch.common.files.rows_of_file import read_rows
from sensorwatch.common.rows.parsing import parse
from sensorwatch.common.rows.paths import keys_of, set_value
from sensorwatch.common.rows.readings import Readings
from sensorwatch.common.rows.rejection import Reason, Rejection
from sensorwatch.common.rows.request import split_request
from sensorwatch.common.rows.schema import Schema, schema_from_plain
from sensorwatch.common.rows.strict_parsing import collect_rows
from sensorwatch.producer.replay import replayed_records
from sensorwatch.trainer.dataset import sort_by_time
from sensorwatch.trainer.row_serialization import cells_of, payloads_of, write_readings_csv
from tests.reading_builders import row_reader

SCHEMA = schema_from_plain(
    {
        "time": {"field": "t", "format": "epoch_s"},
        "key": {"field": "id", "optional": True},
        "signals": [
            {"name": "a", "min": -1000.0, "max": 1000.0, "missing": "hold_last"},
            {"name": "b"},
        ],
        "context": [
            {"name": "c", "field": "command.c", "missing": "hold_last"},
            {"name": "d", "field": "command.d", "max": 5.0},
        ],
    }
)
GOOD_ROW: dict[str, Any] = {
    "t": 0,
    "id": "s",
    "a": 1.0,
    "b": 2.0,
    "command.c": 3.0,
    "command.d": 4.0,
}
NAN_BYTES = np.float64("nan").tobytes()

value_strategy = (
    st.none()
    | st.floats(allow_nan=False, allow_infinity=False, width=32)
    | st.integers(-2000, 2000)
    | st.sampled_from(["", "off", 1e39, -0.0, 0.1, 5.0])
)
table_strategy = st.lists(
    st.fixed_dictionaries(
        {
            name: value_strategy if "." in name or name in "ab" else st.just(GOOD_ROW[name])
            for name in GOOD_ROW
        }
    ),
    min_size=1,
    max_size=6,
)


def a_payload(**fields: Any) -> bytes:
    row: dict[str, object] = {}
    for path, value in (GOOD_ROW | fields).items():
        if value is not ...:
            set_value(row, keys_of(path), value)
    return json.dumps(row).encode()


def result_bits(result: tuple[Readings, list[Rejection]]) -> tuple[object, ...]:
    readings, rejections = result
    return (
        readings.index.tobytes(),
        readings.event_time.tobytes(),
        readings.sensor.tobytes(),
        readings.sensor_ids,
        (readings.values.shape, readings.values.tobytes()),
        (readings.context.shape, readings.context.tobytes()),
        [
            (rejection.index, fault.reason, fault.field)
            for rejection in rejections
            for fault in rejection.faults
        ],
    )


def cell_text(value: object) -> str:
    return "" if value is None else value if isinstance(value, str) else repr(value)


@settings(deadline=None)
@given(table_strategy)
def test_the_same_rows_give_the_same_bits_from_a_file_a_topic_a_request_and_tensors(
    table: list[dict[str, Any]],
) -> None:
    # JSON distinguishes an empty text from a missing value, but a CSV cell cannot.
    table = [{name: None if value == "" else value for name, value in row.items()} for row in table]
    payloads = [a_payload(**row) for row in table]
    tensors = [
        {
            "name": name,
            "datatype": "FP64",
            "shape": [len(table)],
            "data": [row[name] for row in table],
        }
        for name in GOOD_ROW
    ]
    tensor_body = json.dumps({"inputs": tensors}).encode()

    bits_from_topic = result_bits(parse(payloads, SCHEMA))

    read_cells = row_reader(SCHEMA, list(GOOD_ROW))
    lines = [read_cells([cell_text(row[name]) for name in GOOD_ROW]) for row in table]
    request_body = b'{"rows": [' + b",".join(payloads) + b"]}"
    columns = decode_infer_request(tensor_body, SCHEMA, max_rows=6)
    assert result_bits(collect_rows(lines, SCHEMA)) == bits_from_topic
    assert (
        result_bits(parse(split_request(request_body, max_rows=6).rows, SCHEMA)) == bits_from_topic
    )
    assert result_bits(parse(rows_as_payloads(columns), SCHEMA)) == bits_from_topic


@settings(deadline=None)
@given(table_strategy)
def test_only_a_missing_value_of_a_hold_last_column_is_nan(
    table: list[dict[str, Any]],
) -> None:
    readings, _ = parse([a_payload(**row) for row in table], SCHEMA)

    result = np.concatenate([readings.values, readings.context], axis=1)
    for position, row in zip(readings.index.tolist(), result, strict=True):
        expected_row = [table[position][name] for name in ("a", "b", "command.c", "command.d")]
        assert [math.isnan(value) for value in row] == [value is None for value in expected_row]
        assert all(value.tobytes() == NAN_BYTES for value in row if math.isnan(value))


@settings(deadline=None)
@given(table_strategy)
def test_an_absent_field_is_treated_like_null(table: list[dict[str, Any]]) -> None:
    hold_last_names = ("a", "command.c")
    rows_without_nulls = [
        row | {name: ... for name in hold_last_names if row[name] is None} for row in table
    ]

    assert result_bits(
        parse([a_payload(**row) for row in rows_without_nulls], SCHEMA)
    ) == result_bits(parse([a_payload(**row) for row in table], SCHEMA))


def test_the_parent_of_a_missing_field_may_be_missing_too() -> None:
    column = {"name": "c", "field": "command.c"}
    schema = schema_from_plain(SCHEMA.to_plain() | {"context": [column]})
    hold_last_schema = schema_from_plain(
        SCHEMA.to_plain() | {"context": [column | {"missing": "hold_last"}]}
    )

    commands_without_value: list[dict[str, object]] = [
        {},
        {"command": None},
        {"command": {}},
        {"command": {"c": None}},
    ]
    for command in commands_without_value:
        payload = json.dumps({"t": 0, "a": 1, "b": 2, **command}).encode()
        readings, _ = parse([payload], hold_last_schema)
        assert np.isnan(readings.context).tolist() == [[True]]
        assert parse([payload], schema)[1]
    for wrong_value in (5, "on", [1], True):
        payload = json.dumps({"t": 0, "a": 1, "b": 2, "command": wrong_value}).encode()
        (rejection,) = parse([payload], hold_last_schema)[1]
        assert (rejection.reason, rejection.field) == (Reason.MISSING_FIELD, "command.c")


@pytest.mark.parametrize(
    ("payload", "reason", "field"),
    [
        (a_payload(a="off"), Reason.WRONG_TYPE, "a"),
        (a_payload(a=""), Reason.WRONG_TYPE, "a"),
        (a_payload(a=False), Reason.WRONG_TYPE, "a"),
        (a_payload(a=[]), Reason.WRONG_TYPE, "a"),
        (a_payload(a=1000.5), Reason.OUT_OF_RANGE, "a"),
        (a_payload(a=0.5).replace(b"0.5", b"1e999"), Reason.NOT_FINITE, "a"),
        (a_payload(a=math.nan), Reason.NOT_FINITE, "a"),
        (a_payload(a=math.inf), Reason.NOT_FINITE, "a"),
        (a_payload(b=None), Reason.NULL_VALUE, "b"),
        (a_payload(b=...), Reason.MISSING_FIELD, "b"),
        (a_payload(**{"command.c": {}}), Reason.WRONG_TYPE, "command.c"),
        (a_payload(**{"command.d": None}), Reason.NULL_VALUE, "command.d"),
        (a_payload(**{"command.d": 5.5}), Reason.OUT_OF_RANGE, "command.d"),
    ],
)
def test_a_wrong_value_of_a_hold_last_column_is_rejected(
    payload: bytes, reason: Reason, field: str
) -> None:
    readings, rejections = parse([payload], SCHEMA)

    assert len(readings) == 0
    assert [(rejection.reason, rejection.field) for rejection in rejections] == [(reason, field)]


def test_an_empty_or_absent_cell_is_missing_but_a_cell_of_nan_is_not() -> None:
    read_cells = row_reader(SCHEMA, ["t", "b", "command.d", "command.c", "a"])

    readings, rejections = collect_rows(
        [read_cells(line) for line in (["0", "1", "1", "", " "], ["0", "1", "1"])], SCHEMA
    )
    _, nan_rejections = collect_rows([read_cells(["0", "1", "1", "nan", "inf"])], SCHEMA)

    assert rejections == []
    assert readings.values.tolist() == [[pytest.approx(math.nan, nan_ok=True), 1.0]] * 2
    assert np.isnan(readings.context).tolist() == [[True, False]] * 2
    assert [(fault.reason, fault.field) for fault in nan_rejections[0].faults] == [
        (Reason.NOT_FINITE, "a"),
        (Reason.NOT_FINITE, "command.c"),
    ]


def test_a_column_that_is_not_in_the_header_is_an_error() -> None:
    with pytest.raises(DataError, match=r"no column command\.c in the header"):
        row_reader(SCHEMA, ["t", "a", "b", "command.d"])


def some_rows() -> Readings:
    table: list[dict[str, Any]] = [
        {"t": 3},
        {"t": 1, "a": None},
        {"t": 2, "command.c": None, "id": "r"},
        {"t": 0},
    ]
    rows = [{**row, "b": float(number)} for number, row in enumerate(table)]
    readings, rejections = parse([a_payload(**row) for row in rows], SCHEMA)
    assert rejections == []
    return readings


def test_readings_are_selected_and_sorted_with_their_context() -> None:
    readings = some_rows()

    assert np.isnan(readings.take(slice(1, 3)).context[:, 0]).tolist() == [False, True]
    sorted_readings = sort_by_time(readings)
    assert sorted_readings.values[:, 1].tolist() == [3.0, 1.0, 2.0, 0.0]
    assert np.isnan(sorted_readings.context[:, 0]).tolist() == [False, False, True, False]
    assert np.isnan(sorted_readings.values[:, 0]).tolist() == [False, True, False, False]
    assert sorted_readings.context.flags.c_contiguous
    assert sorted_readings.values.flags.c_contiguous


def test_readings_of_a_schema_without_context_have_no_context_column() -> None:
    schema: Schema = schema_from_plain({"signals": [{"name": "x"}], "time": {"format": "epoch_s"}})

    readings, _ = parse([b'{"timestamp": 0, "x": 1}', b"{}"], schema)
    readings_of_no_rows, _ = parse([], schema)

    assert readings.context.shape == (1, 0)
    assert readings_of_no_rows.context.shape == (0, 0)
    assert readings_of_no_rows.values.shape == (0, 1)


def test_readings_that_were_written_are_read_unchanged(tmp_path: Path) -> None:
    """The trainer's checks and the producer's replay can write rows with missing values."""
    readings = some_rows()
    cells = cells_of(readings, SCHEMA)
    path = tmp_path / "rows.csv"
    write_readings_csv(path, cells, SCHEMA)

    expected_bits = result_bits((readings, []))
    assert result_bits(parse(payloads_of(cells, SCHEMA), SCHEMA)) == expected_bits
    assert result_bits(collect_rows(read_rows(path, SCHEMA), SCHEMA)) == expected_bits
    replayed_payloads = [record.value for record in replayed_records(path, SCHEMA)]
    assert result_bits(parse(replayed_payloads, SCHEMA)) == expected_bits


def test_a_null_in_a_parquet_file_is_missing_but_nan_is_rejected(tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    table = {name: [value] * 2 for name, value in GOOD_ROW.items()}
    path = tmp_path / "rows.parquet"
    parquet.write_table(pyarrow.table(table | {"a": [None, math.nan]}), path)

    readings, rejections = collect_rows(read_rows(path, SCHEMA), SCHEMA)

    assert readings.index.tolist() == [0]
    assert np.isnan(readings.values[0]).tolist() == [True, False]
    assert [(rejection.index, rejection.reason) for rejection in rejections] == [
        (1, Reason.NOT_FINITE)
    ]


def test_a_replayed_line_with_an_empty_last_cell_has_a_missing_value(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([["t", "b", "command.d", "a", "command.c"], [0, 1, 2, "", ""]])

    (record,) = replayed_records(path, SCHEMA)

    assert json.loads(record.value)["a"] is None
    assert result_bits(parse([record.value], SCHEMA)) == result_bits(
        collect_rows(read_rows(path, SCHEMA), SCHEMA)
    )
