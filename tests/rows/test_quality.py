"""A value whose quality flag is not good counts as missing, in every form of a row."""

import json
from pathlib import Path

import numpy as np
import pytest

from sensorwatch.api.inference_protocol import decode_infer_request, rows_as_payloads
from sensorwatch.api.row_json_schema import row_schema
from sensorwatch.common.errors import DataError, SchemaError
from sensorwatch.common.files.rows_of_file import read_batches
from sensorwatch.common.rows.batches import join_batches
from sensorwatch.common.rows.parsing import parse
from sensorwatch.common.rows.readings import Readings
from sensorwatch.common.rows.rejection import Reason, Rejection
from sensorwatch.common.rows.schema import Schema, schema_from_plain
from sensorwatch.producer.replay import replayed_records
from sensorwatch.trainer.row_serialization import cells_of, payloads_of, write_readings_csv

TIME = {"field": "t", "format": "epoch_s"}
SCHEMA = schema_from_plain(
    {
        "time": TIME,
        "unknown_fields": "reject",
        "signals": [
            {"name": "a", "quality": "a_quality", "missing": "hold_last"},
            {"name": "b", "quality": "b_quality", "good_quality": [0, "Fine"]},
        ],
    }
)
FLAGS = [
    ("Good", 0),
    ("192", "0.0"),
    (192.0, "FINE "),
    ("", None),
    (True, 0),
    ("bad", 0),
    (0, 0),
    (False, 0),
    ("good", 1),
    ("good", "good"),
]
IS_A_MISSING = [False, False, False, False, False, True, True, True]


def test_flags_have_the_same_meaning_in_json_csv_parquet_and_tensors(tmp_path: Path) -> None:
    rows = [
        {"t": second, "a": 1.5, "a_quality": a, "b": 2.5, "b_quality": b}
        for second, (a, b) in enumerate(FLAGS)
    ]
    payloads = [json.dumps(row).encode() for row in rows]
    csv = tmp_path / "rows.csv"
    cells = [["" if value is None else str(value) for value in row.values()] for row in rows]
    csv.write_text("\n".join([",".join(rows[0]), *map(",".join, cells)]) + "\n")
    tensors = {
        "inputs": [
            {
                "name": name,
                "datatype": "BYTES",
                "shape": [len(rows)],
                "data": [row[name] for row in rows],
            }
            for name in rows[0]
        ]
    }
    request = decode_infer_request(json.dumps(tensors).encode(), SCHEMA, max_rows=100)

    results = [
        parse(payloads, SCHEMA),
        join_batches(read_batches(csv, SCHEMA), SCHEMA),
        parse([record.value for record in replayed_records(csv, SCHEMA)], SCHEMA),
        parse(rows_as_payloads(request), SCHEMA),
        join_batches(read_batches(_parquet(tmp_path, rows), SCHEMA), SCHEMA),
    ]

    for readings, rejections in results:
        assert np.isnan(readings.values[:, 0]).tolist() == IS_A_MISSING
        assert readings.values[:, 1].tolist() == [2.5] * len(IS_A_MISSING)
        assert [(rejection.index, rejection.reason) for rejection in rejections] == [
            (8, Reason.NULL_VALUE),
            (9, Reason.NULL_VALUE),
        ]


def _parquet(folder: Path, rows: list[dict[str, object]]) -> Path:
    """Write the rows with flags as texts, because a Parquet column has one type."""
    arrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    texts = [
        row | {name: None if row[name] is None else str(row[name]) for name in _FLAG_NAMES}
        for row in rows
    ]
    path = folder / "rows.parquet"
    parquet.write_table(arrow.Table.from_pylist(texts), path)
    return path


_FLAG_NAMES = ("a_quality", "b_quality")


def test_the_rejection_names_the_flag_and_its_field() -> None:
    _, [rejection] = _parse_one({"t": 0, "a": 1, "b": 2, "b_quality": "stale"})

    assert rejection.field == "b"
    assert rejection.detail == (
        "found quality 'stale' in b_quality, so the value is missing; wanted a flag of good_quality"
    )


def test_a_value_with_a_bad_flag_is_missing_whatever_the_value_is() -> None:
    readings, rejections = _parse_one({"t": 0, "a": "Bad", "a_quality": "bad", "b": 2})

    assert rejections == []
    assert np.isnan(readings.values[0, 0])


@pytest.mark.parametrize("flag", [[192], {"code": 192}])
def test_an_array_or_an_object_is_not_a_good_flag(flag: object) -> None:
    _, [rejection] = _parse_one({"t": 0, "a": 1, "b": 2, "b_quality": flag})

    assert rejection.reason is Reason.NULL_VALUE


def test_one_flag_may_apply_to_all_columns_and_be_nested() -> None:
    schema = schema_from_plain(
        {
            "time": TIME,
            "defaults": {"quality": "status.q", "missing": "hold_last"},
            "signals": [{"name": "a"}, {"name": "b"}],
        }
    )
    payloads = [
        json.dumps({"t": second, "a": 1, "b": 2, "status": {"q": flag}}).encode()
        for second, flag in enumerate(["good", "bad"])
    ]

    readings, rejections = parse(payloads, schema)

    assert rejections == []
    assert np.isnan(readings.values).tolist() == [[False, False], [True, True]]


def test_a_table_must_have_the_columns_of_flags(tmp_path: Path) -> None:
    """A misspelt column of flags would look like flags that are always good."""
    path = tmp_path / "rows.csv"
    path.write_text("t,a,a_quality,b\n0,1,good,2\n")

    with pytest.raises(DataError, match="no column b_quality"):
        join_batches(read_batches(path, SCHEMA), SCHEMA)


def test_a_flag_cannot_contain_a_value() -> None:
    with pytest.raises(SchemaError, match="cannot contain both"):
        schema_from_plain({"signals": [{"name": "a", "field": "q.a", "quality": "q"}]})


def test_written_rows_are_read_again(tmp_path: Path) -> None:
    readings, _ = _parse_one({"t": 0, "a": 1, "a_quality": "bad", "b": 2})
    cells = cells_of(readings, SCHEMA)
    path = tmp_path / "rows.csv"
    write_readings_csv(path, cells, SCHEMA)

    for read_again, rejections in (
        join_batches(read_batches(path, SCHEMA), SCHEMA),
        parse(payloads_of(cells, SCHEMA), SCHEMA),
    ):
        assert rejections == []
        assert np.array_equal(read_again.values, readings.values, equal_nan=True)


def test_the_json_schema_of_a_row_has_the_flags() -> None:
    json_schema = row_schema(SCHEMA)

    assert "192" in json_schema["properties"]["a_quality"]["description"]
    assert "a_quality" not in json_schema["required"]


def test_a_schema_without_flags_keeps_its_fingerprint() -> None:
    plain = {"signals": [{"name": "a"}]}

    assert schema_from_plain(plain).fingerprint == "15a51b2a2d05b1cb"
    flagged = schema_from_plain({"signals": [{"name": "a", "quality": "q"}]})
    assert flagged.fingerprint != schema_from_plain(plain).fingerprint


def _parse_one(row: dict[str, object], schema: Schema = SCHEMA) -> tuple[Readings, list[Rejection]]:
    return parse([json.dumps(row).encode()], schema)
