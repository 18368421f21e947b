"""Reading a file in batches gives the same rows as reading the file row by row."""

from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sensorwatch.common.errors import DataError
from sensorwatch.common.files import csv_file
from sensorwatch.common.files.rows_of_file import read_batches, read_rows
from sensorwatch.common.rows.batches import Batch, cut_batches, join_batches, split_batches
from sensorwatch.common.rows.schema import Schema, schema_from_plain
from sensorwatch.common.rows.strict_parsing import collect_rows
from tests.reading_builders import a_schema as shipped_schema
from tests.reading_builders import some_readings
from tests.trainer.training_builders import write_rows

COLUMN_NAMES = ("timestamp", "sensor_id", "x1", "x2", "note")


def a_schema(**changes: Any) -> Schema:
    plain_schema = {
        "time": {"field": "timestamp", "naive_zone": "UTC"},
        "key": {"field": "sensor_id", "optional": True},
        "signals": [
            {"name": "x1", "min": -100.0, "max": 100.0},
            {"name": "x2", "missing": "hold_last"},
        ],
    }
    return schema_from_plain(plain_schema | changes)


UNIT_SIGNALS = [{"name": "x1", "unit": "C"}, {"name": "x2", "unit": "C"}]
SCHEMAS = (
    a_schema(),
    a_schema(csv={"delimiter": ";"}),
    a_schema(csv={"delimiter": " "}),
    a_schema(time={"field": "timestamp", "format": "epoch_ms"}),
    a_schema(time={"field": "timestamp", "format": "%Y-%m-%d", "naive_zone": "UTC"}),
    a_schema(unknown_fields="reject"),
    a_schema(key=None),
    a_schema(key={"field": "sensor_id"}),
    a_schema(context=[{"name": "note"}]),
    a_schema(csv={"delimiter": ";", "decimal": ","}),
    a_schema(csv={"delimiter": ";", "decimal": ",", "thousands": "."}),
    a_schema(csv={"thousands": ","}),
    a_schema(csv={"comment": "#", "unit_rows": 1}),
    a_schema(defaults={"missing_values": [1, "x", "nan"], "missing": "hold_last"}),
    a_schema(defaults={"numbers": "unit", "words": {"x": 1}}, signals=UNIT_SIGNALS),
)

valid_times = st.sampled_from(["2025-01-01T00:00:00Z", "2025-01-01 00:00:01", "1735689600000"])
unusual_times = st.sampled_from(["", " ", "2025-01-01", "2025-02-30T00:00:00Z", "soon", "1e9", "ÿ"])
sensor_names = st.sampled_from(
    ["a", "b", "s-1", "007", "17.0", "1,5", "# a", "", " a", "a ", "ä", "x" * 201, "\x7f", "a\tb"]
)
cell_texts = st.sampled_from(
    ["1", "-2.5", "0.1", "-0", "1e2", "3.141592653589793", "", " ", " 4", "5 ", "nan", "inf",
     "1e39", "101", "x", "1_0", "٣", '"6"', '"7\n8"', "9\r", "\0", "+1", ".5", "6.", "1,5",
     "1.234,5", "1,234", "12.345.678", "2 C", "3C", "#", "17.0"]
)  # fmt: skip
well_formed_lines = st.tuples(
    valid_times, st.sampled_from("abc"), st.sampled_from(["1", "0.25"]), cell_texts, sensor_names
)
lines_of_cells = st.one_of(
    well_formed_lines,
    st.tuples(valid_times | unusual_times, sensor_names, cell_texts, cell_texts, sensor_names),
    st.lists(cell_texts, max_size=7).map(tuple),
)
line_ends = st.sampled_from(["\n", "\r\n", "\n\n", "\r"])


def content_of(schema: Schema, lines: list[tuple[tuple[str, ...], str]], last_line: str) -> bytes:
    delimiter = schema.csv.delimiter
    text = "".join(delimiter.join(line_cells) + line_end for line_cells, line_end in lines)
    return (delimiter.join(COLUMN_NAMES) + "\n" + text + last_line).encode()


