"""A file read in batches gives the same rows as one read row by row."""

from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sensorwatch.common import tables
from sensorwatch.common.errors import DataError
from sensorwatch.common.rows.batches import Batch, cut_batches, join_batches, split_batches
from sensorwatch.common.rows.schema import Schema, schema_from_plain
from sensorwatch.common.rows.strict_parsing import collect_rows
from sensorwatch.common.tables import read_batches, read_rows
from tests.reading_builders import a_schema as shipped_schema
from tests.reading_builders import some_readings
from tests.trainer.training_builders import write_rows

NAMES = ("timestamp", "sensor_id", "x1", "x2", "note")


def a_schema(**changes: Any) -> Schema:
    plain = {
        "time": {"field": "timestamp", "naive_zone": "UTC"},
        "key": {"field": "sensor_id", "optional": True},
        "signals": [
            {"name": "x1", "min": -100.0, "max": 100.0},
            {"name": "x2", "missing": "hold_last"},
        ],
    }
    return schema_from_plain(plain | changes)


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
)

good = st.sampled_from(["2025-01-01T00:00:00Z", "2025-01-01 00:00:01", "1735689600000"])
odd_time = st.sampled_from(["", " ", "2025-01-01", "2025-02-30T00:00:00Z", "soon", "1e9", "ÿ"])
name = st.sampled_from(["a", "b", "s-1", "007", "", " a", "a ", "ä", "x" * 201, "\x7f", "a\tb"])
cell = st.sampled_from(
    ["1", "-2.5", "0.1", "-0", "1e2", "3.141592653589793", "", " ", " 4", "5 ", "nan", "inf",
     "1e39", "101", "x", "1_0", "٣", '"6"', '"7\n8"', "9\r", "\0", "+1", ".5", "6.", "1,5"]
)  # fmt: skip
usual = st.tuples(good, st.sampled_from("abc"), st.sampled_from(["1", "0.25"]), cell, name)
line = st.one_of(
    usual,
    st.tuples(good | odd_time, name, cell, cell, name),
    st.lists(cell, max_size=7).map(tuple),
)
ends = st.sampled_from(["\n", "\r\n", "\n\n", "\r"])


def content_of(schema: Schema, lines: list[tuple[tuple[str, ...], str]], last: str) -> bytes:
    delimiter = schema.csv.delimiter
    text = "".join(delimiter.join(cells) + end for cells, end in lines)
    return (delimiter.join(NAMES) + "\n" + text + last).encode()


def outcome(batch: Batch) -> tuple[Any, ...]:
    """A batch as values that can be compared, to the bit."""
    readings, rejections = batch
    ids = [readings.sensor_ids[number] for number in readings.sensor.tolist()]
    arrays = (readings.index, readings.event_time, readings.values, readings.context)
    return (*(array.tobytes() for array in arrays), ids, readings.sensor_ids, rejections)


def both(content: bytes, schema: Schema) -> tuple[Any, Any]:
    """What the two ways to read a file make of it."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "rows.csv"
        path.write_bytes(content)
        return (
            answer(lambda: join_batches(read_batches(path, schema), schema)),
            answer(lambda: collect_rows(read_rows(path, schema), schema)),
        )


def answer(read: Callable[[], Batch]) -> tuple[Any, ...]:
    """What a way to read a file makes of it, or how it refuses it."""
    try:
        return outcome(read())
    except DataError as error:
        return ("refused", str(error))


@pytest.fixture(scope="module", autouse=True)
def small_chunks() -> Iterator[None]:
    """Chunks end in the middle of lines."""
    before, tables._CHUNK_BYTES = tables._CHUNK_BYTES, 64
    yield
    tables._CHUNK_BYTES = before


@given(
    st.sampled_from(SCHEMAS),
    st.lists(st.tuples(line, ends), max_size=12),
    st.sampled_from(["", "a,b"]),
)
def test_fast_and_strict_readers_agree(
    schema: Schema, lines: list[tuple[tuple[str, ...], str]], last: str
) -> None:
    batches, strict = both(content_of(schema, lines, last), schema)

    assert batches == strict


@given(st.binary(max_size=60))
@example(b"\xef\xbb\xbf\n\ntimestamp,x1,x2\r\n2025-01-01T00:00:00Z,1,\r\n")
@example(b'"timestamp",x1,x2\n2025-01-01T00:00:00Z,1,2\n')
@example(b"timestamp,x1,x2\n2025-01-01T00:00:00Z," + b"1" * 150_000 + b",2\n")
@example(b"timestamp,x1,x2,x2\n")
@example(b"timestamp,x1\n")
def test_fast_and_strict_readers_agree_on_any_file(content: bytes) -> None:
    batches, strict = both(content, a_schema())

    assert batches == strict


def test_usual_lines_need_no_strict_reader(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    readings = some_readings(200)
    path = write_rows(tmp_path / "rows.csv", readings)

    def fail(*_: object, **__: object) -> Any:
        raise AssertionError("a usual line was read strictly")

    monkeypatch.setattr(
        "sensorwatch.common.rows.csv_chunk.ChunkReader._read_strictly", lambda *_: iter(())
    )
    monkeypatch.setattr("sensorwatch.common.tables.read_csv_rows", fail)
    result, rejections = join_batches(read_batches(path, shipped_schema()), shipped_schema())

    assert (len(result), rejections) == (200, [])
    assert np.array_equal(result.values, readings.values)


@given(st.integers(0, 250), st.integers(1, 90))
def test_batches_are_cut_and_joined_without_a_trace(first: int, at_once: int) -> None:
    schema = shipped_schema()
    complete: Batch = (some_readings(200), [])

    some, rest = split_batches(cut_batches([complete], at_once), first)

    assert sum(len(part[0]) for part in some) == min(first, 200)
    assert outcome(join_batches([*some, *rest], schema)) == outcome(complete)
