"""Records in long form: one name and one value each, which are joined to rows."""

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import pandas
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sensorwatch.common.errors import DataError, SchemaError
from sensorwatch.common.files.rows_of_file import read_batches, read_numbered_batches
from sensorwatch.common.rows.absorption import ABSORBED_REASONS
from sensorwatch.common.rows.batches import join_batches
from sensorwatch.common.rows.open_rows import OpenRows
from sensorwatch.common.rows.readings import Readings
from sensorwatch.common.rows.records import ParsedRecords, parse_records, parse_rows
from sensorwatch.common.rows.schema import Schema, schema_from_plain
from tests.reading_builders import row_values

MINUTE_US = 60_000_000
START = 1_735_689_600_000_000


def long_schema(*, bucket_seconds: float | None = None, grace: float = 0.0, **parts: Any) -> Schema:
    long_form = {"name": "metric", "value": "v", "grace_seconds": grace}
    if bucket_seconds is not None:
        long_form["bucket_seconds"] = bucket_seconds
    plain: dict[str, Any] = {
        "long_form": long_form,
        "time": {"field": "at", "format": "epoch_s"},
        "key": {"field": "pump"},
        "signals": [
            {"name": "flow", "max": 100.0},
            {"name": "heat", "field": "temp", "missing": "hold_last", "words": {"off": 0}},
        ],
    }
    return schema_from_plain(plain | parts)


