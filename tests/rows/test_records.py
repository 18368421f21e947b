"""A record is one row, or has an array of rows."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sensorwatch.common.errors import SchemaError
from sensorwatch.common.files.rows_of_file import read_batches, read_numbered_rows
from sensorwatch.common.rows.absorption import ABSORBED_REASONS
from sensorwatch.common.rows.batches import join_batches
from sensorwatch.common.rows.parsing import parse
from sensorwatch.common.rows.records import (
    _parse_strictly,
    parse_records,
    parse_rows,
    parse_without_joining,
)
from tests.rows.array_rows import TIME, array_schema, elements, parsed, rows_of, rows_of_readings


@pytest.mark.parametrize(
    ("path", "record"),
    [
        ("values[*]", {"pump": "p1", "values": elements(1, 2)}),
        ("d.values[*]", {"pump": "p1", "d": {"values": elements(1, 2)}}),
        (r"d\.values[*]", {"pump": "p1", "d.values": elements(1, 2)}),
        ("groups[*].values[*]", {"groups": [{"pump": "p1", "values": elements(1, 2)}]}),
        (
            "groups[*].values[*]",
            {"pump": "p1", "groups": [{"values": elements(1)}, {"values": elements(1, 2)[1:]}]},
        ),
        ("[*]", [{"pump": "p1", **element} for element in elements(1, 2)]),
        ("[*].values[*]", [{"pump": "p1", "values": elements(1, 2)}]),
    ],
)
def test_the_rows_of_an_array_have_the_fields_around_them(path: str, record: object) -> None:
    result = parsed(record, schema=array_schema(path))

    assert rows_of(result) == [(0, 0, "p1", 1.0), (0, 1, "p1", 2.0)]
    assert np.diff(result.readings.event_time).tolist() == [1_000_000]
    assert (result.rejections, len(result.absorbed)) == ([], 0)


def test_the_field_of_an_element_wins_over_the_same_field_around_it() -> None:
    record = {"pump": "p1", "flow": 9, "values": [{"pump": "p2", **elements(1)[0]}, *elements(2)]}

    assert rows_of(parsed(record)) == [(0, 0, "p2", 1.0), (0, 1, "p1", 2.0)]


def test_an_object_of_an_element_hides_the_same_object_around_it() -> None:
    schema = array_schema(key={"field": "tags.host"})
    record = {"tags": {"host": "outer"}, "values": [{"tags": {"host": "own"}, **elements(1)[0]}]}

    assert rows_of(parsed(record, schema=schema)) == [(0, 0, "own", 1.0)]
    record["values"] = elements(2)
    assert rows_of(parsed(record, schema=schema)) == [(0, 0, "outer", 2.0)]


def test_a_record_without_the_array_is_one_row() -> None:
    flat_row = {"pump": "p1", **elements(3)[0]}

    assert rows_of(parsed(flat_row, {"pump": "p1", "values": elements(1)})) == [
        (0, -1, "p1", 3.0),
        (1, 0, "p1", 1.0),
    ]


def test_elements_that_are_arrays_have_numbered_fields() -> None:
    schema = array_schema(time={"field": "0"}, signals=[{"name": "flow", "field": "1"}])
    record = {"pump": "p1", "values": [[TIME.format(0), 1], [TIME.format(1), 2]]}

    assert rows_of(parsed(record, schema=schema)) == [(0, 0, "p1", 1.0), (0, 1, "p1", 2.0)]


def test_bad_elements_become_one_rejection_and_the_others_are_read() -> None:
    values = [*elements(1, "x", 2), 7, {"at": TIME.format(4)}]

    result = parsed({"pump": "p1", "values": elements(1)}, {"pump": "p1", "values": values})

    assert rows_of(result) == [(0, 0, "p1", 1.0), (1, 0, "p1", 1.0), (1, 2, "p1", 2.0)]
    (rejection,) = result.rejections
    assert (rejection.index, rejection.rows) == (1, (1, 3, 4))
    assert [(fault.reason, fault.field) for fault in rejection.faults] == [
        ("wrong_type", "[1].flow"),
        ("not_object", "[3]"),
        ("missing_field", "[4].flow"),
    ]


@pytest.mark.parametrize(
    ("record", "reason", "detail"),
    [
        ({"pump": "p1", "values": "none"}, "wrong_type", "found 'none', wanted an array"),
        ({"pump": "p1", "values": None}, "wrong_type", "found None, wanted an array"),
        ({"pump": "p1", "values": elements(*range(5))}, "too_large", "more than 4 rows"),
        ([], "not_object", "found [], wanted an object"),
    ],
)
def test_a_record_whose_rows_cannot_be_read_is_rejected_as_a_whole(
    record: object, reason: str, detail: str
) -> None:
    result = parsed(record, schema=array_schema(max_rows_per_record=4))

    (rejection,) = result.rejections
    assert len(result.readings) == 0
    assert (rejection.reason, rejection.rows) == (reason, ())
    assert detail in rejection.detail


def test_an_inner_array_that_is_missing_rejects_only_its_part() -> None:
    record = {"pump": "p1", "groups": [{"values": elements(1)}, {"other": 1}, {"values": 2}]}

    result = parsed(record, schema=array_schema("groups[*].values[*]"))

    assert rows_of(result) == [(0, 0, "p1", 1.0)]
    assert [fault.detail for fault in result.rejections[0].faults] == [
        "found no field, wanted an array",
        "found 2, wanted an array",
    ]
    assert result.rejections[0].rows == (1, 2)


def test_a_record_with_an_empty_array_is_absorbed() -> None:
    result = parsed({"pump": "p1", "values": []}, {"pump": "p1", "values": elements(1)})

    assert rows_of(result) == [(1, 0, "p1", 1.0)]
    assert [ABSORBED_REASONS[number - 1] for number in result.absorbed.reason] == ["no_rows"]


def test_many_rows_with_many_columns_are_refused_before_they_need_memory() -> None:
    schema = array_schema(signals=[{"name": f"s{number}"} for number in range(1_000)])

    (rejection,) = parsed({"pump": "p1", "values": [{}] * 1_001}, schema=schema).rejections

    assert rejection.detail == "more than 1000 rows, which is the maximum for one record"


def test_a_rejection_has_a_limited_number_of_faults() -> None:
    (rejection,) = parsed({"values": [{}] * 9_000}).rejections

    assert (len(rejection.faults), len(rejection.rows)) == (100, 9_000)


def test_ignored_records_and_tombstones_are_absorbed() -> None:
    schema = array_schema(ignore={"type": "heartbeat"}, tombstones="ignore")
    payloads = [b'{"type": "heartbeat", "values": [{}]}', None, b"{"]

    result = parse_records(payloads, schema)

    assert result.absorbed.index.tolist() == [0, 1]
    assert [rejection.index for rejection in result.rejections] == [2]


def test_rows_are_checked_against_the_receive_time_of_their_record() -> None:
    schema = array_schema(time={"field": "at", "max_future_seconds": 0})
    record = {"pump": "p1", "values": elements(1, 2)}
    first_second = 1_735_689_600_000_000

    result = parsed(
        record, record, schema=schema, received=np.asarray([first_second, first_second + 10**6])
    )

    assert [row[:2] for row in rows_of(result)] == [(0, 0), (1, 0), (1, 1)]
    assert (result.rejections[0].index, result.rejections[0].rows) == (0, (1,))


element_parts = st.fixed_dictionaries(
    {},
    optional={
        "at": st.sampled_from([TIME.format(1), TIME.format(2), "x", None]),
        "pump": st.sampled_from(["p1", "p2", 3, None]),
        "flow": st.sampled_from([1, 2.5, "x", None, 1e308]),
        "heat": st.sampled_from([1, None]),
        "more": st.sampled_from([{"a": [1]}, "\\"]),
    },
)
record_parts: st.SearchStrategy[dict[str, object]] = st.fixed_dictionaries(
    {"values": st.lists(element_parts | st.just(7) | st.just([1]), max_size=4)},
    optional={
        "pump": st.sampled_from(["p1", "p9", ["p"], None]),
        "flow": st.sampled_from([5, None]),
        "heat": st.just(9),
        "at": st.just(TIME.format(3)),
        "kind": st.sampled_from(["heartbeat", "row"]),
        "d.values": st.just([{}]),
    },
)


@given(
    st.lists(record_parts, max_size=6),
    st.booleans(),
    st.booleans(),
    st.sampled_from(["values[*]", "d.values[*]"]),
)
def test_the_kernel_and_the_strict_parser_agree_about_arrays(
    records: list[dict[str, object]], is_optional: bool, rejects_unknown: bool, path: str
) -> None:
    schema = array_schema(
        path,
        key={"field": "pump", "optional": is_optional},
        signals=[{"name": "flow"}, {"name": "heat", "missing": "hold_last"}],
        unknown_fields="reject" if rejects_unknown else "ignore",
        ignore={"kind": "heartbeat"},
    )
    if path == "d.values[*]":
        records = [
            {name: value for name, value in record.items() if name != "values"}
            | {"d": {"values": record["values"]}}
            for record in records
        ]
    payloads = [json.dumps(record).encode() for record in records]
    payloads.append(json.dumps(records).encode()[:-1])

    result = parse_without_joining(payloads, schema)
    strict = _parse_strictly(payloads, schema, None, None)

    assert result.readings.row_in_record is not None
    assert strict.readings.row_in_record is not None
    assert result.readings.row_in_record.tolist() == strict.readings.row_in_record.tolist()
    assert rows_of_readings(result.readings) == rows_of_readings(strict.readings)
    assert result.rejections == strict.rejections
    assert result.absorbed.index.tolist() == strict.absorbed.index.tolist()
    assert result.absorbed.reason.tolist() == strict.absorbed.reason.tolist()


flows = st.lists(st.integers(0, 9) | st.just("bad"), max_size=4)


@given(st.lists(flows, min_size=1, max_size=6))
def test_rows_in_arrays_equal_the_same_rows_as_records(batches: list[list[object]]) -> None:
    records = [{"pump": f"p{len(batch)}", "values": elements(*batch)} for batch in batches]
    flat = [{"pump": f"p{len(batch)}", **row} for batch in batches for row in elements(*batch)]
    payloads = [json.dumps(record).encode() for record in records]

    readings, rejections = parse_rows(payloads, array_schema())
    expected, expected_rejections = parse(
        [json.dumps(row).encode() for row in flat], array_schema(rows="")
    )

    assert readings.index.tolist() == expected.index.tolist()
    assert readings.values.tolist() == expected.values.tolist()
    assert [readings.sensor_ids[number] for number in readings.sensor] == [
        expected.sensor_ids[number] for number in expected.sensor
    ]
    assert rejections == expected_rejections


def test_the_same_schema_reads_arrays_in_json_files(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    lines = [{"pump": "p1", "values": elements(1, 2)}, {"pump": "p2", **elements(3)[0]}]
    path.write_text("\n".join(map(json.dumps, lines)))

    readings, rejections = join_batches(read_batches(path, array_schema()), array_schema())

    assert (readings.index.tolist(), rejections) == ([0, 1, 2], [])
    assert readings.values[:, 0].tolist() == [1, 2, 3]
    assert [number for number, _ in read_numbered_rows(path, array_schema())] == [1, 1, 2]


def test_rows_without_an_array_are_read_from_csv(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text(f"at,pump,flow\n{TIME.format(0)},p1,1.5\n")

    readings, _ = join_batches(read_batches(path, array_schema()), array_schema())

    assert readings.values.tolist() == [[1.5]]


@pytest.mark.parametrize("path", ["values", "values[0]", "values[*].x"])
def test_a_path_that_names_no_array_is_refused(path: str) -> None:
    with pytest.raises(SchemaError, match=r"wanted the path of an array, which ends with \[\*\]"):
        array_schema(path)


def test_true_is_no_sensor_id_beside_a_sensor_with_the_id_1() -> None:
    records = [{"pump": pump, "values": elements(1)} for pump in (1, True, 1.0)]

    result = parsed(*records)

    assert [(row[0], row[2]) for row in rows_of(result)] == [(0, "1"), (2, "1")]
    assert [rejection.reason for rejection in result.rejections] == ["bad_key"]
