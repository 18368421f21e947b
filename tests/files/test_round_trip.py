"""A row has the same bits in every form of a file, and as the payload of a record."""

import csv
import json
import tempfile
from pathlib import Path

import pandas
from hypothesis import given, settings
from hypothesis import strategies as st

from sensorwatch.common.files.rows_of_file import read_batches
from sensorwatch.common.rows.batches import Batch, join_batches
from sensorwatch.common.rows.instants import format_instant
from sensorwatch.common.rows.parsing import parse
from sensorwatch.common.rows.schema import schema_from_plain

NAMES = ("time", "id", "x", "y")
SCHEMA = schema_from_plain(
    {
        "time": {"field": "time", "max_future_seconds": 1e12},
        "key": {"field": "id"},
        "defaults": {"missing": "hold_last"},
        "signals": [{"name": "x"}, {"name": "y"}],
    }
)
values = st.none() | st.floats(-1e38, 1e38) | st.floats(-1e-300, 1e-300)
ids = st.text(st.characters(categories=["L", "P", "S"]), min_size=1, max_size=8)
rows_of_table = st.lists(
    st.tuples(st.integers(-(10**15), 10**16).map(format_instant), ids, values, values), min_size=1
)


def bits_of(batch: Batch) -> tuple[list[object], ...]:
    readings, rejections = batch
    assert rejections == []
    return (
        readings.event_time.tolist(),
        [readings.sensor_ids[number] for number in readings.sensor],
        readings.values.view("u8").tolist(),
    )


@settings(max_examples=40)
@given(rows_of_table)
def test_any_row_has_the_same_bits_in_every_form(rows: list[tuple[object, ...]]) -> None:
    records = [dict(zip(NAMES, row, strict=True)) for row in rows]
    payloads = [json.dumps(record).encode() for record in records]
    expected = bits_of(parse(payloads, SCHEMA))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with (folder / "rows.csv").open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(NAMES)
            writer.writerows(["" if cell is None else cell for cell in row] for row in rows)
        (folder / "rows.jsonl").write_bytes(b"\n".join(payloads))
        (folder / "rows.json").write_text(json.dumps(records, ensure_ascii=False))
        frame = pandas.DataFrame(records).astype({"x": float, "y": float})
        frame.to_parquet(folder / "rows.parquet")
        frame.to_feather(folder / "rows.feather")

        for path in sorted(folder.iterdir()):
            assert bits_of(join_batches(read_batches(path, SCHEMA), SCHEMA)) == expected, path.name