def value(second: float, metric: object, number: object, pump: str = "p1") -> dict[str, object]:
    return {"at": START // 1_000_000 + second, "pump": pump, "metric": metric, "v": number}


def payloads_of(*records: object) -> list[bytes | None]:
    return [json.dumps(record).encode() for record in records]


def rows_of(readings: Readings) -> list[tuple[float, str, list[float | None]]]:
    """Return second, sensor and values of each reading; None for a missing value."""
    return [((time - START) / 1e6, sensor, values) for time, sensor, values in row_values(readings)]


def absorbed_of(parsed: ParsedRecords) -> dict[int, str]:
    reasons = [ABSORBED_REASONS[number - 1].value for number in parsed.absorbed.reason.tolist()]
    return dict(zip(parsed.absorbed.index.tolist(), reasons, strict=True))


def test_without_buckets_the_values_of_one_record_and_time_form_a_row() -> None:
    schema = long_schema(rows="metrics[*]")
    record = {
        "metrics": [
            value(0, "flow", 1),
            value(0, "temp", 20),
            value(60, "temp", 21),
            value(0, "flow", 3, "p2"),
        ]
    }

    parsed = parse_records(payloads_of(record, record), schema)

    rows = [(0, "p1", [1, 20]), (60, "p1", [None, 21]), (0, "p2", [3, None])]
    assert rows_of(parsed.readings) == rows * 2
    assert parsed.readings.row_in_record is not None
    assert parsed.readings.row_in_record.tolist() == [0, 1, 2] * 2
    assert parsed.readings.index.tolist() == [0] * 3 + [1] * 3
    assert (parsed.rejections, len(parsed.absorbed)) == ([], 0)


def test_bad_values_are_rejected_with_their_place_and_the_others_are_joined() -> None:
    schema = long_schema(rows="metrics[*]", unknown_fields="reject")
    metrics = [
        value(0, "flow", 1),
        value(0, "flow", "x"),
        value(0, "flow", 1e3),
        value(0, "pressure", 1),
        value(0, 7, 1),
        value(0, "temp", None),
        {"metric": "flow", "v": 1},
    ]

    parsed = parse_records(payloads_of({"metrics": metrics}), schema)

    assert rows_of(parsed.readings) == [(0, "p1", [1, None])]
    (rejection,) = parsed.rejections
    assert rejection.rows == (1, 2, 3, 4, 6)
    assert [(fault.reason, fault.field) for fault in rejection.faults] == [
        ("wrong_type", "[1].v"),
        ("out_of_range", "[2].v"),
        ("unknown_field", "[3].metric"),
        ("wrong_type", "[4].metric"),
        ("missing_field", "[6].at"),
        ("missing_field", "[6].pump"),
    ]
    assert "flow: found 'x'" in rejection.detail


def test_a_value_of_bad_quality_is_missing() -> None:
    schema = long_schema(rows="metrics[*]", defaults={"quality": "q"})
    metrics = [
        value(0, "flow", 1) | {"q": 192},
        value(0, "temp", 20) | {"q": "bad"},
        value(0, "flow", 7) | {"q": 0},
    ]

    parsed = parse_records(payloads_of({"metrics": metrics}), schema)

    assert rows_of(parsed.readings) == [(0, "p1", [1, None])]
    assert [(fault.reason, fault.field) for fault in parsed.rejections[0].faults] == [
        ("null_value", "[2].v")
    ]


def test_a_row_with_one_column_per_quantity_is_read_too() -> None:
    row = {"at": START // 1_000_000, "pump": "p1", "flow": 1.0, "temp": "off"}

    parsed = parse_records(payloads_of(row), long_schema(bucket_seconds=60))

    assert rows_of(parsed.readings) == [(0, "p1", [1, 0])]


def test_a_bucket_is_closed_by_the_event_time_of_the_stream() -> None:
    schema, open_rows = long_schema(bucket_seconds=60), OpenRows()
    records = [
        value(1, "flow", 1),
        value(59, "temp", 20),
        value(30, "flow", 2, "p2"),
        value(50, "flow", 9),  # a later value of the same quantity replaces it
        value(119, "temp", 30, "p2"),
        value(58, "temp", 99),
        value(130, "pressure", 5),
        value(130, "flow", 5),
    ]

    parsed = parse_records(payloads_of(*records), schema, open_rows=open_rows)

    assert rows_of(parsed.readings) == [
        (0, "p1", [9, 20]),
        (0, "p2", [2, None]),
        (60, "p2", [None, 30]),
    ]
    assert parsed.readings.index.tolist() == [4, 4, 7]
    assert parsed.readings.row_in_record is not None
    assert parsed.readings.row_in_record.tolist() == [0, 1, 0]
    assert absorbed_of(parsed) == {
        **dict.fromkeys(range(4), "joined"),
        6: "filtered",
    }
    (rejection,) = parsed.rejections
    assert (rejection.index, rejection.reason, rejection.rows) == (5, "late", ())
    assert [(row.time - START, row.sensor_id, row.values) for row in open_rows.rows] == [
        (2 * MINUTE_US, "p1", {"flow": 5})
    ]


def test_a_row_waits_for_the_grace_time() -> None:
    schema, open_rows = long_schema(bucket_seconds=60, grace=5), OpenRows()
    first = [value(0, "flow", 1), value(62, "flow", 2, "p2"), value(59, "temp", 20)]

    parsed = parse_records(payloads_of(*first), schema, open_rows=open_rows)
    later = parse_records(payloads_of(value(65, "flow", 2)), schema, open_rows=open_rows)

    assert rows_of(parsed.readings) == []
    assert rows_of(later.readings) == [(0, "p1", [1, 20])]


def test_the_number_of_open_rows_is_limited() -> None:
    schema, open_rows = long_schema(bucket_seconds=60), OpenRows()
    records = [value(second, "flow", second, f"p{second}") for second in range(5)]

    parsed = parse_records(payloads_of(*records), schema, open_rows=open_rows, max_open_rows=3)

    assert [row[1] for row in rows_of(parsed.readings)] == ["p0", "p1"]
    assert len(open_rows) == 3


values = st.builds(
    value,
    st.integers(0, 400),
    st.sampled_from(["flow", "temp", "pressure"]),
    st.integers(0, 120),
    st.sampled_from(["p1", "p2", "p3"]),
)


@given(st.lists(values, max_size=40), st.lists(st.integers(0, 40), max_size=5))
def test_the_size_of_micro_batches_changes_nothing(
    records: list[dict[str, object]], ends: list[int]
) -> None:
    schema, payloads = long_schema(bucket_seconds=60, grace=20), payloads_of(*records)
    expected = parse_records(payloads, schema, open_rows=OpenRows())

    rows, rejected, open_rows = [], [], OpenRows()
    absorbed: dict[int, str] = {}
    bounds = sorted({0, len(records), *(end for end in ends if end < len(records))})
    for start, end in pairwise(bounds):
        parsed = parse_records(payloads[start:end], schema, open_rows=open_rows)
        rows += rows_of(parsed.readings)
        rejected += [start + rejection.index for rejection in parsed.rejections]
        absorbed |= {start + index: reason for index, reason in absorbed_of(parsed).items()}

    assert rows == rows_of(expected.readings)
    assert rejected == [rejection.index for rejection in expected.rejections]
    assert absorbed == absorbed_of(expected)
    outcomes = {*expected.readings.index.tolist(), *rejected, *absorbed}
    assert outcomes == set(range(len(records)))


@given(st.lists(values, max_size=40))
def test_in_time_order_a_topic_and_a_file_give_the_same_rows(
    records: list[dict[str, object]],
) -> None:
    schema, open_rows = long_schema(bucket_seconds=60), OpenRows()
    records = sorted(records, key=lambda record: str(record["at"]))
    payloads = payloads_of(*records)

    parsed = parse_records(payloads, schema, open_rows=open_rows)
    last_rows = open_rows.close_all()
    readings, _ = parse_rows(payloads, schema)

    complete = rows_of(parsed.readings) + [
        (
            (row.time - START) / 1e6,
            row.sensor_id,
            [row.values.get("flow"), row.values.get("heat")],
        )
        for row in last_rows
    ]
    assert sorted(complete, key=str) == sorted(rows_of(readings), key=str)


TIDY = "at,pump,metric,v\n{0},p1,flow,1\n{0},p2,flow,2\n{0},p1,temp,off\n{1},p1,temp,21\n"


def test_tables_in_long_form_are_read(tmp_path: Path) -> None:
    text = TIDY.format(START // 1_000_000, START // 1_000_000 + 60)
    path = tmp_path / "rows.csv"
    path.write_text(text + f"{START // 1_000_000},p2,temp,hot\n")
    parquet = tmp_path / "rows.parquet"
    pandas.read_csv(path).to_parquet(parquet)
    expected = [(0, "p1", [1, 0]), (0, "p2", [2, None]), (60, "p1", [None, 21])]

    readings, rejections = join_batches(read_batches(path, long_schema()), long_schema())
    ((numbers, _),) = read_numbered_batches(path, long_schema())

    assert rows_of(readings) == expected
    assert [fault.detail for fault in rejections[0].faults] == [
        "heat: found 'hot', wanted a number"
    ]
    assert numbers == [2, 3, 5, 6]
    text_schema = long_schema(
        signals=[
            {"name": "flow", "numbers": "text"},
            {"name": "heat", "field": "temp", "numbers": "text", "words": {"off": 0}},
        ]
    )
    assert rows_of(join_batches(read_batches(parquet, text_schema), text_schema)[0]) == expected


def test_a_table_with_one_column_per_quantity_is_read_too(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text(f"at,pump,flow,temp\n{START // 1_000_000},p1,1,20\n")

    readings, _ = join_batches(read_batches(path, long_schema()), long_schema())

    assert rows_of(readings) == [(0, "p1", [1, 20])]


def test_a_table_of_another_form_names_the_missing_columns(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text("at,pump,reading\n1,p1,2\n")

    with pytest.raises(DataError, match="metric"):
        list(read_batches(path, long_schema()))


@pytest.mark.parametrize(
    ("long_form", "text"),
    [
        ({"name": "metric"}, "value"),
        ({"name": "metric", "value": "v", "bucket_seconds": 0}, "bucket_seconds"),
        ({"name": "metric", "value": "v", "bucket": 60}, "bucket_seconds"),
    ],
)
def test_a_wrong_declaration_is_refused(long_form: dict[str, object], text: str) -> None:
    with pytest.raises(SchemaError, match=text):
        long_schema(long_form=long_form)
