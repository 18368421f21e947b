"""Replayed records give the same readings and rejections as the rows of their file."""

import json
from collections.abc import Iterator
from pathlib import Path

import pandas
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sensorwatch.common.errors import DataError
from sensorwatch.common.files.rows_of_file import read_rows
from sensorwatch.common.rows.parsing import parse
from sensorwatch.common.rows.readings import Readings
from sensorwatch.common.rows.rejection import Fault, Reason, Rejection
from sensorwatch.common.rows.schema import Schema, schema_from_plain
from sensorwatch.common.rows.strict_parsing import Fields, collect_rows
from sensorwatch.producer.replay import encode_fields, replayed_records
from tests.skab_files import VALVE_FILE, needs_skab

SKAB_SCHEMA = schema_from_plain(
    {
        "time": {"field": "datetime", "format": "%Y-%m-%d %H:%M:%S", "naive_zone": "UTC"},
        "signals": [{"name": "Current"}, {"name": "Volume Flow RateRMS"}],
        "csv": {"delimiter": ";"},
    }
)
BAD_LINES = """timestamp,id,deep.x1,x2,note
2025-01-01T00:00:00Z,a,1.5,2,kept
2025-01-01T00:00:01Z,b,nan,2,
2025-01-01T00:00:02Z,,-inf,1e999,
2025-01-01T00:00:03Z,7,text,,
2025-01-01T00:00:04Z,c,1,2,3,4
soon,d,0.1
2025-01-01T00:00:05Z,e,0.1,-0.0,x
"""


def a_schema(unknown_fields: str = "ignore") -> Schema:
    return schema_from_plain(
        {
            "unknown_fields": unknown_fields,
            "time": {"field": "timestamp"},
            "key": {"field": "id", "optional": True},
            "signals": [{"name": "x1", "field": "deep.x1"}, {"name": "x2"}],
        }
    )


def comparable_values(
    batch: tuple[Readings, list[Rejection]],
) -> tuple[bytes, bytes, tuple[str, ...], list[int]]:
    readings, rejections = batch
    return (
        readings.values.tobytes(),
        readings.event_time.tobytes(),
        readings.sensor_ids,
        [rejection.index for rejection in rejections],
    )


@pytest.mark.parametrize("unknown_fields", ["ignore", "reject"])
def test_replayed_records_parse_like_the_lines_of_the_file(
    tmp_path: Path, unknown_fields: str
) -> None:
    path = tmp_path / "rows.csv"
    path.write_text(BAD_LINES)
    schema = a_schema(unknown_fields)

    sent_records = list(replayed_records(path, schema))

    line_batch = collect_rows(read_rows(path, schema), schema)
    record_batch = parse([record.value for record in sent_records], schema)
    assert comparable_values(record_batch) == comparable_values(line_batch)
    assert len(sent_records) == 7
    line_with_too_many_cells = 4
    assert {rejection.index: rejection.reason for rejection in record_batch[1]} == {
        rejection.index: Reason.NOT_OBJECT
        if rejection.index == line_with_too_many_cells
        else rejection.reason
        for rejection in line_batch[1]
    }


def test_the_key_is_the_sensor_id(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text(BAD_LINES)

    record_keys = [record.key for record in replayed_records(path, a_schema())]

    assert record_keys == ["a", "b", "default", "7", "default", "d", "e"]


def test_unknown_fields_are_sent_only_if_the_schema_rejects_them(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text(BAD_LINES)

    record = next(replayed_records(path, a_schema()))
    record_with_unknown_fields = next(replayed_records(path, a_schema("reject")))

    assert json.loads(record.value) == {
        "timestamp": "2025-01-01T00:00:00Z",
        "id": "a",
        "deep": {"x1": 1.5},
        "x2": 2.0,
    }
    assert b'"note":"kept"' in record_with_unknown_fields.value


def test_a_parquet_file_gives_the_same_records_as_a_csv_file(tmp_path: Path) -> None:
    frame = pandas.DataFrame(
        {
            "timestamp": ["2025-01-01T00:00:00Z", "2025-01-01T00:00:01Z"],
            "id": ["a", "b"],
            "deep.x1": [0.1, 1 / 3],
            "x2": [1e-300, -5.0],
        }
    )
    frame.to_csv(tmp_path / "rows.csv", index=False)
    frame.to_parquet(tmp_path / "rows.parquet")

    assert list(replayed_records(tmp_path / "rows.parquet", a_schema())) == list(
        replayed_records(tmp_path / "rows.csv", a_schema())
    )


def test_the_error_names_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"missing\.csv"):
        next(replayed_records(tmp_path / "missing.csv", a_schema()))


@settings(deadline=None)
@given(
    st.fixed_dictionaries(
        {
            "timestamp": st.just("2025-01-01T00:00:00Z") | st.text(),
            "id": st.text(max_size=5),
            "deep": st.fixed_dictionaries({"x1": st.floats() | st.text() | st.none()}),
            "x2": st.floats() | st.integers(-(2**63), 2**63 - 1),
        }
    )
)
def test_any_fields_parse_the_same_after_encoding(fields: Fields) -> None:
    schema = a_schema()

    direct_batch, encoded_batch = (
        collect_rows([fields], schema),
        parse([encode_fields(fields)], schema),
    )

    assert comparable_values(encoded_batch) == comparable_values(direct_batch)
    assert [(rejection.reason, rejection.field) for rejection in encoded_batch[1]] == [
        (rejection.reason, rejection.field) for rejection in direct_batch[1]
    ]


def skab_rows() -> Iterator[Fields | Fault]:
    for path in sorted(VALVE_FILE.parent.glob("*.csv")):
        yield from read_rows(path, SKAB_SCHEMA)


@needs_skab
def test_every_row_of_the_skab_valve_files_is_replayed() -> None:
    values = [
        record.value
        for path in sorted(VALVE_FILE.parent.glob("*.csv"))
        for record in replayed_records(path, SKAB_SCHEMA)
    ]

    readings, rejections = parse(values, SKAB_SCHEMA)

    line_count = sum(
        len(path.read_text().splitlines()) - 1 for path in VALVE_FILE.parent.glob("*.csv")
    )
    assert len(values) == len(readings) == line_count > 0
    assert rejections == []
    expected, _ = collect_rows(skab_rows(), SKAB_SCHEMA)
    assert readings.values.tobytes() == expected.values.tobytes()
