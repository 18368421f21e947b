"""Rows in long form are recognised, and read with one column per quantity."""

import json
import tomllib
from pathlib import Path

import numpy as np
import pytest

from sensorwatch.common.files.rows_of_file import read_batches
from sensorwatch.common.rows.batches import join_batches
from sensorwatch.common.rows.schema import schema_from_plain
from sensorwatch.schema_inference.file_inference import infer_file
from sensorwatch.schema_inference.options import InferenceOptions
from sensorwatch.schema_inference.schema_text import schema_text

MINUTES = 40
HEADER = ("when", "kind", "amount")


def long_rows(low: float = 20.0, high: float = 101_300.0) -> list[tuple[object, ...]]:
    """Return two rows per minute, one of each quantity."""
    return [
        (f"2024-01-01T00:{minute:02}:00Z", name, level + minute % 7)
        for minute in range(MINUTES)
        for name, level in (("temp", low), ("pressure", high))
    ]


def lines_of(rows: list[tuple[object, ...]], delimiter: str = ",") -> str:
    return "".join(delimiter.join(map(str, row)) + "\n" for row in rows)


LONG_FORMS = {
    "a column of names": lines_of([HEADER, *long_rows()]),
    "semicolons and decimal commas": lines_of(
        [HEADER, *long_rows()],
        ";",
    ).replace(".", ","),
    "comments and a repeated header": "#exported\n"
    + lines_of([HEADER, *long_rows()[:20], HEADER, *long_rows()[20:]]),
    "a line before the header": "logger 7\n" + lines_of([HEADER, *long_rows()]),
    "JSON lines": "".join(
        json.dumps(dict(zip(HEADER, row, strict=True))) + "\n" for row in long_rows()
    ),
}


@pytest.mark.parametrize("form", LONG_FORMS)
def test_rows_in_long_form_become_rows_with_one_column_per_quantity(
    form: str, tmp_path: Path
) -> None:
    path = tmp_path / "long.csv"
    path.write_text(LONG_FORMS[form], encoding="utf-8")

    inference = infer_file(path)
    schema = schema_from_plain(tomllib.loads(schema_text(inference, name="long")))
    readings, rejections = join_batches(read_batches(path, schema), schema)

    assert schema.signal_names == ("temp", "pressure")
    assert schema.long_form is not None
    assert (schema.long_form.name, schema.long_form.values) == ("kind", ("amount",))
    assert schema.long_form.bucket_seconds == 60
    assert readings.values.tolist() == [
        [20.0 + minute % 7, 101_300.0 + minute % 7] for minute in range(MINUTES)
    ]
    assert rejections == []
    assert any("--key kind" in question for question in inference.questions)


@pytest.mark.parametrize(
    "header", [("when", "kind", "amount", "unit"), ("Zeit", "Kanal", "Wert", "x")]
)
def test_quantities_of_a_similar_scale_are_recognised_by_units_or_names(
    header: tuple[str, ...], tmp_path: Path
) -> None:
    path = tmp_path / "long.csv"
    units = {"temp": "degC", "pressure": "bar"}
    rows = [(*row, units[str(row[1])]) for row in long_rows(20.0, 18.0)]
    path.write_text(lines_of([header, *rows]), encoding="utf-8")

    schema = schema_from_plain(tomllib.loads(schema_text(infer_file(path), name="long")))

    assert schema.signal_names == ("temp", "pressure")


def test_values_with_nearby_times_and_qualities_form_one_row(tmp_path: Path) -> None:
    path = tmp_path / "long.csv"
    lines = ["time,device,metric,value,quality"]
    for minute in range(MINUTES):
        for device in ("d1", "d2"):
            lines.append(f"2024-01-01 00:{minute:02}:00,{device},temp,{20 + minute % 7},good")
            flag = "bad" if minute == 3 else "good"
            lines.append(f"2024-01-01 00:{minute:02}:03,{device},flow,{5 + minute % 3},{flag}")
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")

    inference = infer_file(path)
    schema = schema_from_plain(tomllib.loads(schema_text(inference, name="long")))
    readings, rejections = join_batches(read_batches(path, schema), schema)

    assert (schema.bucket_us, schema.signals[0].quality) == (60_000_000, "quality")
    assert all(column.missing == 0 for column in inference.columns)
    assert (len(readings), rejections) == (2 * MINUTES, [])
    assert np.isnan(readings.values).sum(axis=0).tolist() == [0, 2]
    assert any("'quality' is read as" in question for question in inference.questions)


def test_values_of_arrays_need_no_bucket(tmp_path: Path) -> None:
    path = tmp_path / "packs.jsonl"
    elements = [dict(zip(HEADER, row, strict=True)) for row in long_rows()]
    records = [
        {"pump": f"p{start % 4}", "readings": elements[start : start + 2], "tags": [{"a": 1}]}
        for start in range(0, len(elements), 2)
    ]
    path.write_text("\n".join(map(json.dumps, records)), encoding="utf-8")

    inference = infer_file(path)
    schema = schema_from_plain(tomllib.loads(schema_text(inference, name="packs")))
    readings, _ = join_batches(read_batches(path, schema), schema)

    assert (schema.rows, schema.bucket_us) == ("readings[*]", 0)
    assert schema.key is not None
    assert schema.key.fields == ("pump",)
    assert readings.values[0].tolist() == [20.0, 101_300.0]
    assert len(readings) == MINUTES
    assert any("tags[*] contains objects too" in question for question in inference.questions)


def test_sensors_of_similar_levels_are_no_quantities(tmp_path: Path) -> None:
    path = tmp_path / "sensors.csv"
    path.write_text(lines_of([HEADER, *long_rows(20.0, 30.0)]), encoding="utf-8")

    assert "[key]" not in infer_file(path).questions
    assert infer_file(path).columns[1].kind.name == "KEY"


def test_the_option_key_says_that_the_names_are_sensors(tmp_path: Path) -> None:
    path = tmp_path / "sensors.csv"
    path.write_text(LONG_FORMS["a column of names"], encoding="utf-8")

    assert infer_file(path, InferenceOptions(key_names=("kind",))).columns[1].kind.name == "KEY"