def batch_values(batch: Batch) -> tuple[Any, ...]:
    """Return a batch as a tuple of values that can be compared bit by bit."""
    readings, rejections = batch
    ids = [readings.sensor_ids[number] for number in readings.sensor.tolist()]
    arrays = (readings.index, readings.event_time, readings.values, readings.context)
    return (*(array.tobytes() for array in arrays), ids, readings.sensor_ids, rejections)


def read_fast_and_strictly(content: bytes, schema: Schema) -> tuple[Any, Any]:
    """Return the results of the fast reader and of the strict reader for a file."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "rows.csv"
        path.write_bytes(content)
        return (
            read_result(lambda: join_batches(read_batches(path, schema), schema)),
            read_result(lambda: collect_rows(read_rows(path, schema), schema)),
        )


def read_result(reader: Callable[[], Batch]) -> tuple[Any, ...]:
    """Return the rows that a reader reads, or the error that the reader raises for the file."""
    try:
        return batch_values(reader())
    except DataError as error:
        return ("refused", str(error))


@pytest.fixture(scope="module", autouse=True)
def small_chunks() -> Iterator[None]:
    """Let readers read chunks of 64 bytes, so that chunks end in the middle of lines."""
    previous_bytes, csv_file._CHUNK_BYTES = csv_file._CHUNK_BYTES, 64
    yield
    csv_file._CHUNK_BYTES = previous_bytes


@given(
    st.sampled_from(SCHEMAS),
    st.lists(st.tuples(lines_of_cells, line_ends), max_size=12),
    st.sampled_from(["", "a,b"]),
)
def test_fast_and_strict_readers_agree(
    schema: Schema, lines: list[tuple[tuple[str, ...], str]], last_line: str
) -> None:
    fast_result, strict_result = read_fast_and_strictly(
        content_of(schema, lines, last_line), schema
    )

    assert fast_result == strict_result


@given(st.binary(max_size=60))
@example(b"\xef\xbb\xbf\n\ntimestamp,x1,x2\r\n2025-01-01T00:00:00Z,1,\r\n")
@example(b'"timestamp",x1,x2\n2025-01-01T00:00:00Z,1,2\n')
@example(b"timestamp,x1,x2\n2025-01-01T00:00:00Z," + b"1" * 150_000 + b",2\n")
@example(b"timestamp,x1,x2,x2\n")
@example(b"timestamp,x1\n")
def test_fast_and_strict_readers_agree_on_any_file(content: bytes) -> None:
    fast_result, strict_result = read_fast_and_strictly(content, a_schema())

    assert fast_result == strict_result


def test_well_formed_lines_need_no_strict_reader(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    readings = some_readings(200)
    path = write_rows(tmp_path / "rows.csv", readings)

    def fail(*_: object, **__: object) -> Any:
        raise AssertionError("the strict reader read a well-formed line")

    monkeypatch.setattr(
        "sensorwatch.common.rows.csv_chunk.ChunkReader._read_strictly", lambda *_: iter(())
    )
    monkeypatch.setattr("sensorwatch.common.files.csv_file.rows_of_lines", fail)
    result, rejections = join_batches(read_batches(path, shipped_schema()), shipped_schema())

    assert (len(result), rejections) == (200, [])
    assert np.array_equal(result.values, readings.values)


@given(st.integers(0, 250), st.integers(1, 90))
def test_joining_cut_batches_restores_the_original_batch(head_rows: int, batch_rows: int) -> None:
    schema = shipped_schema()
    original_batch: Batch = (some_readings(200), [])

    first_batches, other_batches = split_batches(
        cut_batches([original_batch], batch_rows), head_rows
    )

    assert sum(len(batch[0]) for batch in first_batches) == min(head_rows, 200)
    assert batch_values(join_batches([*first_batches, *other_batches], schema)) == batch_values(
        original_batch
    )
